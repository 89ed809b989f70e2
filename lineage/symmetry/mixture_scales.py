"""The scales at which one version is a mixture of others.

For a merge M of X_1..X_k there are scales, one for every unit of each, with M = sum_k w_k S_k(X_k) to rounding. From a
start some per cent away (the slice of `matching.gauge`) they are found by Gauss-Newton steps, each solved by LSMR (Fong
and Saunders 2011), in which the Jacobian is never formed. There are many times more values than scales, so that what is
no mixture does not become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, lsmr

from lineage.symmetry.units import Array

STEPS = 8
INNER = 60
LARGEST_STEP = 0.5
NO_BETTER = 0.7
"""Gauss-Newton converges fast or not at all: what leaves more of its residual than this, twice, is no mixture."""

FINISHED = 1e-5
"""Residual at which the search stops: collinear versions are told apart by what is more exact."""

SMALL = 1e-3
"""Share of the usual size of a direction below which it is left alone: the scales of a part that hardly takes part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor of all versions, and which scale belongs to each of its rows and columns.

    Attributes
    ----------
    values : tuple of (rows, columns) arrays
        The mixture's first, then its parts', in comparable units.
    rows, columns : (k + 1, rows) and (k + 1, columns) int arrays
        Number of the scale of each row or column in each version; -1 where it is fixed.
    row_powers, column_powers : (rows,) and (columns,) arrays
        1 where the scale multiplies, -1 where it divides, 0 where there is none.
    """

    values: tuple[Array, ...]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    row_powers: Array
    column_powers: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Scales and weights.

    Attributes
    ----------
    logs : (scales,) array
        What each scale has to be multiplied by, as a logarithm.
    weights : (k,) array
    residual : float
        Norm of what is left, as a share of the distance to the nearest part.
    rounding : float
        The part of it that storing the values explains, in the same measure.
    """

    logs: Array
    weights: Array
    residual: float
    rounding: float


def mixture_scales(
    tensors: Sequence[Tensor],
    scales: int,
    weights: Array,
    *,
    by_tensor: bool = False,
    roundoff: Sequence[float] = (),
) -> Mixture:
    """Fit scales and weights together.

    Parameters
    ----------
    tensors : sequence of Tensor
    scales : int
        Number of unknown scales.
    weights : (k,) array
        Where to start; they sum to 1.
    by_tensor : bool
        Whether each tensor has coefficients of its own, as in a spherical merge.
    roundoff : sequence of float
        Relative error of storing a value, root mean square, of the mixture and of each part.

    Notes
    -----
    Time O(STEPS * INNER * k * values) at most, memory O(k * values). The nearest distance is measured at the end, so
    that shrinking everything gains nothing.
    """
    system = _System(tensors, scales, len(weights), by_tensor=by_tensor)
    point = system.start(weights)
    left = system.residual(point)
    best, slow = (left, point), 0
    for _ in range(STEPS):
        point = point + system.step(point)
        now = system.residual(point)
        if now < best[0]:
            best = (now, point)
        slow = slow + 1 if now > NO_BETTER * left else 0
        left = now
        if slow >= 2 or not np.isfinite(now) or now <= FINISHED * system.nearest(point):
            break
    return system.told(best[1], roundoff)


