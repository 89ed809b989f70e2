"""The slow studies behind `docs/benchmarks.md`, one after the other: `make bench`.

Lakes are trained once and kept in `.cache/lakes`: those of 24 models take one to four minutes each, those of 48 five to
fourteen, two at a time on two busy cores.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.lakes import one_kind
from benchmarks.lakes.architectures import ARCHITECTURES
from benchmarks.lakes.build import CACHE, RECIPE, cached
from benchmarks.lakes.wide import SIZES

DEVELOPMENT = (0, 1)
MODELS = 48
FITTED = (70, 80)
"""Seeds that the numbers of the inference are fitted on, in lakes of that size."""

ADAPTERS = (900,)
"""Seeds of the lakes of adapters that they are fitted on as well."""

STUDENTS = (911,)
"""Seeds of the lakes of students from random weights that were scored before their errors were read."""

HELD_BACK = (90, 91, 92, 93, 94, 95, 96)
"""Seeds that were scored before their errors were read, in lakes of that size too."""

SHIPPED = (101, 102, 103, 104, 105)
"""The same, with the numbers that are shipped."""

LARGER, BLIND = (80,), (95,)
"""Seeds of lakes of that size whose sizes of fingerprints, rounding and laundering are studied, the latter blind."""

PUBLISHED = (80, 100)
"""Seeds of lakes of that size in which every model is stored in 16 bits."""


def lakes(seeds: tuple[int, ...], *, models: int = 24, published: str | None = None) -> list[str]:
    """The lakes of all architectures and some seeds, trained now if they were not before."""
    return [
        str(cached(name, seed=seed, models=models, published=published))
        for name in sorted(ARCHITECTURES)
        for seed in seeds
    ]


def lakes_of_one_kind(kind: str, seeds: tuple[int, ...]) -> list[str]:
    """Those of all architectures that have such children."""
    return [
        str(one_kind.cached(name, kind=kind, seed=seed)) for name in one_kind.architectures_for(kind) for seed in seeds
    ]


def studies() -> list[list[str]]:
    """Modules and their arguments, in the order of the page."""
    development, held_back = lakes(DEVELOPMENT), lakes(HELD_BACK, models=MODELS)
    fitted = [*lakes(FITTED, models=MODELS), *lakes_of_one_kind("adapters", ADAPTERS)]
    wide = [str(CACHE / f"wide-{width}-{number}-strip-r{RECIPE}") for number, (width, _) in enumerate(SIZES)]
    return [
        ["benchmarks.held_back", "--kinds", "--fit", *fitted, "--score", *held_back],
        ["benchmarks.held_back", "--kinds", "--score", *lakes(SHIPPED, models=MODELS)],
        ["benchmarks.edge_kinds", *lakes_of_one_kind("students", STUDENTS)],
        ["benchmarks.edge_kinds", *development, *held_back],
        ["benchmarks.cue_signs", *fitted],
        *(["benchmarks.lakes.wide", "--number", str(number)] for number in range(len(SIZES))),
        ["benchmarks.lineage_accuracy", *wide],
        ["benchmarks.fingerprint_size", *lakes(LARGER, models=MODELS)],
        ["benchmarks.half_precision", *lakes(PUBLISHED, models=MODELS, published="bf16")],
        ["benchmarks.half_precision", "--cast", *development, *lakes(LARGER, models=MODELS)],
        ["benchmarks.laundered", *lakes(LARGER, models=MODELS)],
        ["benchmarks.laundered", *lakes(BLIND, models=MODELS)],
        ["benchmarks.laundered", "--only", "none", "all", "--pairs", "0", *lakes(SHIPPED[:1], models=MODELS)],
        ["benchmarks.peers", *held_back],
        ["benchmarks.demo_accuracy"],
        ["benchmarks.scale", "--hub", "5000", "--budget", "1000000"],
        ["benchmarks.fingerprint_throughput", "--gigabytes", "4"],
        ["benchmarks.claim_extraction"],
        ["benchmarks.dataset_sketches"],
    ]


def main() -> int:
    """Run every study in a process of its own; the number of those that failed."""
    failed = 0
    for study in studies():
        print(f"== python -m {' '.join(study)}", flush=True)
        failed += subprocess.run([sys.executable, "-W", "ignore", "-m", *study], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
