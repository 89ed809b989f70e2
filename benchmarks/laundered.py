"""Lineage after laundering: `python -m benchmarks.laundered [--only LAUNDERING...] LAKE...`.

A quarter of the models of a lake, or all, are permuted, or permuted and rescaled, each by draws of its own, in memory;
the lake is scored before and after. A laundered copy and its source count as one there, since nothing can tell them
apart once both are laundered. Then pairs of independent models of one configuration are tried as if one were a
laundered copy of the other, as hard as the matching will: none may be claimed. Llamas are tried as rotated as well.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.lakes.architectures import ARCHITECTURES
from benchmarks.lakes.laundering import permuted, rescaled
from benchmarks.lakes.symmetries import Coupling
from benchmarks.lakes.training import State
from benchmarks.lakes.truth import Truth, truth_path, with_duplicates
from benchmarks.lakes.writing import published
from benchmarks.lineage_accuracy import equal_models, lake_fingerprints, scored
from benchmarks.scoring import Score, Share
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from ingest.discovery import discover
from ingest.fingerprint import take_fingerprint
from ingest.model_source import ModelSource
from ingest.readers import open_tensors
from ingest.tensors import STORAGE, TensorInfo
from lineage.forking import each
from lineage.symmetry.aligning import aligned
from lineage.symmetry.mapped import network_of
from lineage.symmetry.placing import LOG10_P
from lineage.symmetry.rotation import turn_between

EVERY = 4
"""In one of the tries every so many-th model is laundered."""

LAUNDERINGS: Mapping[str, str] = MappingProxyType(
    {
        "none": "none",
        "permuted": "all permuted",
        "quarter": "a quarter permuted and rescaled",
        "all": "all permuted and rescaled",
    }
)

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}


class StateSource:
    """A state dict as a source of tensors."""

    format = "memory"
    model_type = ""
    location = "memory"

    def __init__(self, state: State) -> None:
        self._state = {name: tensor.contiguous() for name, tensor in state.items()}
        self._names = {dtype: name for name, dtype in _DTYPES.items()}

    @property
    def tensors(self) -> Sequence[TensorInfo]:
        """All tensors, by name."""
        return [
            TensorInfo(name=name, dtype=self._names[tensor.dtype], shape=tuple(tensor.shape))
            for name, tensor in sorted(self._state.items())
        ]

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        """Values as stored."""
        flat = self._state[tensor.name].reshape(-1)[start:stop]
        values = flat.view(torch.int16).numpy() if flat.dtype is torch.bfloat16 else flat.numpy()
        return values.view(STORAGE[tensor.dtype])

    def close(self) -> None:
        """Nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def laundered(state: State, architecture: str, config: dict[str, Any], seed: int, *, scales: bool) -> State:
    """A state dict with all its units permuted and, if wanted, rescaled."""
    couplings = [_renamed(item, state) for item in ARCHITECTURES[architecture].couplings(config)]
    moved = permuted(state, couplings, seed)
    return rescaled(moved, couplings, seed + 1) if scales else moved


def _renamed(coupling: Coupling, state: State) -> Coupling:
    """The coupling under the names that the state has; members that it lacks fall away."""
    members = []
    for member in coupling.members:
        for name in (published(member.name), f"transformer.{member.name}", f"model.{member.name}"):
            if name in state:
                members.append(replace(member, name=name))
                break
    return replace(coupling, members=tuple(members))


def laundered_lake(lake: Path, architecture: str, seed: int, *, scales: bool = True) -> dict[str, Fingerprint]:
    """Fingerprints of a lake's models, all of them laundered, by name."""
    found = {}
    for number, source in enumerate(discover([lake])):
        if not isinstance(source, ModelSource) or not source.weights or source.weights[0].adapter_config is not None:
            continue
        weights = source.weights[0]
        config = json.loads(weights.config.read_text(1 << 20)[0]) if weights.config is not None else {}
        with open_tensors(weights.files) as opened:
            state = {info.name: _tensor(opened.read(info, 0, info.size), info) for info in opened.tensors}
        copy = laundered(state, architecture, config, 1000 * seed + 10 * number, scales=scales)
        found[source.id] = take_fingerprint(StateSource(copy), config=config)
    return found


def _tensor(stored: NDArray[np.generic], info: TensorInfo) -> torch.Tensor:
    values = torch.from_numpy(stored.copy().view(np.int16) if info.dtype == "BF16" else stored.copy())
    return (values.view(torch.bfloat16) if info.dtype == "BF16" else values).reshape(info.shape)


def without_laundering(truth: Truth) -> Truth:
    """The truth with every laundered copy a duplicate of its source, and without adapters, which fit none laundered."""
    copies = [(edge.child, edge.parent) for edge in truth.edges if edge.relation is Relation.REPARAMETRIZED_FROM]
    edges = tuple(edge for edge in truth.edges if edge.relation is not Relation.ADAPTED_FROM)
    return with_duplicates(replace(truth, edges=edges), copies)


