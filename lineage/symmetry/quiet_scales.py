"""The scales at which least lies between two versions, but for what was learned.

A version Y that was trained from X and rescaled is R (X + L + N) C: L of low rank, what was learned, N the optimiser's
noise, R and C diagonal and unknown. Least squares would take what L did along the weights of a unit for its scale. So
each matrix is seen through the inverse of the rows' covariance of what lies between the two: there L counts for little,
and N for everything. With that covariance unknown as well, the likelihood of a matrix normal has its maximum where the
logarithm of the determinant of (Y' - X)(Y' - X)^T is least; it is found by reweighted least squares, as the rank of a
matrix is made small (Mohan and Fazel 2012, "Iterative reweighted algorithms for matrix rank minimization").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lineage.symmetry.couplings import Coupling
from lineage.symmetry.matching import UnitMap
from lineage.symmetry.units import Array, Matrices
from lineage.tail_distance import TAIL_SHARE

MOST_SCALES = 8192
"""Scales that are found together: their second derivatives take half a gigabyte."""

STEPS = 24
LARGEST_STEP = 0.5
FINISHED = 0.1
"""Standard errors of a scale below which a step changes nothing."""

REMEMBERED = 5
"""Steps that say where the next goes."""

ASTRAY = 2.0
"""They are forgotten once a step is so many times as long as the shortest."""

LEAST_SINGULAR = 1e-8

FARTHER = 1.5
"""Scales that take two versions so much farther apart, squared, are none: the search went astray."""

DAMPING = 1e-6
ROUNDING = 1e-14
"""Energy of a change, relative to the weights', below which there is nothing but rounding."""

