"""Which unit of one version is which of another, and by how much it was rescaled.

Units are matched by the assignment of largest total cosine (Ainsworth, Hayase and Srinivasa 2023, "Git Re-Basin",
arXiv 2209.04836), solved exactly by `scipy.optimize.linear_sum_assignment` up to 2,048 units; beyond, units that are
each other's nearest are matched first and only what is left is assigned.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lineage.symmetry.couplings import Coupling, Shape
from lineage.symmetry.exact_scales import NEARLY_ALL, ratios, told
from lineage.symmetry.units import Array, Matrices, UnitVectors, slice_of, unit_vectors

MOST_ASSIGNED = 2048

LEAST_GAIN = 0.2
"""A unit counts as moved where its match is better than its own place by so much in cosine."""

LEAST_COSINE = 0.5
"""A match worse than this does not count as one."""

LEAST_SHARE = 0.7
"""Scales are believed where they leave at most this share of the difference, on each of the two sides: a head whose
columns grow in training does not take as much from the norm before it."""

AS_WELL = 1.02

MOST_LEFT = 0.5
"""... and at most this share of the energy of what they scale: between strangers any shrinking explains something."""

ROUNDING = 1e-12
"""Relative energy below which two tensors are the same but for rounding, and no scale is sought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitMap:
    """How the units of one coupling of a version stand to those of a reference.

    Attributes
    ----------
    coupling : Coupling
        In the version.
    units : int
    order : (units,) int array
        Unit `order[i]` of the version stands for unit i of the reference.
    scale : (units,) array or None
        What the slices of power 1 have to be multiplied by, after ordering.
    exact : bool
        Whether values that nothing changed tell nearly all scales, to the last digit.
    """

    coupling: Coupling
    units: int
    order: NDArray[np.int64]
    scale: Array | None = None
    exact: bool = False

    @classmethod
    def rescaling(cls, coupling: Coupling, scale: Array) -> Self:
        """All units stay where they are, each with a scale."""
        return cls(coupling=coupling, units=scale.size, order=np.arange(scale.size), scale=scale)

    @property
    def moved(self) -> int:
        """Number of units that do not stand in their own place."""
        return int(np.count_nonzero(self.order != np.arange(self.units)))

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self.scale is None and self.moved == 0

    @property
    def roles(self) -> frozenset[str]:
        """The tensors that it changes."""
        return frozenset(slot.role for slot in self.coupling.slots)

    def mapped(self, role: str, matrix: Array) -> Array:
        """One tensor of the version in the reference's frame."""
        result = matrix.copy()
        for slot in self.coupling.slots:
            if slot.role != role:
                continue
            units = slice_of(result, slot, self.units)[self.order]
            if self.scale is not None and slot.power:
                units = units * (self.scale**slot.power)[:, None, None].astype(units.dtype)
            turned = result if slot.axis == 0 else result.T
            length = turned.shape[0] // slot.parts
            turned[slot.part * length : (slot.part + 1) * length] = units.reshape(length, -1)
        return result

    def apply(self, matrices: dict[str, Array]) -> None:
        """Map a version's matrices into the reference's frame, in place of those in the dictionary."""
        for role in sorted(self.roles):
            matrices[role] = self.mapped(role, matrices[role])


def similarity(one: UnitVectors, two: UnitVectors, *, signed: bool) -> tuple[Array, Array]:
    """Cosines between the units of two versions, balanced, and the products whose signs tell the units' signs."""
    plain = one.plain @ two.plain.T
    scaled = one.plus @ two.plus.T + one.minus @ two.minus.T
    lengths = [
        np.sqrt(sum(np.sum(part**2, axis=1) for part in (item.plain, item.plus, item.minus))) for item in (one, two)
    ]
    lengths = [np.where(length > 0, length, 1.0) for length in lengths]
    cosines: Array = (plain + (np.abs(scaled) if signed else scaled)) / np.outer(*lengths)
    return cosines, scaled


