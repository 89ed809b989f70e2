"""Accuracy on lakes that nothing was fitted on: `python -m benchmarks.held_back --fit LAKE... --score LAKE...`.

The numbers of the inference are fitted on the first lakes, those of the architecture that is scored left out, and the
others are scored with them: another architecture, and other seeds. Without `--score` the first are scored themselves.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.calibrate import Lake, fit, read_lake
from benchmarks.lineage_accuracy import hidden_groups, predictions
from benchmarks.scoring import Score, Share, expected_calibration_error, score
from graph_schema.labels import Relation
from lineage.calibration import Calibration, default_calibration
from lineage.inference import infer

NOTHING = Share(right=0, total=0)
MEASURES = ("parents", "fine-tunes", "types", "merge precision", "merge recall", "hidden")


def score_lake(lake: Lake, calibration: Calibration) -> tuple[Score, list[tuple[float, bool]]]:
    """Score a lake, and list every edge's confidence with whether it is true (duplicates count as one)."""
    unique = {item.version: item for item in lake.named.values()}
    found = infer(list(unique.values()), calibration=calibration, least_confidence=0.0)
    edges = predictions(lake.named, found)
    canon = {name: group[0] for group in lake.truth.duplicates for name in group}
    true = {(canon.get(edge.child, edge.child), canon.get(edge.parent, edge.parent)) for edge in lake.truth.edges}
    outcomes = [
        (edge.confidence, (canon.get(edge.child, edge.child), canon.get(edge.parent, edge.parent)) in true)
        for edge in edges
        if canon.get(edge.child, edge.child) != canon.get(edge.parent, edge.parent)
    ]
    return score(edges, lake.truth, hidden=hidden_groups(lake.named, found)), outcomes


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
    parser.add_argument("--fit", nargs="+", type=Path, required=True, help="lakes to fit on")
    parser.add_argument("--score", nargs="+", type=Path, help="lakes to score")
    chosen = parser.parse_args(arguments)
    development = [read_lake(path) for path in chosen.fit]
    lakes = development if chosen.score is None else [read_lake(path) for path in chosen.score]
    table = Table("architecture", "lakes", *MEASURES, "coef. error", "strangers", "cousins", "ECE")
    everything: list[tuple[float, bool]] = []
    all_shares: list[tuple[Share, ...]] = []
    errors: list[float] = []
    between = np.zeros(2, dtype=int)
    for architecture in sorted({lake.truth.architecture for lake in lakes}):
        fitted = fit([lake for lake in development if lake.truth.architecture != architecture], default_calibration())
        results = [score_lake(lake, fitted) for lake in lakes if lake.truth.architecture == architecture]
        outcomes = [outcome for _, found in results for outcome in found]
        rows = [shares(result) for result, _ in results]
        coefficients = [result.coefficient_error for result, _ in results if result.coefficient_error >= 0]
        strange = np.array([(result.strangers, result.cousins) for result, _ in results]).sum(axis=0)
        table.add_row(
            architecture,
            str(len(results)),
            *(cell(column) for column in zip(*rows, strict=True)),
            f"{np.mean(coefficients):.4f}" if coefficients else "-",
            *map(str, strange.tolist()),
            f"{expected_calibration_error(outcomes):.3f}",
        )
        everything += outcomes
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
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
