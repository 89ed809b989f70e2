"""Scales to the last digit: told by values that nothing but a rescaling has changed.

Between a version and what was pruned, quantised, edited, partly frozen or chosen value by value (TIES, DARE) from it,
many values of every unit still stand in one ratio, up to a few roundings. Among relatives that training moved, no two
ratios agree so well. So the commonest ratio of a unit, if enough values share it, is its scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lineage.symmetry.couplings import Coupling
from lineage.symmetry.units import Array, Matrices, slice_of

RATIO = 3e-6
"""Ratios that differ by less are the same but for rounding."""

LEAST_AGREEING = 8
LEAST_SHARE = 0.06
"""How many values of a unit must agree, and which share of them."""

ROUNDINGS = 5.0
"""Roundings that may lie between the ratio of a value and the scale: two on either side, where the gain of a norm was
folded into the map behind it, and what they did to the mean."""

COARSEST = 2.0**-8
"""The rounding of bfloat16: what is coarser is as large as what training does to a value."""

NEARLY_ALL = 0.8
LOOKED_AT = 16

Item = TypeVar("Item")

_OTHER_SIGN = 1e3
_NEVER = 1e6


def commonest(ratios: NDArray[np.float64]) -> tuple[Array, NDArray[np.bool_]]:
    """The value that most entries of a row agree on, row by row, and whether enough do.

    Parameters
    ----------
    ratios : (units, values) array
        Not finite, or zero, where there is none.

    Returns
    -------
    scale : (units,) array
        1 where too few agree.
    told : (units,) bool array

    Examples
    --------
    >>> scale, told = commonest(np.array([[0.5] * 8 + [0.4, 0.7], np.linspace(1, 2, 10)]))
    >>> scale.tolist(), told.tolist()
    ([0.5, 1.0], [True, False])
    """
    units, values = ratios.shape
    scale, told = np.ones(units), np.zeros(units, dtype=bool)
    alive = np.isfinite(ratios) & (ratios != 0)
    need = np.maximum(LEAST_AGREEING, np.ceil(LEAST_SHARE * alive.sum(axis=1))).astype(np.int64)
    if not units or values < need.min(initial=LEAST_AGREEING):
        return scale, told
    logs = np.log(np.abs(np.where(alive, ratios, 1.0))) + np.where(ratios < 0, _OTHER_SIGN, 0.0)
    # Each missing entry stands alone, far from everything.
    logs = np.where(alive, logs, _NEVER + np.arange(values))
    order = np.sort(logs, axis=1)
    for count in np.unique(need).tolist():
        rows = np.flatnonzero((need == count) & (alive.sum(axis=1) >= count))
        if count > values or not rows.size:
            continue
        first = order[rows, : values - count + 1]
        width = order[rows, count - 1 :] - first
        place = np.argmin(width, axis=1)
        agree = width[np.arange(rows.size), place] <= 2 * RATIO
        middle = order[rows, place + count // 2]
        sign = np.where(middle > _OTHER_SIGN / 2, -1.0, 1.0)
        found = sign * np.exp(np.where(agree, middle - np.where(sign < 0, _OTHER_SIGN, 0.0), 0.0))
        scale[rows], told[rows] = np.where(agree, found, 1.0), agree
    return scale, told


def but_for_rounding(ratios: NDArray[np.float64], rounding: float) -> tuple[Array, NDArray[np.bool_]]:
    """The mean ratio of each row where none lies farther from it than rounding explains.

    Rounding moves every value by a share of its own, training by about as much whatever its size: then some small value
    lies far from the others. The mean over many values is told much better than any of them.

    Parameters
    ----------
    ratios : (units, values) array
        Not finite, or zero, where there is none.
    rounding : float
        How far storing a value may have moved it, relative to the value.

    Returns
    -------
    scale : (units,) array
        1 where it is not told.
    told : (units,) bool array

    Examples
    --------
    >>> row = 0.5 * (1 + 2.0**-8 * np.linspace(-1, 1, 9))
    >>> scale, told = but_for_rounding(np.stack([row, row + np.arange(9) / 50]), 2.0**-8)
    >>> scale.round(3).tolist(), told.tolist()
    ([0.5, 1.0], [True, False])
    """
    alive = np.isfinite(ratios) & (ratios != 0)
    count = alive.sum(axis=1)
    logs = np.log(np.abs(np.where(alive, ratios, 1.0)))
    positive = (alive & (ratios > 0)).sum(axis=1)
    mean = logs.sum(axis=1) / np.maximum(count, 1)
    apart = np.where(alive, np.abs(logs - mean[:, None]), 0.0).max(axis=1, initial=0.0)
    told = (count >= LEAST_AGREEING) & (apart <= ROUNDINGS * rounding) & ((positive == 0) | (positive == count))
    return np.where(told, np.where(positive > 0, 1.0, -1.0) * np.exp(mean), 1.0), told


def told(slots: Sequence[Array], rounding: float = 0.0) -> tuple[Array, NDArray[np.bool_]]:
    """What each unit has to be multiplied by, and whether that is told to the last digit, or all it lacks is rounding.

    Parameters
    ----------
    slots : sequence of (units, values) arrays
        From `ratios`. Besides what most values of a unit agree on, the gains and biases of a norm, one value a unit in
        each, tell its scale where nearly all pairs of them agree: what trained a norm moved both, each by its own.
    rounding : float
        For `but_for_rounding`.

    Returns
    -------
    scale : (units,) array
        1 where it is not told.
    told : (units,) bool array
    """
    together = np.hstack(slots)
    scale, found = commonest(together)
    if not found.all() and 0 < rounding <= COARSEST:
        mean, rounded = but_for_rounding(together, rounding)
        scale, found = np.where(found, scale, mean), found | rounded
    single = [item[:, 0] for item in slots if item.shape[1] == 1 and np.isfinite(item).all() and item.all()]
    if len(single) > 1 and not found.all():
        agree = np.abs(single[1] / single[0] - 1) <= 2 * RATIO
        if agree.mean() > NEARLY_ALL:
            scale, found = np.where(agree & ~found, single[0], scale), agree | found
    return scale, found


def untold(waiting: Iterable[Item], tell: Callable[[Item], bool]) -> list[Item]:
    """What is left of some couplings when none of them can be told any more.

    What one coupling has blurred is seen once its scales are told by another of its tensors: all that are left are
    tried again as long as one of them was told.

    Examples
    --------
    >>> done = []
    >>> untold([3, 2, 1, 9], lambda item: (item == 1 + len(done)) and not done.append(item))
    [9]
    """
    left, before = list(waiting), -1
    while len(left) != before:
        before = len(left)
        left = [item for item in left if not tell(item)]
    return left


def ratios(
    reference: Matrices,
    version: Matrices,
    couplings: tuple[Coupling, Coupling],
    order: NDArray[np.int64],
    *,
    step: int = 1,
) -> list[Array]:
    """What each value of a version has to be multiplied by to be the reference's, were its power 1: slot by slot.

    Of every `step`-th unit alone.

    Returns
    -------
    list of (units, values) arrays
        NaN where either value is zero.
    """
    units = order.size
    found = []
    for mine, theirs in zip(couplings[0].slots, couplings[1].slots, strict=True):
        if mine.power:
            x = slice_of(reference[mine.role], mine, units)[::step]
            y = slice_of(version[theirs.role], theirs, units)[order[::step]]
            x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
            both = (x != 0) & (y != 0)
            ratio = np.where(both, x, np.nan) / np.where(both, y, 1.0)
            found.append(ratio if mine.power > 0 else 1 / ratio)
    return found


def exact_scales(
    reference: Matrices, version: Matrices, couplings: tuple[Coupling, Coupling], units: int
) -> Array | None:
    """The scales of all units in their order, where nearly all of them are told to the last digit.

    Units that are not told keep their scale. None where too few are: a few units are looked at first.
    """
    slots = ratios(reference, version, couplings, np.arange(units)) or [np.zeros((units, 0))]
    if np.mean(told([item[:: max(1, units // LOOKED_AT)] for item in slots])[1]) <= NEARLY_ALL:
        return None
    scale, found = told(slots)
    return scale if np.mean(found) > NEARLY_ALL else None