def assign(cosines: Array) -> NDArray[np.int64]:
    """For each row its column, one to one, of largest total; ties go to the own place.

    Examples
    --------
    >>> assign(np.array([[0.1, 0.9], [0.8, 0.2]])).tolist()
    [1, 0]
    """
    size = len(cosines)
    cost = -cosines
    cost[np.arange(size), np.arange(size)] -= 1e-6
    if size <= MOST_ASSIGNED:
        return np.asarray(linear_sum_assignment(cost)[1], dtype=np.int64)
    order = np.full(size, -1, dtype=np.int64)
    nearest, back = np.argmin(cost, axis=1), np.argmin(cost, axis=0)
    mutual = np.flatnonzero(back[nearest] == np.arange(size))
    order[mutual] = nearest[mutual]
    rows, columns = np.flatnonzero(order < 0), np.setdiff1d(np.arange(size), nearest[mutual])
    for start in range(0, rows.size, MOST_ASSIGNED):
        part = slice(start, start + MOST_ASSIGNED)
        order[rows[part]] = columns[part][linear_sum_assignment(cost[np.ix_(rows[part], columns[part])])[1]]
    return order


def match(
    reference: Matrices,
    version: Matrices,
    couplings: tuple[Coupling, Coupling],
    *,
    shapes: tuple[Mapping[str, Shape], Mapping[str, Shape]],
    inner: Collection[tuple[str, int]],
    all_axes: bool = True,
    rounding: float = 0.0,
) -> tuple[UnitMap, float]:
    """Match the units of a coupling, with their scales, and the share of energy in which they then still differ.

    Parameters
    ----------
    reference, version : mapping of role to (rows, columns) array
        Norms folded.
    couplings : pair of Coupling
        The reference's and the version's, of one kind; they may belong to different layers.
    shapes, inner
        See `unit_vectors`.
    all_axes : bool
        Whether the axes in `inner` are in the reference's order already; if not, they are left out.
    rounding : float
        How far storing a value may have moved it, relative to the value.

    Notes
    -----
    Where the number of units is open, the smallest that explains the version as well as any counts.
    """
    theirs = couplings[1]
    tried: list[tuple[UnitMap, float]] = []
    if not alike(couplings, shapes):
        return UnitMap(coupling=theirs, units=theirs.candidates[0], order=np.arange(theirs.candidates[0])), 1.0
    for units in theirs.candidates:
        one = unit_vectors(reference, couplings[0], units, shapes=shapes[0], inner=inner)
        two = unit_vectors(version, theirs, units, shapes=shapes[1], inner=inner)
        if not all_axes:
            one, two = one.known(), two.known()
        order = np.arange(units)
        if theirs.permutable and units > 1:
            order = _best_order(one, two, signed=theirs.signed)
        found = UnitMap(coupling=theirs, units=units, order=order)
        tried.append(fitted(reference, version, couplings[0], found, rounding=rounding))
    least = min(left for _, left in tried)
    return next((item, left) for item, left in tried if left <= 1.1 * least + ROUNDING)


def alike(couplings: tuple[Coupling, Coupling], shapes: tuple[Mapping[str, Shape], Mapping[str, Shape]]) -> bool:
    """Whether two couplings have the same slots in tensors of the same shapes."""
    one, two = couplings
    return len(one.slots) == len(two.slots) and all(
        shapes[0][mine.role] == shapes[1][theirs.role]
        and (mine.axis, mine.part, mine.parts, mine.power) == (theirs.axis, theirs.part, theirs.parts, theirs.power)
        for mine, theirs in zip(one.slots, two.slots, strict=True)
    )


def _best_order(one: UnitVectors, two: UnitVectors, *, signed: bool) -> NDArray[np.int64]:
    cosines, _ = similarity(one.balanced(), two.balanced(), signed=signed)
    place = np.arange(len(cosines))
    order = assign(cosines.copy())
    matched = cosines[place, order]
    gained = np.count_nonzero((matched - cosines[place, place] > LEAST_GAIN) & (matched > LEAST_COSINE))
    return order if gained >= max(2, 0.5 * np.count_nonzero(order != place)) else place


