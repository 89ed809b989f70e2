"""Parent accuracy on demonstration lakes of several seeds, beside MoTHer: `python -m benchmarks.demo_accuracy`.

The lakes are those of `benchmarks.lakes.demo`, trained where they are missing. MoTHer is given the families and the
better of its two stages; the inference is given nothing but fingerprints.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.lakes.demo import build
from benchmarks.lakes.truth import truth_path
from benchmarks.lineage_accuracy import infer_lake
from benchmarks.peers import compare
from benchmarks.scoring import Score
from graph_schema.labels import Relation

CACHE = Path(".cache/demo")


def main(arguments: Sequence[str] | None = None) -> None:
    """Score every seed and print a table with the totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    chosen = parser.parse_args(arguments)
    table = Table("seed", "parents", "fine-tunes", "merge parents", "MoTHer parents", "MoTHer fine-tunes")
    totals: dict[str, list[int]] = {}
    for seed in range(chosen.seeds):
        lake = CACHE / f"lake-{seed}"
        if not truth_path(lake).is_file():
            CACHE.mkdir(parents=True, exist_ok=True)
            build(lake, seed)
        _, _, ours = infer_lake(lake)
        mother = next(score for name, score in compare(lake).items() if name.startswith("MoTHer"))
        cells = []
        for name, right, total in (*_counts("ours", ours), *_counts("MoTHer", mother)[:2]):
            cells.append(f"{right}/{total}")
            kept = totals.setdefault(name, [0, 0])
            kept[0] += right
            kept[1] += total
        table.add_row(str(seed), *cells)
    table.add_row("all", *(f"{right}/{total} = {right / max(total, 1):.2f}" for right, total in totals.values()))
    Console(width=120).print(table)


def _counts(who: str, score: Score) -> list[tuple[str, int, int]]:
    fine = score.parents_by_relation.get(Relation.FINE_TUNED_FROM)
    return [
        (f"{who} parents", score.parents.right, score.parents.total),
        (f"{who} fine-tunes", fine.right if fine else 0, fine.total if fine else 0),
        (f"{who} merges", score.merge_recall.right, score.merge_recall.total),
    ]


if __name__ == "__main__":
    main()
