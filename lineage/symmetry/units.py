"""Units of a coupling as vectors: what belongs to one neuron, head or channel, in a form that no rescaling changes.

Norms are folded into the maps behind them, W diag(g), so that what is moved across a norm disappears. Slices that scale
by s and by 1/s are balanced to equal length, so that what is moved between them disappears as well, up to the sign.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineage.symmetry.couplings import Coupling, Shape, Slot, Symmetries, matrix_shape, taps

Array = NDArray[np.float64]
Matrices = Mapping[str, Array]


NOWHERE, INNER = -1, -2


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitVectors:
    """The units of one coupling in one version.

    Attributes
    ----------
    plain, plus, minus : (units, features) arrays
        Slices that a rescaling leaves alone, multiplies, divides. Every slot has unit mean square.
    residual : tuple of three (features,) integer arrays
        For each of the three, the channel of the residual stream that a feature lies on; `NOWHERE` for a bias, `INNER`
        on an axis that another coupling permutes.
    spaces : tuple of three (features,) integer arrays
        The width of the stream that it lies on: streams of different width are different ones.
    """

    plain: Array
    plus: Array
    minus: Array
    residual: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    spaces: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

    def select(self, kept: Sequence[NDArray[np.bool_]]) -> UnitVectors:
        """Some of the features of the three parts."""
        return UnitVectors(
            plain=self.plain[:, kept[0]],
            plus=self.plus[:, kept[1]],
            minus=self.minus[:, kept[2]],
            residual=(self.residual[0][kept[0]], self.residual[1][kept[1]], self.residual[2][kept[2]]),
            spaces=(self.spaces[0][kept[0]], self.spaces[1][kept[1]], self.spaces[2][kept[2]]),
        )

    def known(self) -> UnitVectors:
        """Without the features whose order another coupling has to tell."""
        return self.select([channels != INNER for channels in self.residual])

    def balanced(self) -> UnitVectors:
        """Each unit's `plus` and `minus` at the geometric mean of their lengths; at length 1 where one is missing."""
        up, down = (np.linalg.norm(part, axis=1, keepdims=True) for part in (self.plus, self.minus))
        if not self.plus.shape[1] or not self.minus.shape[1]:
            factors = [1 / np.where(length > 0, length, 1.0) for length in (up, down)]
        else:
            alive = (up > 0) & (down > 0)
            up, down = np.where(alive, up, 1.0), np.where(alive, down, 1.0)
            factors = [np.sqrt(down / up), np.sqrt(up / down)]
        return UnitVectors(
            plain=self.plain,
            plus=self.plus * factors[0],
            minus=self.minus * factors[1],
            residual=self.residual,
            spaces=self.spaces,
        )


def folded(matrices: Matrices, symmetries: Symmetries, roles: Iterable[str] | None = None) -> dict[str, Array]:
    """Matrices with the scale of the norm before each multiplied in; the norms themselves as they are.

    Parameters
    ----------
    matrices : mapping of role to (rows, columns) array
    symmetries : Symmetries
    roles : iterable of str, optional
        Those that are wanted; all by default.
    """
    result = {role: matrices[role] for role in (matrices if roles is None else roles)}
    for coupling in symmetries.norms:
        behind = [slot for slot in coupling.slots if slot.power < 0 and slot.role in result]
        if behind:
            gain = matrices[coupling.slots[0].role][0]
            for slot in behind:
                result[slot.role] = result[slot.role] * (gain if slot.axis == 1 else gain[:, None])
    return result


def unit_vectors(
    matrices: Matrices,
    coupling: Coupling,
    units: int,
    *,
    shapes: Mapping[str, Shape],
    inner: Collection[tuple[str, int]],
) -> UnitVectors:
    """Gather the slices of every unit.

    Parameters
    ----------
    matrices : mapping of role to (rows, columns) array
        Folded.
    coupling : Coupling
    units : int
        One of its candidates.
    shapes : mapping of role to shape
    inner : collection of (role, axis)
        Axes that other couplings permute: they lie on no residual stream.
    """
    parts: dict[int, list[tuple[Array, NDArray[np.int64], int]]] = {0: [], 1: [], -1: []}
    for slot in coupling.slots:
        values = slice_of(matrices[slot.role], slot, units)
        size = float(np.sqrt(np.mean(values**2))) if values.size else 0.0
        other = matrix_shape(shapes[slot.role])[1 - slot.axis]
        step = taps(shapes[slot.role]) if slot.axis == 0 else 1
        channels = np.arange(other) // step
        if len(shapes[slot.role]) < 2:
            channels = np.full(other, NOWHERE)
        elif (slot.role, 1 - slot.axis) in inner:
            channels = np.full(other, INNER)
        flat = values.reshape(units, -1) / (size or 1.0)
        parts[slot.power].append((flat, np.tile(channels, flat.shape[1] // other), other // step))
    joined = [_joined(parts[power], units) for power in (0, 1, -1)]
    return UnitVectors(
        plain=joined[0][0],
        plus=joined[1][0],
        minus=joined[2][0],
        residual=(joined[0][1], joined[1][1], joined[2][1]),
        spaces=(joined[0][2], joined[1][2], joined[2][2]),
    )


def slice_of(matrix: Array, slot: Slot, units: int) -> Array:
    """The units of a slot, as (units, block, length of the other axis); a view where it can be one."""
    turned = matrix if slot.axis == 0 else matrix.T
    length = turned.shape[0] // slot.parts
    part = turned[slot.part * length : (slot.part + 1) * length]
    return part.reshape(units, length // units, turned.shape[1])


def _joined(
    parts: list[tuple[Array, NDArray[np.int64], int]], units: int
) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    if not parts:
        return np.zeros((units, 0)), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return (
        np.hstack([values for values, _, _ in parts]),
        np.concatenate([channels for _, channels, _ in parts]),
        np.concatenate([np.full(channels.size, width) for _, channels, width in parts]),
    )
