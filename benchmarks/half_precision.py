"""Lakes in 16 bits, as most models are published: `python -m benchmarks.half_precision LAKE...`.

Every model of a lake is cast to bfloat16, into a folder of its own, and the same inference is scored. Copies that
differed by their precision alone become one version or none of the other, so that only fine-tunes and merges are shown.
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
        save_file({name: _cut(tensor) for name, tensor in load_file(path).items()}, path)
    for path in work.rglob("*.bin"):
        state = torch.load(path, weights_only=True)
        torch.save({name: _cut(tensor) for name, tensor in state.items()}, path)
    shutil.rmtree(out, ignore_errors=True)
    work.rename(out)
    shutil.copy(truth_path(lake), truth_path(out))
    return out


def _cut(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row a lake, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakes", nargs="+", type=Path)
    table = Table("lake", "fine-tunes", "merge precision", "merge recall", "coefficient error", "strangers")
    rows: list[tuple[Share, ...]] = []
    for lake in parser.parse_args(arguments).lakes:
        _, _, score = infer_lake(halved(lake))
        fine = score.parents_by_relation.get(Relation.FINE_TUNED_FROM, Share(right=0, total=0))
        rows.append((fine, score.merge_precision, score.merge_recall))
        table.add_row(lake.name, *map(str, rows[-1]), f"{score.coefficient_error:.4f}", str(score.strangers))
    sums = [
        Share(right=sum(s.right for s in column), total=sum(s.total for s in column))
        for column in zip(*rows, strict=True)
    ]
    table.add_row("all", *map(str, sums), "", "")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