def strangers(
    truth: Truth, named: Mapping[str, Fingerprint], most: int
) -> Iterable[tuple[Fingerprint, Fingerprint, bool]]:
    """Pairs from different families, and whether the two started from the same random weights."""
    family = {name: entry for entry in truth.families for name in entry.members if name in named}
    pairs = [(one, two) for one, two in combinations(sorted(family), 2) if family[one].root != family[two].root]
    for place in np.linspace(0, len(pairs) - 1, min(most, len(pairs))).astype(int).tolist():
        one, two = pairs[place]
        if named[one].kind != "adapter" and named[two].kind != "adapter":
            yield named[one], named[two], family[one].initialisation == family[two].initialisation


def launderings(
    lake: Path, truth: Truth, full: Mapping[str, Fingerprint], seed: int, only: Collection[str]
) -> Iterator[tuple[str, Mapping[str, Fingerprint]]]:
    """The lake laundered in the ways of `only`."""
    if "none" in only:
        yield "none", full
    if "permuted" in only:
        yield "permuted", laundered_lake(lake, truth.architecture, seed, scales=False)
    if {"quarter", "all"} & set(only):
        both = laundered_lake(lake, truth.architecture, seed)
        some = {name for place, name in enumerate(sorted(full)) if place % EVERY == seed % EVERY}
        if "quarter" in only:
            yield "quarter", {name: (both if name in some else full)[name] for name in full}
        if "all" in only:
            yield "all", both


@dataclass(frozen=True, slots=True, kw_only=True)
class _Study:
    """What came out on one lake.

    Attributes
    ----------
    scores : mapping of str to Score
        By laundering.
    pairs : tuple of (log10 of p, whether the two started alike)
        Of independent models tried as laundered.
    """

    scores: Mapping[str, Score]
    pairs: tuple[tuple[float, bool], ...]


def study(lake: Path, *, seed: int, pairs: int, only: Collection[str]) -> _Study:
    """Score one lake, and try its strangers."""
    torch.set_num_threads(1)
    truth, named = Truth.read(truth_path(lake)), lake_fingerprints(lake)
    full = {name: item for name, item in named.items() if item.kind != "adapter"}
    known = with_duplicates(without_laundering(truth), equal_models(full))
    scores = {words: scored(each_model, known)[2] for words, each_model in launderings(lake, truth, full, seed, only)}
    tried = []
    for one, two, same_start in strangers(truth, named, pairs):
        mine, theirs = network_of(one), network_of(two)
        turn = turn_between(mine, theirs)
        tried.append((min(aligned(mine, theirs).log10_p, 0.0 if turn is None else turn.log10_p), same_start))
    return _Study(scores=scores, pairs=tuple(tried))


def main(arguments: Sequence[str] | None = None) -> None:
    """Score lakes before and after, and print a table; then the false positives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("lakes", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the laundering")
    parser.add_argument("--pairs", type=int, default=40, help="pairs of independent models to try in each lake")
    parser.add_argument("--only", nargs="+", choices=LAUNDERINGS, default=list(LAUNDERINGS), metavar="LAUNDERING")
    chosen = parser.parse_args(arguments)
    table = Table("lake", "laundering", "parents", "fine-tunes", "types", "roots", "merges", "between families", "ECE")
    results: dict[str, list[Score]] = {}
    pairs: list[tuple[float, bool]] = []
    work = each(
        lambda number: study(chosen.lakes[number], seed=chosen.seed, pairs=chosen.pairs, only=chosen.only),
        [1.0] * len(chosen.lakes),
    )
    for lake, found in zip(chosen.lakes, work, strict=True):
        for words, result in found.scores.items():
            table.add_row(lake.name, LAUNDERINGS[words], *_columns(result))
            results.setdefault(words, []).append(result)
        pairs += found.pairs
    for words, every in results.items():
        table.add_row("sum", LAUNDERINGS[words], *_sums(every))
    console = Console(width=160)
    console.print(table)
    apart, alike = [p for p, same in pairs if not same], [p for p, same in pairs if same]
    claimed = sum(p <= LOG10_P for p in apart)
    least = min(apart, default=0.0)
    console.print(f"independent pairs tried as laundered: {len(apart)}, claimed {claimed}, smallest p 1e{least:.1f}")
    console.print(f"pairs from the same random weights: {len(alike)}, kin {sum(p <= LOG10_P for p in alike)}")


def _shares(found: Score) -> tuple[Share, ...]:
    fine = found.parents_by_relation.get(Relation.FINE_TUNED_FROM, Share(right=0, total=0))
    return found.parents, fine, found.edge_types, found.roots, found.merge_precision, found.merge_recall


def _columns(found: Score) -> Iterable[str]:
    *shares, precision, recall = (f"{share.right}/{share.total}" for share in _shares(found))
    yield from (
        *shares,
        f"{precision} {recall}",
        f"{found.strangers}+{found.cousins}",
        f"{found.calibration_error:.3f}",
    )


def _sums(every: Sequence[Score]) -> Iterable[str]:
    columns = zip(*map(_shares, every), strict=True)
    *shares, precision, recall = (f"{sum(s.right for s in some)}/{sum(s.total for s in some)}" for some in columns)
    strange = f"{sum(item.strangers for item in every)}+{sum(item.cousins for item in every)}"
    yield from (*shares, f"{precision} {recall}", strange, "")


if __name__ == "__main__":
    main()
