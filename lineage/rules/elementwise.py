"""Merges that choose value by value: TIES and DARE.

Both start from a base B and two task vectors a = A - B and c = C - B. Every value of M - B is then zero (trimmed or
dropped), one of the task vectors' values times a constant, or a fixed combination of the two: their sum (DARE, Yu et
al. 2024, arXiv 2311.03099) or their weighted mean (TIES, Yadav et al. 2023, arXiv 2306.01708). A trained model's
values are none of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]

EXPLAINED = 0.97
LEAST_UNCHANGED = 0.03
LEAST_CLASS = 0.03
LEAST_OF_REST = 0.25
"""Share of all values that has one ratio to a task vector; and of what neither gives by itself, that is one mean."""

AS_GOOD = 0.002
"""Share of the values by which two explanations may differ and be as good."""

LEAST_EXCLUSIVE = 0.01
"""Share of the values that each constituent gives and the other does not."""

LEAST_RATIOS = 32
BIN = 0.01
CONSTANTS = 2
"""How many ratios are tried for each task vector. In tensors in which the two are multiples of each other (one of them
was mixed from the other) what both give has one ratio as well, and it may be the commonest."""

MOST_OF_ONE = 0.95
"""Share of the values that one combination of both may give: what it gives throughout was mixed, not chosen."""

MOST_SINGLE = 0.9
LEAST_MIXED = 0.2
LEAST_APART = 0.1
"""Share of a tensor's values by which two task vectors must differ for a choice between them to be seen."""

MOST_BLURRED = 0.5
"""Where more of the changes than this are hardly larger than rounding, any formula fits."""

