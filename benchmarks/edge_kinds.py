"""Where the accuracy is lost: parents found by what was done to them, `python -m benchmarks.edge_kinds LAKE...`.

One row for each way of making a version; beside it, which other relations were named, and whether the error was one of
topology (the two are not even neighbours) or of direction. A second table has a row for each way of merging.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.lakes.truth import TrueEdge, Truth
from benchmarks.lineage_accuracy import infer_lake
from benchmarks.scoring import Merged, PredictedEdge, Share, merges
from graph_schema.labels import Relation


def kind(edge: TrueEdge) -> str:
    """What was done, in a few words."""
    details = edge.details
    method = str(details.get("method", edge.relation)).replace(" grid", "")
    more = [
        str(details[name])
        for name in ("grid", "optimizer", "initialised")
        if details.get(name) and edge.relation is not Relation.MERGED_FROM
    ]
    if edge.relation is Relation.FINE_TUNED_FROM and details.get("frozen"):
        more.append("partly frozen")
    return f"{edge.relation}: {method}" + (f" ({', '.join(more)})" if more else "")


def outcomes(truth: Truth, edges: Sequence[PredictedEdge]) -> list[tuple[str, str]]:
    """Kind and outcome of every child with one parent that is in the lake."""
    canon = truth.first_names
    present = {canon[model.name] for model in truth.models if model.present}
    surest: dict[str, PredictedEdge] = {}
    pairs = set()
    for edge in sorted(edges, key=lambda item: item.confidence):
        surest[canon[edge.child]] = edge
        pairs.add(frozenset((canon[edge.child], canon[edge.parent])))
    of_child: dict[str, list[TrueEdge]] = defaultdict(list)
    for true in truth.edges:
        of_child[canon[true.child]].append(true)
    found = []
    for child, true_edges in of_child.items():
        parent = canon[true_edges[0].parent]
        if len(true_edges) > 1 or not {child, parent} <= present:
            continue
        said = surest.get(child)
        if said is not None and canon[said.parent] == parent:
            outcome = "right" if said.relation is true_edges[0].relation else f"as {said.relation}"
        else:
            outcome = "turned round" if frozenset((child, parent)) in pairs else "not a neighbour"
        found.append((kind(true_edges[0]), outcome))
    return found


def merge_table(found: Iterable[Merged]) -> Table:
    """A row for each way of merging."""
    table = Table("merged by", "merges", "parents found", "of those named, true", "coefficient error", "largest")
    of: dict[str, list[Merged]] = defaultdict(list)
    for item in found:
        of[item.method].append(item)
    for method, some in sorted(of.items()):
        errors = [error for item in some for error in item.errors]
        table.add_row(
            method,
            str(len(some)),
            str(Share(right=sum(item.found for item in some), total=sum(item.asked for item in some))),
            str(Share(right=sum(item.true for item in some), total=sum(item.named for item in some))),
            *((f"{np.mean(errors):.4f}", f"{max(errors):.4f}") if errors else ("-", "-")),
        )
    return table


def kinds_table(found: Iterable[tuple[str, str]]) -> Table:
    """A row for each way of making a version, from what `outcomes` gives."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, outcome in found:
        counts[name][outcome] += 1
    table = Table(
        "what was done", "edges", "parent", "parent and type", "not a neighbour", "turned round", "other type"
    )
    for name, counted in sorted(counts.items()):
        total = counted.total()
        other = {outcome: count for outcome, count in counted.items() if outcome.startswith("as ")}
        right = counted["right"] + sum(other.values())
        words = ", ".join(f"{outcome[3:]} {count}" for outcome, count in sorted(other.items()))
        cells = (total, f"{right / total:.2f}", f"{counted['right'] / total:.2f}")
        table.add_row(name, *map(str, cells), str(counted["not a neighbour"]), str(counted["turned round"]), words)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakes", nargs="+", type=Path)
    found: list[tuple[str, str]] = []
    merged: list[Merged] = []
    for lake in parser.parse_args(arguments).lakes:
        truth, edges, _ = infer_lake(lake)
        found += outcomes(truth, edges)
        merged += merges(truth, edges)
    Console(width=160).print(kinds_table(found), merge_table(merged))


if __name__ == "__main__":
    main()