class _System:
    """The residual of a mixture, and the linear problem of a step."""

    def __init__(self, tensors: Sequence[Tensor], scales: int, parts: int, *, by_tensor: bool) -> None:
        self._tensors, self._scales, self._parts = tensors, scales, parts
        self._coefficients = len(tensors) if by_tensor else 1
        # Weights that sum to 1 have one direction less; free coefficients have all.
        basis = np.vstack([-np.ones(parts - 1), np.eye(parts - 1)])
        self._basis = np.eye(parts) if by_tensor else basis
        self._size = scales + self._coefficients * self._basis.shape[1]
        self._weights = np.zeros(parts)

    def start(self, weights: Array) -> Array:
        self._weights = np.asarray(weights, dtype=np.float64)
        return np.zeros(self._size)

    def weights(self, point: Array) -> Array:
        """Coefficients by tensor, (1 or tensors, parts)."""
        free = point[self._scales :].reshape(self._coefficients, -1)
        found: Array = self._weights + free @ self._basis.T
        return found

    def residual(self, point: Array) -> float:
        return float(np.sqrt(sum(float(np.sum(item**2)) for item in self._left(point, self._scaled(point)))))

    def nearest(self, point: Array) -> float:
        apart = np.zeros(self._parts)
        for values in self._scaled(point):
            apart += [float(np.sum((item - values[0]) ** 2)) for item in values[1:]]
        return float(np.sqrt(apart.min()))

    def told(self, point: Array, roundoff: Sequence[float]) -> Mixture:
        nearest = self.nearest(point) or 1.0
        weights = self.weights(point).mean(axis=0)
        lost = 0.0
        for values in self._scaled(point) if roundoff else ():
            factors = [roundoff[0], *(weights * np.asarray(roundoff[1:]))]
            lost += sum(
                float(factor**2 * np.sum(item**2)) for factor, item in zip(factors, values, strict=True) if factor
            )
        return Mixture(
            logs=point[: self._scales],
            weights=weights,
            residual=self.residual(point) / nearest,
            rounding=float(np.sqrt(lost)) / nearest,
        )

    def step(self, point: Array) -> Array:
        """The least-squares step, of limited length."""
        scaled = self._scaled(point)
        # With its coefficient each version's values are what the logarithm of its scale moves.
        coefficients = self._signed(point)
        moved = [
            [factor * item for factor, item in zip(coefficients[place], values, strict=True)]
            for place, values in enumerate(scaled)
        ]
        right = -np.concatenate([item.ravel() for item in self._left(point, scaled)])
        norms = np.sqrt(self._energies(scaled, moved))
        usual = float(np.median(norms[norms > 0])) if norms.any() else 0.0
        factors = np.where(norms > SMALL * usual, 1 / np.where(norms > 0, norms, 1.0), 0.0)
        operator = LinearOperator(
            (right.size, self._size),
            matvec=lambda x: self._forward(scaled, moved, factors * np.asarray(x).ravel()),
            rmatvec=lambda y: factors * self._backward(scaled, moved, np.asarray(y).ravel()),
            dtype=np.float64,
        )
        found = factors * np.asarray(lsmr(operator, right, atol=1e-7, btol=1e-7, maxiter=INNER)[0])
        found[: self._scales] = np.clip(found[: self._scales], -LARGEST_STEP, LARGEST_STEP)
        return found

    def _signed(self, point: Array) -> Array:
        weights = np.broadcast_to(self.weights(point), (len(self._tensors), self._parts))
        return np.hstack([-np.ones((len(self._tensors), 1)), weights])

    def _scaled(self, point: Array) -> list[list[Array]]:
        logs = np.append(point[: self._scales], 0.0)
        found = []
        for tensor in self._tensors:
            values = []
            for place, item in enumerate(tensor.values):
                rows = np.exp(tensor.row_powers * logs[tensor.rows[place]])
                columns = np.exp(tensor.column_powers * logs[tensor.columns[place]])
                values.append(item * rows[:, None] * columns)
            found.append(values)
        return found

    def _left(self, point: Array, scaled: Sequence[Sequence[Array]]) -> list[Array]:
        signed = self._signed(point)
        return [
            np.sum([factor * item for factor, item in zip(signed[place], values, strict=True)], axis=0)
            for place, values in enumerate(scaled)
        ]

    def _energies(self, scaled: Sequence[Sequence[Array]], moved: Sequence[Sequence[Array]]) -> Array:
        """Squared norms of the columns of the Jacobian, those of a scale as if its versions were orthogonal."""
        found = np.zeros(self._scales + 1)
        free = np.zeros((self._coefficients, self._basis.shape[1]))
        for place, (tensor, values) in enumerate(zip(self._tensors, moved, strict=True)):
            for version, item in enumerate(values):
                squares = item**2
                np.add.at(found, tensor.rows[version], tensor.row_powers**2 * squares.sum(axis=1))
                np.add.at(found, tensor.columns[version], tensor.column_powers**2 * squares.sum(axis=0))
            directions = np.stack([item.ravel() for item in scaled[place][1:]], axis=1) @ self._basis
            free[place % self._coefficients] += np.sum(directions**2, axis=0)
        return np.concatenate([found[:-1], free.ravel()])

    def _forward(self, scaled: Sequence[Sequence[Array]], moved: Sequence[Sequence[Array]], x: Array) -> Array:
        logs = np.append(x[: self._scales], 0.0)
        changes = x[self._scales :].reshape(self._coefficients, -1) @ self._basis.T
        found = []
        for place, tensor in enumerate(self._tensors):
            total = np.zeros_like(scaled[place][0])
            for version, item in enumerate(moved[place]):
                rows = tensor.row_powers * logs[tensor.rows[version]]
                columns = tensor.column_powers * logs[tensor.columns[version]]
                total += item * (rows[:, None] + columns)
                if version:
                    total += changes[place % self._coefficients, version - 1] * scaled[place][version]
            found.append(total.ravel())
        return np.concatenate(found)

    def _backward(self, scaled: Sequence[Sequence[Array]], moved: Sequence[Sequence[Array]], y: Array) -> Array:
        logs = np.zeros(self._scales + 1)
        changes = np.zeros((self._coefficients, self._parts))
        start = 0
        for place, tensor in enumerate(self._tensors):
            shape = scaled[place][0].shape
            part = y[start : start + shape[0] * shape[1]].reshape(shape)
            start += part.size
            for version, item in enumerate(moved[place]):
                rows, columns = np.einsum("ij,ij->i", item, part), np.einsum("ij,ij->j", item, part)
                np.add.at(logs, tensor.rows[version], tensor.row_powers * rows)
                np.add.at(logs, tensor.columns[version], tensor.column_powers * columns)
                if version:
                    changes[place % self._coefficients, version - 1] += float(np.vdot(scaled[place][version], part))
        return np.concatenate([logs[:-1], (changes @ self._basis).ravel()])
