"""Exact scales of what a random choice of changes was added up from (DARE).

Where one constituent A stands alone in a merge M over the base B, M - B = c (A - B) with one c for the whole model. If
M and B have one scale in every unit and A is s times it, M = (1 - c) B + (c / s) A: two values of one unit give 1 - c,
and what most pairs of values in all units agree on is true. Then the values give s, unit by unit, as exactly.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from lineage.symmetry.couplings import Slot
from lineage.symmetry.exact_relations import LEAST_TOLD
from lineage.symmetry.exact_scales import NEARLY_ALL, commonest
from lineage.symmetry.scale_groups import Key, ScaleGroups
from lineage.symmetry.units import Array, Matrices, slice_of

SURE = 1e-5
"""A pair of values counts whose rounding moves what it gives by less."""

LEAST_PAIRS = 64
LEAST_AGREEING = 0.02
"""Share of the pairs that must give the same: where both constituents mostly stand together, few do."""

MOST_PAIRS = 60_000
STEPS = 4
"""Each value is paired with so many that come after it in its unit."""

MOST_SHARE = 3.0
MOVED = 1e-6
LEAST_UNCHANGED, MOST_UNCHANGED = 0.03, 0.97

CLOSE = 2e-3
LEAST_ALONE = 0.1

_EPSILON = 2.0**-23


def join_chosen(groups: ScaleGroups, exact: Sequence[tuple[int, int]], members: Sequence[int]) -> bool:
    """Join what a member was added up from, the base being known.

    Parameters
    ----------
    groups : ScaleGroups
    exact : sequence of (int, int)
        Pairs at one scale: a merge and its base may be among them.
    members : sequence of int
        What may have been added.

    Returns
    -------
    bool
        Whether anything was joined.
    """
    joined = False
    for merged, base in [*exact, *((two, one) for one, two in exact)]:
        known = [key for key in groups.shared(merged, base) if not groups.apart(key, merged, base).all()]
        if len(known) and LEAST_UNCHANGED < _unchanged(groups, merged, base, known) < MOST_UNCHANGED:
            for other in members:
                if other not in (merged, base):
                    joined |= _join(groups, merged, base, other)
    return joined


def _unchanged(groups: ScaleGroups, one: int, two: int, keys: Sequence[Key]) -> float:
    """Share of equal values in the coupled tensors that are not equal as a whole."""
    shares = []
    for role in dict.fromkeys(slot.role for key in keys for slot in key[0]):
        x, y = groups.matrices[one][role], groups.matrices[two][role]
        equal = float(np.mean(np.abs(x - y) <= MOVED * np.abs(y)))
        if equal < MOST_UNCHANGED:
            shares.append(equal)
    return float(np.mean(shares)) if shares else 1.0


def _join(groups: ScaleGroups, merged: int, base: int, other: int) -> bool:
    shared = groups.shared(merged, base, other)
    waiting = {
        key: coupling
        for key, coupling in shared.items()
        if groups.apart(key, merged, other).any() and groups.apart(key, merged, base).mean() < 1 - LEAST_TOLD
    }
    if not waiting:
        return False
    m, b, a = (groups.matrices[item] for item in (merged, base, other))
    rest = commonest_rest(
        [item for key, coupling in waiting.items() for item in _slices((m, b, a), key[0], coupling.candidates[-1])]
    )
    if rest is None or not _confirmed((m, b, a), {slot.role for key in shared for slot in key[0] if slot.power}, rest):
        return False
    joined, told = False, True
    while told and waiting:
        told = False
        for key, coupling in list(waiting.items()):
            m, b, a = (groups.matrices[item] for item in (merged, base, other))
            slices = _slices((m, b, a), key[0], coupling.candidates[-1])
            scale, units = commonest(np.hstack([_ratios(item, rest) for item in slices]))
            units &= ~groups.apart(key, merged, base)
            if units.mean() > LEAST_TOLD:
                joined |= groups.join(key, merged, other, scale, units)
                told = True
                del waiting[key]
    return joined


def _confirmed(matrices: tuple[Matrices, Matrices, Matrices], scaled: Collection[str], rest: float) -> bool:
    """Whether the tensors that no scale touches bear the share out.

    The other way round a spherical merge of the version stands to it as if it had been added up in it, at scales that
    are a little wrong: its coefficients differ from tensor to tensor.
    """
    m, b, a = matrices
    votes = []
    for role in sorted(m.keys() - scaled):
        if role in b and role in a and m[role].shape == b[role].shape == a[role].shape:
            x, y, z = m[role], b[role], a[role]
            moved = (np.abs(x - y) > MOVED * np.abs(y)) & (np.abs(z - y) > MOVED * np.abs(y))
            close = np.abs(x - rest * y - (1 - rest) * z) <= CLOSE * np.abs(x - y) + MOVED * np.abs(y)
            if np.count_nonzero(moved) >= LEAST_PAIRS:
                votes.append(float(np.mean(close[moved])) > LEAST_ALONE)
    return not votes or float(np.mean(votes)) > NEARLY_ALL


Slices = tuple[Slot, Array, Array, Array]


def _slices(matrices: tuple[Matrices, Matrices, Matrices], slots: Sequence[Slot], units: int) -> list[Slices]:
    """By slot the values of the three by unit; NaN in the first where it is the base's."""
    found = []
    for slot in slots:
        if slot.power:
            m, b, a = (slice_of(item[slot.role], slot, units).reshape(units, -1) for item in matrices)
            moved = (np.abs(m - b) > MOVED * np.abs(b)) & (m != 0) & (a != 0)
            if m.shape[1] > 1:
                found.append((slot, np.where(moved, m, np.nan), b, a))
    return found