def fitted(
    reference: Matrices, version: Matrices, coupling: Coupling, found: UnitMap, *, rounding: float = 0.0
) -> tuple[UnitMap, float]:
    """A map with the scales of its units, none where they explain too little, and the share of energy left.

    Each side counts relative to the reference's energy in it: the scale s of a unit minimises
    |s y+ - x+|^2 / |x+|^2 + |y-/s - x-|^2 / |x-|^2, by Newton's method in log s. Where many values of a unit have one
    ratio to the reference's (what was pruned or frozen), or all have one but for rounding, that ratio is the scale;
    where the ratio of the largest value explains the unit as well as the least squares do (the largest of a row stays
    as it is when a row is quantised, and so does a norm), that one.
    """
    sums = _sums(reference, version, coupling, found)
    plain = sums[0][0] - 2 * sums[0][1] + sums[0][2]
    unscaled = sum(xx - 2 * xy + yy for power in (1, -1) for xx, xy, yy in [sums[power]])
    energy = max(float(sum(np.sum(part[0]) for part in sums.values())), 1e-300)
    before = max(float(np.sum(plain) + np.sum(unscaled)) / energy, 0.0)
    if not coupling.scalable or float(np.sum(unscaled)) <= ROUNDING * energy:
        return found, before
    scale = _newton(sums[1], sums[-1], signed=coupling.signed)
    scale, exact = _sharpened(reference, version, coupling, found, scale, sums, rounding)
    after = 0.0
    for power in (1, -1):
        xx = sums[power][0]
        apart, left = float(np.sum(_left(sums, power, np.ones_like(scale)))), float(np.sum(_left(sums, power, scale)))
        # What is told to the last digit needs no more, however much was learned on the other side.
        if not exact and left > min(LEAST_SHARE * apart, MOST_LEFT * float(np.sum(xx))) and np.any(xx):
            return found, before
        after += left
    return replace(found, scale=scale, exact=exact), max((float(np.sum(plain)) + after) / energy, 0.0)


def _left(sums: Mapping[int, list[Array]], power: int, scale: Array) -> Array:
    """Energy that a scale leaves on one side of each unit."""
    xx, xy, yy = sums[power]
    factor = scale**power
    left: Array = xx - 2 * factor * xy + factor**2 * yy
    return left


def _sharpened(
    reference: Matrices,
    version: Matrices,
    coupling: Coupling,
    found: UnitMap,
    scale: Array,
    sums: Mapping[int, list[Array]],
    rounding: float,
) -> tuple[Array, bool]:
    """Scales that single values tell exactly, in place of fitted ones; and whether nearly all are told so."""
    slots = ratios(reference, version, (coupling, found.coupling), found.order)
    largest = [
        np.argmax(np.abs(slice_of(reference[slot.role], slot, found.units).reshape(found.units, -1)), axis=1)
        for slot in coupling.slots
        if slot.power
    ]
    peaks = [ratio[np.arange(found.units), place] for ratio, place in zip(slots, largest, strict=True)]
    middle, exact = told(slots, rounding)
    exact &= (middle > 0) | coupling.signed
    sharp = np.where(exact, middle, scale)
    least = sum(_left(sums, power, scale) for power in (1, -1))
    for peak in peaks:
        candidate = np.where(np.isfinite(peak) & (peak * scale > 0), peak, scale)
        left = sum(_left(sums, power, candidate) for power in (1, -1))
        sharp = np.where(~exact & (sharp == scale) & (left <= AS_WELL * least), candidate, sharp)
    whole = np.sum([sums[power][0] for power in (1, -1)], axis=0)
    sure = exact | (np.asarray(least) <= ROUNDING * 100 * whole)
    return sharp, bool(np.mean(sure) > NEARLY_ALL)


def gauge(reference: Matrices, version: Matrices, coupling: Coupling, found: UnitMap) -> Array | None:
    """Scales that put a version into the linear slice through a reference on which no unit is out of balance with it.

    What training did to the scale of a unit cannot be told from what a rescaling did. On the slice n+ (<y+, x+> /
    |x+|^2 - 1) = n- (<y-, x-> / |x-|^2 - 1), n being the number of values on either side, neither is seen, and mixtures
    of versions that lie on it lie on it: all of a family that was rescaled throughout is brought there. The side with
    fewer values takes more of it: a norm's scale is one value, which training moves by tenths, and would carry that
    into every weight of the maps behind it.

    Returns
    -------
    (units,) array or None
        None where the coupling has not both sides. Units that are not like the reference's keep their scale.
    """
    sums = _sums(reference, version, coupling, found, shared=True)
    (a, p, b), (c, m, d) = sums[1], sums[-1]
    if not np.any(a) or not np.any(c):
        return None
    like = (p > LEAST_COSINE * np.sqrt(a * b)) & (m > LEAST_COSINE * np.sqrt(c * d)) & (a > 0) & (c > 0)
    more, less = (_values(coupling, power, reference) for power in (1, -1))
    # The positive root s of n+ (s up - 1) = n- (down / s - 1).
    up, down = np.where(like, p, 1.0) / np.where(like, a, 1.0), np.where(like, m, 1.0) / np.where(like, c, 1.0)
    middle = (less - more) / (more + less)
    root = np.sqrt(middle**2 + (1 - middle**2) * up * down)
    scale: Array = np.where(like, (root - middle) / ((1 - middle) * up), 1.0)
    return scale


