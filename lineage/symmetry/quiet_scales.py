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

FARTHER = 1.5
"""Scales that take two versions so much farther apart, squared, are none: the search went astray."""

DAMPING = 1e-6
ROUNDING = 1e-14
"""Energy of a change, relative to the weights', below which there is nothing but rounding."""


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
    The scales of couplings that share tensors are found together, by Gauss-Newton steps on their logarithms: time
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
            found.append(UnitMap(coupling=coupling, units=units, order=np.arange(units), scale=np.exp(own)))
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
            both = (x != 0) & (y != 0)
            x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
            if x.shape[0] > x.shape[1]:
                x, y, own = x.T, y.T, own.transposed()
            if both.any():
                seen.append((x, y, own.numbered(place)))
    logs = np.zeros(scales.size)
    if all(float(np.sum((y - x) ** 2)) <= ROUNDING * float(np.sum(x**2)) for x, y, _ in seen):
        return logs
    before = _apart(seen, logs)
    for _ in range(STEPS):
        curve, slope = np.zeros((scales.size + 1, scales.size + 1)), np.zeros(scales.size + 1)
        for x, y, own in seen:
            _add(curve, slope, x, y, own, logs)
        information = np.diag(curve)[:-1].copy()
        damped = curve[:-1, :-1] + np.diag(np.where(information > 0, DAMPING * information, 1.0))
        step = np.clip(-np.linalg.solve(damped, slope[:-1]), -LARGEST_STEP, LARGEST_STEP)
        logs += step
        if not np.any(np.abs(step) * np.sqrt(information) > FINISHED):
            break
    return logs if _apart(seen, logs) <= FARTHER * before else np.zeros(scales.size)


def _apart(seen: Sequence[tuple[Array, Array, _Sides]], logs: Array) -> float:
    """Squared distance between two versions at some scales."""
    return float(sum(np.sum((own.scaled(y, logs) - x) ** 2) for x, y, own in seen))


def _add(curve: Array, slope: Array, x: Array, y: Array, own: _Sides, logs: Array) -> None:
    """Add the derivatives of what one matrix says by the logarithms of the scales, the last standing for none."""
    scaled = own.scaled(y, logs)
    change = scaled - x
    energies, directions = np.linalg.eigh(change @ change.T / change.shape[1])
    quiet = float(np.maximum(energies[: ceil(TAIL_SHARE * energies.size)], 0.0).mean())
    floor = max(quiet, ROUNDING * float(np.mean(x**2)), 1e-300)
    weight = (directions / (np.maximum(energies, 0.0) + floor)) @ directions.T
    seen = weight @ scaled
    up, down = own.row_powers, own.column_powers
    np.add.at(slope, own.rows, up * np.einsum("ij,ij->i", weight @ change, scaled))
    np.add.at(slope, own.columns, down * np.einsum("ij,ij->j", seen, change))
    np.add.at(curve, (own.rows[:, None], own.rows), np.outer(up, up) * weight * (scaled @ scaled.T))
    cross = np.outer(up, down) * seen * scaled
    np.add.at(curve, (own.rows[:, None], own.columns), cross)
    np.add.at(curve, (own.columns[:, None], own.rows), cross.T)
    np.add.at(curve, (own.columns, own.columns), down**2 * np.einsum("ij,ij->j", seen, scaled))
