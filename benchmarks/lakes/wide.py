"""Wide lakes: families of one-layer decoders of hidden size 1024 and 2048, full fine-tunes only, up to four deep.

    python -m benchmarks.lakes.wide --number 0 [OUT]

Numbers 0 and 1 are families of 15 models of width 1024, number 2 is one of 10 models of width 2048.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.lakes.architectures import ARCHITECTURES, Architecture, windows
from benchmarks.lakes.build import CACHE, RECIPE, write
from benchmarks.lakes.growing import GrowingLake
from benchmarks.lakes.training import deterministic
from benchmarks.lakes.truth import truth_path

SIZES = ((1024, 15), (1024, 15), (2048, 10))
ROOT_STEPS = 200
STEPS = (40, 160)
DEPTH = 4
WINDOW, BATCH = 32, 8


def _small_batches(source: str, rng: np.random.Generator) -> dict[str, Tensor]:
    tokens = windows(source, rng, WINDOW, BATCH)
    return {"input_ids": tokens, "labels": tokens}


def wide(width: int) -> Architecture:
    """A llama of one layer."""
    small = ARCHITECTURES["llama"]
    shape = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 1,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
    }
    return replace(
        small,
        name=f"llama-{width}",
        configuration={**small.configuration, **shape},
        batches=_small_batches,
        root_steps=ROOT_STEPS,
        root_rate=3e-4,
    )


def build(number: int, out: Path) -> None:
    """Train and write one family under names that tell nothing."""
    width, models = SIZES[number]
    architecture = wide(width)
    deterministic(number)
    lake = GrowingLake(architecture, 100 + number)
    lake.add_root(
        initialisation=50_000 + number, source=architecture.root_sources[number], seed=number, steps=ROOT_STEPS
    )
    while len(lake.members) < models:
        parent = lake.pick(family=0)
        if parent.depth < DEPTH:
            settings = replace(lake.draw_settings(steps=STEPS), optimizer="adamw", frozen=())
            rate = min(max(settings.learning_rate, 5e-5), 3e-4)
            lake.add_fine_tune(parent, replace(settings, learning_rate=rate))
    out.parent.mkdir(parents=True, exist_ok=True)
    write(lake, out, strip=True, models=models)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--number", type=int, choices=range(len(SIZES)), default=0)
    options = parser.parse_args()
    out = options.out or CACHE / f"wide-{SIZES[options.number][0]}-{options.number}-strip-r{RECIPE}"
    if not (out.is_dir() and truth_path(out).exists()):
        build(options.number, out)
    print(f"{out}: {SIZES[options.number][1]} models; truth in {truth_path(out)}")


if __name__ == "__main__":
    main()
