"""Lakes in 16 bits, as most models are published: `python -m benchmarks.half_precision [--cast] LAKE...`.

`benchmarks.lakes.build --published bf16` makes lakes in which every model is stored in bfloat16 and what is made from
it starts from what was stored. With `--cast`, any lake is taken, and its models are cast when all is done, into a
folder of its own: then not even a parent is what its child started from. Copies that differed by their precision alone
are one version there, and count as one.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file, save_file

from benchmarks.lakes.precision import cut
from benchmarks.lakes.truth import truth_path
from benchmarks.lineage_accuracy import infer_lake
from benchmarks.scoring import Share
from graph_schema.labels import Relation

CACHE = Path(".cache/half")


def halved(lake: Path) -> Path:
    """A copy of a lake in bfloat16, made once."""
    out = CACHE / f"{lake.resolve().name}-bf16"
    if truth_path(out).exists():
        return out
    work = out.with_name(out.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(lake, work)
    for path in work.rglob("*.safetensors"):
        save_file(cut(load_file(path), torch.bfloat16), path)
    for path in work.rglob("*.bin"):
        torch.save(cut(torch.load(path, weights_only=True), torch.bfloat16), path)
    shutil.rmtree(out, ignore_errors=True)
    work.rename(out)
    shutil.copy(truth_path(lake), truth_path(out))
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row a lake, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakes", nargs="+", type=Path)
    parser.add_argument("--cast", action="store_true", help="cast every model to bfloat16 first")
    chosen = parser.parse_args(arguments)
    table = Table(
        "lake", "parents", "fine-tunes", "types", "merge precision", "merge recall", "coefficient error", "strangers"
    )
    rows: list[tuple[Share, ...]] = []
    for lake in chosen.lakes:
        _, _, result = infer_lake(halved(lake) if chosen.cast else lake)
        fine = result.parents_by_relation.get(Relation.FINE_TUNED_FROM, Share(right=0, total=0))
        rows.append((result.parents, fine, result.edge_types, result.merge_precision, result.merge_recall))
        table.add_row(lake.name, *map(str, rows[-1]), f"{result.coefficient_error:.4f}", str(result.strangers))
    sums = [
        Share(right=sum(s.right for s in column), total=sum(s.total for s in column))
        for column in zip(*rows, strict=True)
    ]
    table.add_row("all", *map(str, sums), "", "")
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
