"""Lakes of one kind of children: `benchmarks.lakes.one_kind --kind adapters|students --architecture A --seed N`.

A root with a dozen fine-tunes and two merges, and as many LoRAs kept as adapters, or students trained from random
weights, each made from any of these; and a second family, so that there is another to hold them against. In the other
lakes adapters and such students are too rare to learn from.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from benchmarks.lakes.architectures import ARCHITECTURES, Architecture
from benchmarks.lakes.build import CACHE, RECIPE, write
from benchmarks.lakes.growing import GrowingLake
from benchmarks.lakes.operations import OPERATIONS, operations_for
from benchmarks.lakes.training import deterministic
from benchmarks.lakes.truth import truth_path

FINE_TUNES, CHILDREN = 12, 14
MERGES = ("merge-linear", "merge-task")
KINDS: Mapping[str, str] = MappingProxyType({"adapters": "lora-kept", "students": "student-scratch"})
"""The operation that makes each kind."""


def architectures_for(kind: str) -> list[str]:
    """The architectures in which there are such children, sorted."""
    return sorted(name for name, item in ARCHITECTURES.items() if KINDS[kind] in operations_for(item))


def grow(architecture: Architecture, *, kind: str, seed: int) -> GrowingLake:
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
    for _ in range(CHILDREN):
        OPERATIONS[KINDS[kind]](lake)
    return lake


def cached(architecture: str, *, kind: str, seed: int, cache: Path = CACHE) -> Path:
    """The directory of a lake, trained now if it was not before."""
    out = cache / f"{architecture}-{seed}-{kind}-strip-r{RECIPE}"
    if not truth_path(out).exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        grown = grow(ARCHITECTURES[architecture], kind=kind, seed=seed)
        write(grown, out, strip=True, models=len(grown.members))
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one lake and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    parser.add_argument("--architecture", choices=sorted(ARCHITECTURES), required=True)
    parser.add_argument("--seed", type=int, required=True)
    chosen = parser.parse_args(arguments)
    if chosen.architecture not in architectures_for(chosen.kind):
        parser.error(f"there are no {chosen.kind} of {chosen.architecture} models")
    print(cached(chosen.architecture, kind=chosen.kind, seed=chosen.seed))


if __name__ == "__main__":
    main()
