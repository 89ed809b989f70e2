"""Accuracy against the size of fingerprints: `python -m benchmarks.fingerprint_size LAKE...`.

Fingerprints of each lake are taken with less and less room, and once with room for everything (full weights), and the
same inference is scored on each.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.lineage_accuracy import infer_lake
from benchmarks.scoring import Share
from graph_schema.labels import Relation
from ingest.fingerprint.plan import BlockPlan

PLANS = (
    *(BlockPlan(budget=kilobytes * 1000) for kilobytes in (60, 125, 250, 500, 1000, 2000, 4000)),
    BlockPlan(budget=1 << 40, large_blocks=1 << 20, large_side=1 << 20),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row a size, over all lakes together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakes", nargs="+", type=Path)
    chosen = parser.parse_args(arguments)
    table = Table("at most", "parents", "fine-tunes", "undirected", "merge precision", "merge recall", "strangers")
    for plan in PLANS:
        scores = [infer_lake(lake, plan=plan)[2] for lake in chosen.lakes]
        fine = [score.parents_by_relation.get(Relation.FINE_TUNED_FROM, Share(right=0, total=0)) for score in scores]
        table.add_row(
            "everything" if plan is PLANS[-1] else f"{plan.budget // 1000} KB",
            _sum([score.parents for score in scores]),
            _sum(fine),
            _sum([score.undirected for score in scores]),
            _sum([score.merge_precision for score in scores]),
            _sum([score.merge_recall for score in scores]),
            str(sum(score.strangers for score in scores)),
        )
    Console(width=120).print(table)


def _sum(shares: Sequence[Share]) -> str:
    return str(Share(right=sum(share.right for share in shares), total=sum(share.total for share in shares)))


if __name__ == "__main__":
    main()
