"""Accuracy of the inference on lakes of known truth: `python -m benchmarks.lineage_accuracy LAKE...`.

A lake is a directory made by `benchmarks.lakes.build`, with its truth beside it. Fingerprints are taken once and kept
in `.cache/fingerprints`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.lakes.truth import Truth, truth_path, with_duplicates
from benchmarks.scoring import PredictedEdge, Score, Share, merges, score
from graph_schema.fingerprint import FINGERPRINT_VERSION, Fingerprint
from graph_schema.labels import Relation
from ingest.discovery import discover
from ingest.fingerprint.file import read_fingerprint, write_fingerprint
from ingest.fingerprint.plan import BlockPlan
from ingest.model_source import ModelSource
from ingest.reading import read_weights
from lineage.calibration import Calibration
from lineage.inference import Inference, infer

CACHE = Path(".cache/fingerprints")


def lake_fingerprints(lake: Path, plan: BlockPlan | None = None) -> dict[str, Fingerprint]:
    """Fingerprint of every model of a lake that has weights, by the model's name; by the default plan or another."""
    kept = "" if plan is None else f"-{plan.budget}-{plan.large_side}"
    folder = CACHE / f"{lake.resolve().name}{kept}-f{FINGERPRINT_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for source in discover([lake]):
        if not isinstance(source, ModelSource):
            logging.warning("left out: %s", source)
            continue
        path = folder / (source.id.replace("/", "__") + ".fingerprint")
        if not path.is_file():
            if not source.weights:
                logging.warning("no weights: %s", source.id)
                continue
            write_fingerprint(path, read_weights(source.weights[0], name=source.id, plan=plan).fingerprint)
        found[source.id] = read_fingerprint(path)
    return found


def predictions(named: Mapping[str, Fingerprint], inference: Inference) -> list[PredictedEdge]:
    """The inference's edges between models; of several models with one version the first stands for all.

    Hidden parents are no models of the lake: see `hidden_groups`.
    """
    names: dict[str, str] = {}
    for name, fingerprint in sorted(named.items()):
        names.setdefault(fingerprint.version, name)
    return [
        PredictedEdge(
            child=names[item.child],
            parent=names[parent.id],
            relation=item.relation,
            weight=parent.weight,
            confidence=item.confidence,
        )
        for item in inference.derivations
        for parent in item.parents
        if item.child in names and parent.id in names
    ]


def equal_models(named: Mapping[str, Fingerprint]) -> list[list[str]]:
    """The models of each version, by name: storing in 16 bits makes some equal that were not."""
    found: dict[str, list[str]] = {}
    for name, fingerprint in sorted(named.items()):
        found.setdefault(fingerprint.version, []).append(name)
    return list(found.values())


def hidden_groups(named: Mapping[str, Fingerprint], inference: Inference) -> list[list[str]]:
    """The children of each hidden parent, by the names of their models."""
    names = {fingerprint.version: name for name, fingerprint in sorted(named.items(), reverse=True)}
    return [[names[child] for child in parent.children] for parent in inference.implied]


def scored(
    named: Mapping[str, Fingerprint],
    truth: Truth,
    *,
    calibration: Calibration | None = None,
    least_confidence: float = 0.0,
) -> tuple[Truth, list[PredictedEdge], Score]:
    """Infer some models and score them; those that are equal count as one, in the truth that is returned as well."""
    known = with_duplicates(truth, equal_models(named))
    unique = {item.version: item for item in named.values()}
    inference = infer(list(unique.values()), calibration=calibration, least_confidence=least_confidence)
    edges = predictions(named, inference)
    return known, edges, score(edges, known, hidden=hidden_groups(named, inference))


def infer_lake(
    lake: Path,
    *,
    calibration: Calibration | None = None,
    least_confidence: float = 0.0,
    plan: BlockPlan | None = None,
) -> tuple[Truth, list[PredictedEdge], Score]:
    """Infer a lake from its fingerprints alone, and score it (`scored`)."""
    named, truth = lake_fingerprints(lake, plan), Truth.read(truth_path(lake))
    return scored(named, truth, calibration=calibration, least_confidence=least_confidence)


def main(arguments: Sequence[str] | None = None) -> None:
    """Score lakes and print a table, and every wrong edge with `--wrong`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lakes", nargs="+", type=Path)
    parser.add_argument("--wrong", action="store_true", help="list the wrong edges")
    chosen = parser.parse_args(arguments)
    console = Console(width=180)
    table = Table(
        "lake", "parents", "fine-tunes", "undirected", "types", "roots", "merges", "coef.", "hidden", "strangers", "ECE"
    )
    for lake in chosen.lakes:
        truth, edges, result = infer_lake(lake)
        fine = next(
            (share for name, share in result.parents_by_relation.items() if name == "FINE_TUNED_FROM"),
            Share(right=0, total=0),
        )
        table.add_row(
            lake.name,
            _share(result.parents),
            _share(fine),
            _share(result.undirected),
            _share(result.edge_types),
            _share(result.roots),
            f"{_share(result.merge_precision)} {_share(result.merge_recall)}",
            f"{result.coefficient_error:.4f}",
            _share(result.hidden),
            f"{result.strangers}+{result.cousins}",
            f"{result.calibration_error:.3f}",
        )
        if chosen.wrong:
            _list_wrong(console, truth, edges, result)
    console.print(table)


def _share(share: Share) -> str:
    return f"{share.right}/{share.total}"


def _list_wrong(console: Console, truth: Truth, edges: Sequence[PredictedEdge], result: Score) -> None:
    """The wrong edges of single parents, then the merges of which a constituent was missed or a false one named."""
    details = {(edge.child, edge.parent): edge for edge in truth.edges}
    for child, parent, found in result.wrong:
        edge = details.get((child, parent))
        note = "" if edge is None else f"{edge.relation} {dict(edge.details)}"
        words = f"  {child} <- {parent}, found {found} [{_said(child, edges)}] {note}"
        console.print(words, style="red", markup=False, highlight=False)
    of_merges = [edge for edge in truth.edges if edge.relation is Relation.MERGED_FROM]
    for item in merges(truth, edges):
        if item.found < item.asked or item.true < item.named:
            parts = [edge for edge in of_merges if edge.child == item.child]
            made = ", ".join(f"{edge.parent} {edge.details.get('role', '')} {edge.weight}" for edge in parts)
            words = f"  {item.child} <- {item.method} of {made}, found [{_said(item.child, edges)}]"
            console.print(words, style="red", markup=False, highlight=False)


def _said(child: str, edges: Sequence[PredictedEdge]) -> str:
    said = [item for item in edges if item.child == child]
    return "; ".join(f"{item.relation} {item.parent} {item.confidence:.2f}" for item in said) or "nothing"


if __name__ == "__main__":
    main()