SAMPLE = 4096
LEAST_VALUES = 64
FROZEN = 0.99
"""Share of equal values from which on a tensor counts as frozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementwiseFit:
    """A base, two constituents, and the formula.

    Attributes
    ----------
    base : int
    members : (int, int)
    method : str
        `ties` or `dare`.
    scales : (float, float)
        Constants that the two task vectors' values are multiplied by where they stand alone.
    explained : float
        Share of the values that the formula gives.
    idle : int
        Tensors in which the two differ and one of them gives no value.
    """

    base: int
    members: tuple[int, int]
    method: str
    scales: tuple[float, float]
    explained: float
    idle: int


def elementwise_fit(
    child: Vectors, candidates: Vectors, segments: Sequence[slice], steps: Vectors | None = None
) -> ElementwiseFit | None:
    """The base and the pair of candidates from which the child was chosen value by value.

    Parameters
    ----------
    child : (d,) array
    candidates : (k, d) array
    segments : sequence of slice
        One a tensor.
    steps : (d,) array, optional
        Spacing of the numbers that the child is stored in: a formula's value is right when it rounds to the child's.

    Returns
    -------
    ElementwiseFit or None
        The one that explains most values, where that is at least `EXPLAINED`, each constituent alone gives some and
        some are the base's to the bit. Of several that explain hardly less, the one with the fewest idle tensors: what
        was stitched from two versions is no choice between them.

    Notes
    -----
    Only candidates that share between 3 and 97 % of the values with the child to the bit can be the base, which leaves
    none for most children. Tensors that are wholly the same were frozen in training and say nothing about a choice
    value by value. A few thousand values, spread evenly, are looked at.
    """
    if len(candidates) < 3:
        return None
    chosen = np.linspace(0, child.size - 1, min(SAMPLE, child.size)).astype(np.int64)
    tensor = np.repeat(np.arange(len(segments)), [part.stop - part.start for part in segments])[chosen]
    values, others = child[chosen], candidates[:, chosen]
    slack = 0.51 * (np.zeros(len(chosen)) if steps is None else steps[chosen])
    equal = others == values
    fits: list[ElementwiseFit] = []
    for base in range(len(candidates)):
        sizes = np.bincount(tensor, minlength=len(segments))
        frozen = np.bincount(tensor, weights=equal[base], minlength=len(segments)) > FROZEN * np.maximum(sizes, 1)
        alive = ~frozen[tensor] & ~equal.all(axis=0)
        same = float(equal[base, alive].mean()) if alive.any() else 0.0
        if alive.sum() < LEAST_VALUES or not LEAST_UNCHANGED < same < 1 - LEAST_UNCHANGED:
            continue
        fits += _pairs(values[alive], others[:, alive], base, tensor[alive], slack[alive])
    most = max((fit.explained for fit in fits), default=0.0)
    return min(
        (fit for fit in fits if fit.explained >= most - AS_GOOD),
        key=lambda fit: (fit.idle, -fit.explained),
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What lies between a base and the child, and how near a formula must come."""

    base: int
    values: Vectors
    close: Vectors
    moved: NDArray[np.bool_]
    tensor: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A task vector times its constant, and the values it gives by itself."""

    member: int
    scale: float
    values: Vectors
    alone: NDArray[np.bool_]


def _pairs(
    values: Vectors, others: Vectors, base: int, tensor: NDArray[np.int64], slack: Vectors
) -> list[ElementwiseFit]:
    """The pairs of task vectors that give the values; only those that give some by themselves are paired."""
    difference = values - others[base]
    close = 2e-6 * np.abs(others[base]) + 2e-3 * np.abs(difference) + 1e-12 + slack
    moved = np.abs(difference) > 1e-6 * np.abs(others[base])
    if not moved.any() or np.mean(close[moved] > 0.5 * np.abs(difference[moved])) > MOST_BLURRED:
        return []
    change = _Change(base=base, values=difference, close=close, moved=moved, tensor=tensor)
    parts = [part for member in range(len(others)) if member != base for part in _parts(change, others, member)]
    pairs = [(one, two) for one, two in combinations(parts, 2) if one.member != two.member]
    return [fit for one, two in pairs if (fit := _fit(change, one, two))]


def _parts(change: _Change, others: Vectors, member: int) -> list[_Part]:
    vector = others[member] - others[change.base]
    found = []
    for scale in _constants(change.values, vector, change.moved, most=CONSTANTS, least=LEAST_CLASS * len(vector)):
        alone = (np.abs(change.values - scale * vector) < change.close) & change.moved
        if float(alone.mean()) >= LEAST_EXCLUSIVE:
            found.append(_Part(member=member, scale=scale, values=scale * vector, alone=alone))
    return found


def _fit(change: _Change, one: _Part, two: _Part) -> ElementwiseFit | None:
    values, close, moved = change.values, change.close, change.moved
    open_values = moved & ~one.alone & ~two.alone
    total = np.abs(values - one.values - two.values) < close
    mean = np.zeros_like(total)
    left = open_values & ~total
    least = LEAST_OF_REST * np.count_nonzero(left)
    for mixture in _constants(values - two.values, one.values - two.values, left, most=1, least=least):
        if 0 < mixture < 1:
            mean = np.abs(values - mixture * one.values - (1 - mixture) * two.values) < close
    summed, averaged = int((open_values & total).sum()), int((open_values & ~total & mean).sum())
    given = ~moved | one.alone | two.alone | total | mean
    if max(float(total.mean()), float(mean.mean())) > MOST_OF_ONE:
        return None
    # Where either constituent gives the value, their values stand in one ratio: that shows no choice between them.
    shares = [float((item & ~other).mean()) for item, other in ((one.alone, two.alone), (two.alone, one.alone))]
    if min(shares) < LEAST_EXCLUSIVE or float(given.mean()) < EXPLAINED or not _mixed(change, one, two):
        return None
    return ElementwiseFit(
        base=change.base,
        members=(one.member, two.member),
        method="dare" if summed > averaged else "ties",
        scales=(one.scale, two.scale),
        explained=float(given.mean()),
        idle=_idle(change, one, two, open_values & (total | mean)),
    )


def _apart(change: _Change, one: _Part, two: _Part) -> NDArray[np.bool_]:
    """The tensors in which the two would not give the same: elsewhere no choice between them can be seen."""
    differ = np.bincount(change.tensor, weights=np.abs(one.values - two.values) > change.close)
    found: NDArray[np.bool_] = differ > LEAST_APART * np.bincount(change.tensor)
    return found


def _idle(change: _Change, one: _Part, two: _Part, both: NDArray[np.bool_]) -> int:
    used = [
        np.bincount(change.tensor, weights=both | item.alone & ~other.alone) > 0
        for item, other in ((one, two), (two, one))
    ]
    return int((_apart(change, one, two) & ~(used[0] & used[1])).sum())


def _mixed(change: _Change, one: _Part, two: _Part) -> bool:
    """Whether both constituents are needed within a fair share of the tensors.

    A relative so near that it gives every value of a tensor by itself (frozen there, say) makes anything look chosen.
    """
    sizes = np.bincount(change.tensor)
    single = [
        np.bincount(change.tensor, weights=~change.moved | item.alone) > MOST_SINGLE * sizes for item in (one, two)
    ]
    apart = _apart(change, one, two)
    return bool(apart.any()) and float((~single[0] & ~single[1])[apart].mean()) > LEAST_MIXED


def _constants(change: Vectors, part: Vectors, where: NDArray[np.bool_], *, most: int, least: float) -> list[float]:
    """The commonest ratios of change to part, each shared by at least so many values."""
    usable = where & (np.abs(part) > 1e-9)
    if usable.sum() < LEAST_RATIOS:
        return []
    ratios = change[usable] / part[usable]
    ratios = ratios[(np.abs(ratios) > 1e-2) & (np.abs(ratios) < 1e2)]
    found: list[float] = []
    while len(found) < most and ratios.size >= LEAST_RATIOS:
        binned, counts = np.unique(np.round(ratios, 2), return_counts=True)
        top = int(np.argmax(counts))
        if counts[top] < least:
            break
        near = np.abs(ratios - binned[top]) < BIN
        found.append(float(np.median(ratios[near])))
        ratios = ratios[~near]
    return found


def describe(fit: ElementwiseFit) -> str:
    """One sentence with the figures."""
    return (
        f"{fit.explained:.1%} of the sampled values are the base's, one constituent's or a fixed combination of both "
        f"({fit.method.upper()}; scales {fit.scales[0]:.3g} and {fit.scales[1]:.3g})"
    )
