"""Lakes of adapters, to fit what tells the base of one: `benchmarks.lakes.adapters --architecture A --seed N`.

A root with a dozen fine-tunes and two merges, and as many LoRAs kept as adapters, each trained on any of these; and a
second family, so that there is another to hold them against. In the other lakes an adapter is too rare to learn from.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.lakes.architectures import ARCHITECTURES, Architecture
from benchmarks.lakes.build import CACHE, RECIPE, write
from benchmarks.lakes.growing import GrowingLake
from benchmarks.lakes.operations import OPERATIONS
from benchmarks.lakes.training import deterministic
from benchmarks.lakes.truth import truth_path

FINE_TUNES, ADAPTERS = 12, 14
MERGES = ("merge-linear", "merge-task")


def grow(architecture: Architecture, *, seed: int) -> GrowingLake:
    """Train the lake."""
    deterministic(seed)
    lake = GrowingLake(architecture, seed)
    for number in range(2):
        start = 10_000 + 10 * seed + number
        source = architecture.root_sources[number]
        lake.add_root(initialisation=start, source=source, seed=start, steps=architecture.root_steps)
    for _ in range(FINE_TUNES):
        lake.add_fine_tune(lake.pick(), lake.draw_settings())
    for name in MERGES:
        OPERATIONS[name](lake)
    for _ in range(ADAPTERS):
        OPERATIONS["lora-kept"](lake)
    return lake


def cached(architecture: str, *, seed: int, cache: Path = CACHE) -> Path:
    """The directory of a lake, trained now if it was not before."""
    out = cache / f"{architecture}-{seed}-adapters-strip-r{RECIPE}"
    if not truth_path(out).exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        grown = grow(ARCHITECTURES[architecture], seed=seed)
        write(grown, out, strip=True, models=len(grown.members))
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one lake and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    able = sorted(name for name, item in ARCHITECTURES.items() if item.adapted)
    parser.add_argument("--architecture", choices=able, required=True)
    parser.add_argument("--seed", type=int, required=True)
    chosen = parser.parse_args(arguments)
    print(cached(chosen.architecture, seed=chosen.seed))


if __name__ == "__main__":
    main()
