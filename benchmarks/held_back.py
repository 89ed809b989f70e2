"""Accuracy on lakes that nothing was fitted on: `python -m benchmarks.held_back --fit LAKE... --score LAKE...`.

The numbers of the inference are fitted on the first lakes, those of the architecture that is scored left out, and the
others are scored with them: another architecture, and other seeds. Without `--score` the first are scored themselves;
without `--fit` the shipped numbers are used.
With `--kinds` what was done to versions, and how merges were made, have tables of their own (`benchmarks.edge_kinds`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.calibrate import Lake, fit, read_lakes
from benchmarks.edge_kinds import kinds_table, merge_table, outcomes
from benchmarks.lakes.truth import Truth, truth_path
from benchmarks.lineage_accuracy import lake_fingerprints, scored
from benchmarks.scoring import Merged, PredictedEdge, Score, Share, expected_calibration_error, merges
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.calibration import default_calibration
from lineage.forking import each

NOTHING = Share(right=0, total=0)
MEASURES = ("parents", "fine-tunes", "types", "merge precision", "merge recall", "hidden")


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeldBack:
    """A lake to score."""

    truth: Truth
    named: Mapping[str, Fingerprint]

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(truth=Truth.read(truth_path(path)), named=lake_fingerprints(path))


def held_back(
    development: Sequence[Lake], lakes: Sequence[_HeldBack], architecture: str
) -> list[tuple[Truth, list[PredictedEdge], Score]]:
    """The lakes of an architecture, scored with numbers that were fitted on those of all others, if any are given."""
    fitted = default_calibration()
    if development:
        fitted = fit([lake for lake in development if lake.truth.architecture != architecture], fitted)
    some = [lake for lake in lakes if lake.truth.architecture == architecture]
    return [scored(lake.named, lake.truth, calibration=fitted) for lake in some]


def confidences_of(truth: Truth, edges: Iterable[PredictedEdge]) -> list[tuple[float, bool]]:
    """Every edge's confidence with whether it is true; edges between duplicates are left out."""
    canon = truth.first_names
    true = {(canon[edge.child], canon[edge.parent]) for edge in truth.edges}
    ends = [(canon[edge.child], canon[edge.parent], edge.confidence) for edge in edges]
    return [(confidence, (child, parent) in true) for child, parent, confidence in ends if child != parent]


def shares(result: Score) -> tuple[Share, ...]:
    """The measures of one lake."""
    fine = result.parents_by_relation.get(Relation.FINE_TUNED_FROM, NOTHING)
    return result.parents, fine, result.edge_types, result.merge_precision, result.merge_recall, result.hidden


def cell(found: Sequence[Share]) -> str:
    """The median over lakes, and the sum."""
    values = [share.value for share in found if share.total]
    right, total = sum(share.right for share in found), sum(share.total for share in found)
    return f"{np.median(values):.2f}  {right}/{total}" if values else "-"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row an architecture: medians over its lakes, and sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", nargs="+", type=Path, default=[], help="lakes to fit on")
    parser.add_argument("--score", nargs="+", type=Path, help="lakes to score")
    parser.add_argument("--kinds", action="store_true", help="print the tables by kind as well")
    chosen = parser.parse_args(arguments)
    if not (chosen.fit or chosen.score):
        parser.error("give lakes to fit on, lakes to score, or both")
    development = read_lakes(chosen.fit)
    lakes = [_HeldBack.read(path) for path in chosen.score or chosen.fit]
    table = Table("architecture", "lakes", *MEASURES, "coef. error", "strangers", "cousins", "ECE")
    everything: list[tuple[float, bool]] = []
    kinds: list[tuple[str, str]] = []
    merged: list[Merged] = []
    all_shares: list[tuple[Share, ...]] = []
    errors: list[float] = []
    between = np.zeros(2, dtype=int)
    architectures = sorted({lake.truth.architecture for lake in lakes})
    work = each(lambda number: held_back(development, lakes, architectures[number]), [1.0] * len(architectures))
    for architecture, results in zip(architectures, work, strict=True):
        confidences = [outcome for truth, edges, _ in results for outcome in confidences_of(truth, edges)]
        rows = [shares(result) for _, _, result in results]
        coefficients = [result.coefficient_error for _, _, result in results if result.coefficient_error >= 0]
        strange = np.array([(result.strangers, result.cousins) for _, _, result in results]).sum(axis=0)
        table.add_row(
            architecture,
            str(len(results)),
            *(cell(column) for column in zip(*rows, strict=True)),
            f"{np.mean(coefficients):.4f}" if coefficients else "-",
            *map(str, strange.tolist()),
            f"{expected_calibration_error(confidences):.3f}",
        )
        everything += confidences
        kinds += [item for truth, edges, _ in results for item in outcomes(truth, edges)]
        merged += [item for truth, edges, _ in results for item in merges(truth, edges)]
        all_shares += rows
        errors += coefficients
        between += strange
    table.add_row(
        "all",
        str(len(lakes)),
        *(cell(column) for column in zip(*all_shares, strict=True)),
        f"{np.mean(errors):.4f}",
        *map(str, between.tolist()),
        f"{expected_calibration_error(everything):.3f}",
    )
    console = Console(width=170)
    console.print(table)
    if chosen.kinds:
        console.print(kinds_table(kinds), merge_table(merged))


if __name__ == "__main__":
    main()
