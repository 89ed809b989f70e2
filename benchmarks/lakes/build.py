"""Lakes for measuring lineage: families of small models really trained, everything about them known.

    python -m benchmarks.lakes.build --architecture llama --seed 3 --models 24 [--names strip] [--published bf16] [OUT]

writes `OUT/org/name/` directories and the truth to `OUT.truth.json`; without OUT, into `.cache/lakes/`, once for each
set of options.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.lakes.architectures import ARCHITECTURES, Architecture
from benchmarks.lakes.growing import GrowingLake, Member, dtype_name
from benchmarks.lakes.operations import OPERATIONS, operations_for
from benchmarks.lakes.precision import HALVES, cut
from benchmarks.lakes.training import deterministic
from benchmarks.lakes.truth import Family, TrueModel, Truth, truth_path
from benchmarks.lakes.writing import card, published_adapter, write_adapter, write_model

RECIPE = 2
"""Raised whenever the same options make another lake."""

CACHE = Path(".cache/lakes")
START = datetime(2025, 1, 6, 8, 0, tzinfo=UTC)
WRITTEN_AT = START.timestamp()
FIRST_TUNES = 5


def grow(architecture: Architecture, *, seed: int, models: int, published: str | None = None) -> GrowingLake:
    """Train a lake of about `models` models, of which each is stored in the dtype `published`, if one is given.

    Families a and b are independent. In every other lake (odd seeds) b is trained on the same data as a, and a third
    family, c, starts from the same random weights as a and sees the same data in another order.
    """
    deterministic(seed)
    lake = GrowingLake(architecture, seed, None if published is None else HALVES[published])
    sources, hard = architecture.root_sources, seed % 2 == 1
    start = 10_000 + 10 * seed
    steps = architecture.root_steps
    lake.add_root(initialisation=start, source=sources[0], seed=start, steps=steps)
    lake.add_root(initialisation=start + 1, source=sources[0 if hard else 1], seed=start + 1, steps=steps)
    if models >= 16:
        third = start if hard else start + 2
        lake.add_root(initialisation=third, source=sources[0 if hard else 2], seed=start + 2, steps=steps)
    allowed = operations_for(architecture)
    left = models - len(lake.members)
    count = min(len(allowed), round(left * 0.48))
    chosen = [allowed[(seed * count + step) % len(allowed)] for step in range(count)]
    plan: list[str | None] = [*chosen, *[None] * (left - count - FIRST_TUNES)]
    lake.rng.shuffle(plan)
    for step in [None] * min(FIRST_TUNES, left - count) + plan:
        if step is None:
            lake.add_fine_tune(lake.pick(), lake.draw_settings())
        else:
            OPERATIONS[step](lake)
    if models >= 16:
        lake.hide_one()
    return lake


def write(lake: GrowingLake, out: Path, *, strip: bool, models: int) -> Truth:
    """Write a lake and its truth; with `strip`, under names that tell nothing, without cards and dates."""
    work = out.with_name(out.name + ".part")
    if work.exists():
        shutil.rmtree(work)
    names = _names(lake, strip=strip)
    for member in lake.members.values():
        if member.present:
            _write_member(lake, member, work / names[member.name], names, strip=strip)
    truth = _truth(lake, names, models=models, strip=strip)
    if strip:
        for path in work.rglob("*"):
            os.utime(path, (WRITTEN_AT, WRITTEN_AT))
    work.rename(out)
    truth.write(truth_path(out))
    return truth


def build(architecture: str, *, seed: int, models: int, strip: bool, out: Path, published: str | None = None) -> Truth:
    """Grow and write a lake; one that stands there already is read instead."""
    if truth_path(out).exists() and out.is_dir():
        return Truth.read(truth_path(out))
    if out.exists():
        raise SystemExit(f"{out}: exists already and has no truth beside it; name a new directory")
    out.parent.mkdir(parents=True, exist_ok=True)
    lake = grow(ARCHITECTURES[architecture], seed=seed, models=models, published=published)
    return write(lake, out, strip=strip, models=models)


def cached(
    architecture: str,
    *,
    seed: int,
    models: int = 24,
    strip: bool = True,
    published: str | None = None,
    cache: Path = CACHE,
) -> Path:
    """The directory of a lake, trained now if it was not before."""
    kept = f"{'-strip' if strip else ''}{f'-{published}' if published else ''}"
    out = cache / f"{architecture}-{seed}-{models}{kept}-r{RECIPE}"
    build(architecture, seed=seed, models=models, strip=strip, out=out, published=published)
    return out


def _names(lake: GrowingLake, *, strip: bool) -> dict[str, str]:
    if not strip:
        return {name: name for name in lake.members}
    order = np.random.default_rng((lake.seed, 5)).permutation(len(lake.members))
    return {name: f"lake/model-{number + 1:04}" for name, number in zip(lake.members, order.tolist(), strict=True)}


def _write_member(lake: GrowingLake, member: Member, directory: Path, names: dict[str, str], *, strip: bool) -> None:
    parents = [names[edge.parent] for edge in lake.edges if edge.child == member.name]
    text = None if strip else _card(member, parents)
    if member.form == "adapter":
        config = {**member.config, "base_model_name_or_path": None if strip else parents[0]}
        write_adapter(directory, published_adapter(member.state), config, card=text)
    else:
        state = member.state
        if lake.published is not None and dtype_name(state) == "float32":
            state = cut(state, lake.published)
        write_model(directory, state, {**member.config, "torch_dtype": dtype_name(state)}, card=text, form=member.form)


def _card(member: Member, parents: Iterable[str]) -> str:
    named = list(parents)
    matter: dict[str, object] = {"license": "apache-2.0"}
    if named:
        matter["base_model"] = named if len(named) > 1 else named[0]
    return card(member.name.split("/")[1], f"Made from {' and '.join(named) or 'random weights'}.", matter)


def _truth(lake: GrowingLake, names: dict[str, str], *, models: int, strip: bool) -> Truth:
    rng = np.random.default_rng((lake.seed, 6))
    days = np.cumsum(rng.uniform(0.5, 20, len(lake.members))).tolist()
    roots = [names[member.name] for member in lake.members.values() if not member.depth and "root" in member.name]
    return Truth(
        architecture=lake.architecture.name,
        seed=lake.seed,
        models=tuple(
            TrueModel(
                name=names[member.name],
                family=roots[member.family],
                kind="adapter" if member.form == "adapter" else "full",
                present=member.present,
                created_at=(START + timedelta(days=day)).isoformat(timespec="seconds"),
                loss=member.loss,
                details={"made_as": member.name, "depth": member.depth, **member.details},
            )
            for member, day in zip(lake.members.values(), days, strict=True)
        ),
        edges=tuple(replace(edge, child=names[edge.child], parent=names[edge.parent]) for edge in lake.edges),
        families=tuple(
            Family(
                root=root,
                initialisation=lake.initialisations[number],
                members=tuple(names[m.name] for m in lake.members.values() if m.family == number),
            )
            for number, root in enumerate(roots)
        ),
        duplicates=tuple(tuple(names[name] for name in group) for group in lake.duplicates),
        settings={"models": models, "strip": strip, "recipe": RECIPE, "configuration": lake.architecture.configuration},
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--architecture", choices=sorted(ARCHITECTURES), required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=int, default=24)
    parser.add_argument("--names", choices=("keep", "strip"), default="keep")
    parser.add_argument("--published", choices=sorted(HALVES), help="store every model in this dtype")
    options = parser.parse_args()
    strip = options.names == "strip"
    if options.out is None:
        out = cached(
            options.architecture, seed=options.seed, models=options.models, strip=strip, published=options.published
        )
    else:
        out = options.out
        build(
            options.architecture,
            seed=options.seed,
            models=options.models,
            strip=strip,
            out=out,
            published=options.published,
        )
    truth = Truth.read(truth_path(out))
    present = sum(model.present for model in truth.models)
    print(f"{out}: {present} models, {len(truth.edges)} edges; truth in {truth_path(out)}")


if __name__ == "__main__":
    main()