def _ratios(item: Slices, rest: float) -> Array:
    slot, m, b, a = item
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = (m - rest * b) / ((1 - rest) * a)
        return ratio if slot.power > 0 else 1 / ratio


def commonest_rest(slices: Sequence[Slices]) -> float | None:
    """The share of the base that is left where one constituent stands alone: what most pairs of values agree on.

    None where too few agree. Time O(values log values).
    """
    shares = [_shares(*item[1:]) for item in slices]
    found = np.concatenate(shares or [np.zeros(0)])
    if found.size > MOST_PAIRS:
        found = found[np.linspace(0, found.size - 1, MOST_PAIRS).astype(np.int64)]
    need = max(LEAST_PAIRS, int(LEAST_AGREEING * found.size))
    if found.size < 2 * need:
        return None
    ordered = np.sort(found)
    width = ordered[need - 1 :] - ordered[: ordered.size - need + 1]
    place = int(np.argmin(width))
    if width[place] > 2 * SURE:
        return None
    return float(np.median(ordered[place : place + need]))


def _shares(m: Array, b: Array, a: Array) -> Array:
    """What the pairs of values of each unit give, as far as rounding lets them."""
    # Of each unit the values that moved, side by side.
    step = max(1, m.size * STEPS // MOST_PAIRS)
    m, b, a = m[::step], b[::step], a[::step]
    order = np.argsort(np.isnan(m), axis=1, kind="stable")
    m, b, a = (np.take_along_axis(item, order, axis=1) for item in (m, b, a))
    found = [np.zeros(0)]
    for step in range(1, min(STEPS, m.shape[1] - 1) + 1):
        left, right = np.s_[:, :-step], np.s_[:, step:]
        below = b[left] * a[right] - b[right] * a[left]
        above = m[left] * a[right] - m[right] * a[left]
        size = np.abs(m[left] * a[right]) + np.abs(m[right] * a[left])
        # Rounding of the factors, through the quotient.
        sure = (_EPSILON * size < SURE * np.abs(below)) & (np.abs(above) < MOST_SHARE * np.abs(below))
        found.append(above[sure] / below[sure])
    return np.concatenate(found)