def _values(coupling: Coupling, power: int, matrices: Matrices) -> float:
    """Number of values that a unit has on one side of a coupling."""
    sizes = [matrices[slot.role].size / slot.parts for slot in coupling.slots if slot.power == power]
    return float(sum(sizes)) / coupling.candidates[-1]


def balance(reference: Matrices, coupling: Coupling, units: int) -> Array | None:
    """Scales that give all units of one version the same balance, a norm's all the same size and sign."""
    if not coupling.permutable and coupling.signed and matrix_rows(reference, coupling) == 1:
        gain = reference[coupling.slots[0].role][0]
        size = float(np.sqrt(np.mean(gain**2)))
        return np.where(gain != 0, size / np.where(gain != 0, gain, 1.0), 1.0)
    found = UnitMap(coupling=coupling, units=units, order=np.arange(units))
    sums = _sums(reference, reference, coupling, found)
    up, down = sums[1][0], sums[-1][0]
    alive = (up > 0) & (down > 0)
    if not alive.any():
        return None
    logs = np.where(alive, 0.25 * np.log(np.where(alive, down / np.where(alive, up, 1.0), 1.0)), 0.0)
    scale: Array = np.exp(np.where(alive, logs - logs[alive].mean(), 0.0))
    return scale


def matrix_rows(matrices: Matrices, coupling: Coupling) -> int:
    """Rows of the first tensor of a coupling; 1 for a norm."""
    return int(matrices[coupling.slots[0].role].shape[0])


def _sums(
    reference: Matrices, version: Matrices, coupling: Coupling, found: UnitMap, *, shared: bool = False
) -> dict[int, list[Array]]:
    """<x, x>, <x, y> and <y, y> of every unit, x being the reference's, by power; if `shared`, where both have values.

    What was pruned says nothing about the scale of what was left.
    """
    sums = {power: [np.zeros(found.units) for _ in range(3)] for power in (0, 1, -1)}
    for mine, theirs in zip(coupling.slots, found.coupling.slots, strict=True):
        x = slice_of(reference[mine.role], mine, found.units).reshape(found.units, -1)
        y = slice_of(version[theirs.role], theirs, found.units)[found.order].reshape(found.units, -1)
        if shared:
            x, y = np.where(y != 0, x, 0.0), np.where(x != 0, y, 0.0)
        # Slots of one power are brought to one measure; what is small by its nature shall count as well.
        size = float(np.mean(x**2)) or 1.0
        for total, pair in zip(sums[mine.power], ((x, x), (x, y), (y, y)), strict=True):
            total += np.einsum("ij,ij->i", *pair) / size
    return sums


def _newton(plus: list[Array], minus: list[Array], *, signed: bool) -> Array:
    (a, p, b), (c, m, d) = plus, minus
    alive = (b > 0) & (a > 0) if not np.any(d) else (d > 0) & (c > 0) if not np.any(b) else (a * b * c * d) > 0
    a, c = np.where(a > 0, a, 1.0), np.where(c > 0, c, 1.0)
    big, small = b / a, d / c
    up, down = p / a, m / c
    with np.errstate(divide="ignore", invalid="ignore"):
        start = (np.where(small > 0, small, 1 / big) / np.where(big > 0, big, 1 / small)) ** 0.25
    # The sign that both sides together speak for, each at the balanced scale.
    sign = np.where(start * up + down / np.where(start > 0, start, 1.0) < 0, -1.0, 1.0) if signed else np.ones_like(a)
    up, down = up * sign, down * sign
    t = np.log(np.where(alive & np.isfinite(start) & (start > 0), start, 1.0))
    for _ in range(50):
        grow, shrink = np.exp(t), np.exp(-t)
        slope = 2 * grow**2 * big - 2 * grow * up - 2 * shrink**2 * small + 2 * shrink * down
        bend = 4 * grow**2 * big - 2 * grow * up + 4 * shrink**2 * small - 2 * shrink * down
        step = np.clip(slope / np.maximum(bend, 0.5 * (grow**2 * big + shrink**2 * small) + 1e-30), -0.5, 0.5)
        t = t - np.where(alive, step, 0.0)
        if not np.any(np.abs(step[alive]) > 1e-15):
            break
    scale: Array = np.where(alive, sign * np.exp(t), 1.0)
    return scale