WELL_CONDITIONED = 1e-8
"""Share of its largest eigenvalue from which on a covariance is inverted as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """Which scale belongs to each row and column of a matrix, -1 where none, and its power there."""

    rows: NDArray[np.int64]
    row_powers: Array
    columns: NDArray[np.int64]
    column_powers: Array

    def numbered(self, place: NDArray[np.int64]) -> _Sides:
        return replace(self, rows=place[self.rows], columns=place[self.columns])

    def scaled(self, matrix: Array, logs: Array) -> Array:
        every = np.append(logs, 0.0)
        rows, columns = np.exp(self.row_powers * every[self.rows]), np.exp(self.column_powers * every[self.columns])
        found: Array = rows[:, None] * matrix * columns
        return found

    def transposed(self) -> _Sides:
        return _Sides(
            rows=self.columns, row_powers=self.column_powers, columns=self.rows, column_powers=self.row_powers
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where each scale stands along one side, at several places where it is that of a head.

    Attributes
    ----------
    scales : (s,) int array
        Each once.
    order : (places,) int array
        Those that have a scale, by scale.
    powers : (places,) array
        Of the scale there, in this order.
    """

    scales: NDArray[np.int64]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    powers: Array

    @classmethod
    def of(cls, held: NDArray[np.int64], powers: Array) -> _Places:
        order = np.argsort(held, kind="stable")[np.count_nonzero(held < 0) :]
        scales, starts = np.unique(held[order], return_index=True)
        return cls(scales=scales, order=order, starts=starts, powers=powers[order])

    def summed(self, values: Array) -> Array:
        """The sum over the places of each scale, of values along the first axis in the order of scales."""
        if self.scales.size == self.order.size:
            return values
        found: Array = np.add.reduceat(values, self.starts, axis=0)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One matrix in a reference (x) and in the version (y), no more rows than columns, and its scales."""

    x: Array
    y: Array
    sides: _Sides
    rows: _Places
    columns: _Places

    @classmethod
    def of(cls, x: Array, y: Array, sides: _Sides) -> _Seen | None:
        """None where there is nothing to see."""
        both = (x != 0) & (y != 0)
        if not both.any():
            return None
        x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
        if x.shape[0] > x.shape[1]:
            x, y, sides = x.T, y.T, sides.transposed()
        rows = _Places.of(sides.rows, sides.row_powers)
        return cls(x=x, y=y, sides=sides, rows=rows, columns=_Places.of(sides.columns, sides.column_powers))


def quiet_scales(
    references: Sequence[Matrices],
    version: Matrices,
    couplings: Sequence[Coupling],
    known: Mapping[Coupling, NDArray[np.bool_]] = MappingProxyType({}),
) -> list[UnitMap]:
    """Maps that bring the units of a version to the scales of its references.

    Parameters
    ----------
    references : sequence of mapping of role to (rows, columns) array
        Relatives that are at one set of scales. Of several, none looks nearer for being the one that was asked.
    version : mapping of role to (rows, columns) array
        In the same order of units and with the same signs, its scales near to theirs.
    couplings : sequence of Coupling
        Of the version, those whose scales are sought; all their tensors have one shape in all. What is not among
        them keeps its scale.
    known : mapping of Coupling to (units,) bool array, optional
        Units that keep their scales as well.

    Returns
    -------
    list of UnitMap
        One for each scalable coupling that was changed.

    Notes
    -----
    The scales of couplings that share tensors are found together, by Gauss-Newton steps on their logarithms. These
    shrink by a tenth each, so that twenty alone would stop far too early: the last few say where the next goes. Time
    O(scales^3 + values * side) a step, memory O(scales^2). Values that are zero on either side, as what was pruned, say
    nothing, and neither do couplings that have more than `MOST_SCALES` together. What shrank all weights of a unit
    alike, as decay does, is taken for a scale where the unit has a norm before it.
    """
    offsets, count, sides = _sides(version, [item for item in couplings if item.scalable], known)
    logs = np.zeros(count)
    for roles, scales in (item for item in _connected(sides) if item[1].size <= MOST_SCALES):
        logs[scales] = _solved(references, version, {role: sides[role] for role in roles}, scales, count)
    found = []
    for coupling, start in offsets:
        units = coupling.candidates[-1]
        own = logs[start : start + units]
        if own.any():
            found.append(UnitMap.rescaling(coupling, np.exp(own)))
    return found


def _sides(
    matrices: Matrices, couplings: Sequence[Coupling], known: Mapping[Coupling, NDArray[np.bool_]]
) -> tuple[list[tuple[Coupling, int]], int, dict[str, _Sides]]:
    """Where the scales of each coupling begin, how many there are, and where each stands."""
    offsets, count, sides = list[tuple[Coupling, int]](), 0, dict[str, _Sides]()
    for coupling in couplings:
        units = coupling.candidates[-1]
        offsets.append((coupling, count))
        numbers = np.where(known.get(coupling, np.zeros(units, dtype=bool)), -1, count + np.arange(units))
        for slot in coupling.slots:
            if slot.power:
                if slot.role not in sides:
                    rows, columns = matrices[slot.role].shape
                    sides[slot.role] = _Sides(
                        rows=np.full(rows, -1),
                        row_powers=np.zeros(rows),
                        columns=np.full(columns, -1),
                        column_powers=np.zeros(columns),
                    )
                own = sides[slot.role]
                places, powers = (own.columns, own.column_powers) if slot.axis else (own.rows, own.row_powers)
                length = places.size // slot.parts
                part = slice(slot.part * length, (slot.part + 1) * length)
                places[part] = np.repeat(numbers, length // units)
                powers[part] = slot.power
        count += units
    return offsets, count, sides


def _connected(sides: Mapping[str, _Sides]) -> Iterable[tuple[list[str], NDArray[np.int64]]]:
    """Roles that share scales, with these."""
    groups: list[tuple[list[str], set[int]]] = []
    for role, own in sides.items():
        scales = set(np.unique(np.concatenate([own.rows, own.columns])).tolist()) - {-1}
        joined = [group for group in groups if group[1] & scales]
        groups = [group for group in groups if not group[1] & scales]
        groups.append(([item for group in joined for item in group[0]] + [role], scales.union(*(g[1] for g in joined))))
    return [(roles, np.array(sorted(scales), dtype=np.int64)) for roles, scales in groups if scales]


def _solved(
    references: Sequence[Matrices],
    version: Matrices,
    sides: Mapping[str, _Sides],
    scales: NDArray[np.int64],
    count: int,
) -> Array:
    """The logarithms of some scales."""
    place = np.full(count + 1, -1)
    place[scales] = np.arange(scales.size)
    seen = []
    for reference in references:
        for role, own in sides.items():
            x, y = np.asarray(reference[role], dtype=np.float64), np.asarray(version[role], dtype=np.float64)
            item = _Seen.of(x, y, own.numbered(place))
            if item is not None:
                seen.append(item)
    logs = np.zeros(scales.size)
    if all(float(np.sum((item.y - item.x) ** 2)) <= ROUNDING * float(np.sum(item.x**2)) for item in seen):
        return logs
    before = _apart(seen, logs)
    path = _Path()
    for _ in range(STEPS):
        curve, slope = np.zeros((scales.size, scales.size)), np.zeros(scales.size)
        for item in seen:
            _add(curve, slope, item, logs)
        information = np.diag(curve).copy()
        damped = curve + np.diag(np.where(information > 0, DAMPING * information, 1.0))
        step = np.clip(-np.linalg.solve(damped, slope), -LARGEST_STEP, LARGEST_STEP)
        errors = np.sqrt(np.maximum(information, 0.0))
        logs = logs + np.clip(path.onward(logs, step, errors), -LARGEST_STEP, LARGEST_STEP)
        if not np.any(np.abs(step) * errors > FINISHED):
            break
    return logs if _apart(seen, logs) <= FARTHER * before else np.zeros(scales.size)


class _Path:
    """The steps of a fixed-point iteration so far, each a nearly constant share of the one before.

    The next one goes where the last few, taken as linear, say that no step would be left (Anderson's method, as in
    Walker and Ni 2011, "Anderson acceleration for fixed-point iterations").
    """

    def __init__(self) -> None:
        self._places: list[Array] = []
        self._steps: list[Array] = []
        self._shortest = np.inf

    def onward(self, place: Array, step: Array, weights: Array) -> Array:
        """How far to go from a place with such a step, by lengths that count with these weights."""
        length = float(np.linalg.norm(step * weights))
        if length > ASTRAY * self._shortest:
            self._places, self._steps = [], []
        self._shortest = min(self._shortest, length)
        self._places = [*self._places[-REMEMBERED:], place]
        self._steps = [*self._steps[-REMEMBERED:], step]
        if len(self._steps) < 2:
            return step
        moved, changed = np.diff(self._places, axis=0).T, np.diff(self._steps, axis=0).T
        shares = np.linalg.lstsq(changed * weights[:, None], step * weights, rcond=LEAST_SINGULAR)[0]
        onward: Array = step - (moved + changed) @ shares
        return onward


def _apart(seen: Sequence[_Seen], logs: Array) -> float:
    """Squared distance between two versions at some scales."""
    return float(sum(np.sum((item.sides.scaled(item.y, logs) - item.x) ** 2) for item in seen))


def _add(curve: Array, slope: Array, item: _Seen, logs: Array) -> None:
    """Add the derivatives of what one matrix says by the logarithms of the scales."""
    rows, columns = item.rows, item.columns
    scaled = item.sides.scaled(item.y, logs)
    change = scaled - item.x
    weight = _precision(change @ change.T / change.shape[1], ROUNDING * float(np.mean(item.x**2)))
    seen = weight @ scaled
    cross = seen * scaled
    up, down = rows.powers, columns.powers
    slope[rows.scales] += rows.summed(up * np.sum((weight @ change) * scaled, axis=1)[rows.order])
    slope[columns.scales] += columns.summed(down * np.sum(seen * change, axis=0)[columns.order])
    within = np.outer(up, up) * (weight * (scaled @ scaled.T))[np.ix_(rows.order, rows.order)]
    curve[np.ix_(rows.scales, rows.scales)] += rows.summed(rows.summed(within).T)
    between = rows.summed(columns.summed((np.outer(up, down) * cross[np.ix_(rows.order, columns.order)]).T).T)
    curve[np.ix_(rows.scales, columns.scales)] += between
    curve[np.ix_(columns.scales, rows.scales)] += between.T
    curve[columns.scales, columns.scales] += columns.summed(down**2 * cross.sum(axis=0)[columns.order])


def _precision(covariance: Array, least: float) -> Array:
    """The inverse of a covariance to which its own quiet part is added, or `least` if that is more."""
    energies = np.linalg.eigvalsh(covariance)
    quiet = float(np.maximum(energies[: ceil(TAIL_SHARE * energies.size)], 0.0).mean())
    floor = max(quiet, least, 1e-300)
    if floor > WELL_CONDITIONED * energies[-1]:
        return np.asarray(np.linalg.inv(covariance + floor * np.eye(energies.size)), dtype=np.float64)
    values, directions = np.linalg.eigh(covariance)
    robust: Array = (directions / (np.maximum(values, 0.0) + floor)) @ directions.T
    return robust
