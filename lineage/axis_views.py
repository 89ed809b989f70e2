"""The sample of a tensor with its axes in any order: containers put the inputs and outputs of a layer differently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import TensorFingerprint
from lineage.alignment import Indices, spread_evenly
from lineage.relatedness import LEAST_SHARED, SIDE

Axes = tuple[int, ...]

_KERNELS = (
    *((0, 1, 2, 3), (1, 0, 2, 3)),
    *((3, 2, 0, 1), (2, 3, 1, 0)),
    *((0, 3, 1, 2), (0, 2, 3, 1)),
    *((3, 0, 1, 2), (1, 2, 3, 0)),
)
"""Between the orders in which frameworks keep the kernels of convolutions: (out, in, height, width), its transpose,
(height, width, in, out) and (out, height, width, in)."""


@dataclass(frozen=True, slots=True)
class View:
    """The sample of a tensor with its axes in some order, as a matrix of `height` by `width`.

    `block` may have more axes than two, so that no order of axes needs a copy: `values_at` makes it a matrix.
    """

    place: int
    axes: Axes
    lengths: Axes
    height: int
    width: int
    rows: Indices
    columns: Indices
    block: NDArray[np.floating]


def lengths_of(tensor: TensorFingerprint) -> Axes:
    """Lengths of the axes, without those of length 1.

    They hold no order: a vector is the same as a row or as a column.
    """
    return tuple(length for length in tensor.shape if length != 1)


def views_of(tensor: TensorFingerprint, place: int) -> Iterator[View]:
    """The tensor as it is, then with its axes in every other order in which the sample is known."""
    lengths = lengths_of(tensor)
    plain = tuple(range(len(lengths)))
    if not tensor.block.size:
        return
    if tensor.whole:
        values = tensor.block.reshape(lengths)
        for axes in _orders(len(lengths)):
            order = tuple(lengths[axis] for axis in axes)
            matrix = values.transpose(axes)
            if len(order) > 2:
                # Of a convolution the longest axis against all others: kernels alone are too few rows.
                longest = order.index(max(order))
                matrix = np.moveaxis(matrix, longest, 0)
            matrix = np.atleast_2d(matrix)
            height, width = len(matrix), matrix.size // len(matrix)
            yield View(place, axes, order, height, width, np.arange(height), np.arange(width), matrix)
        return
    height, width = tensor.matrix_shape
    if len(lengths) == 1 and width == 1:
        yield View(place, plain, lengths, 1, height, tensor.columns, tensor.rows, tensor.block.T)
        return
    yield View(place, plain, lengths, height, width, tensor.rows, tensor.columns, tensor.block)
    if lengths == (height, width):
        yield View(place, (1, 0), (width, height), width, height, tensor.columns, tensor.rows, tensor.block.T)


def _orders(count: int) -> Iterator[Axes]:
    """Orders of so many axes, that in which they stand first."""
    if count < 4:
        yield from permutations(range(count))
    elif count == 4:
        yield from _KERNELS
    else:
        yield tuple(range(count))


def shared_places(one: View, two: View) -> tuple[Indices, Indices] | None:
    """Rows and columns of both, thinned; None where too few are shared."""
    rows = np.intersect1d(one.rows, two.rows, assume_unique=True)
    columns = np.intersect1d(one.columns, two.columns, assume_unique=True)
    smaller = min(one.block.size, two.block.size)
    if rows.size * columns.size < max(1, LEAST_SHARED * smaller):
        return None
    side = SIDE if one.height > 1 else SIDE**2
    return spread_evenly(rows, side), spread_evenly(columns, side)


def values_at(view: View, rows: Indices, columns: Indices) -> NDArray[np.floating]:
    """Its values at some of its rows and columns."""
    matrix = view.block.reshape(len(view.rows), len(view.columns))
    block: NDArray[np.floating] = matrix[
        np.ix_(np.searchsorted(view.rows, rows), np.searchsorted(view.columns, columns))
    ]
    return block


def turned(tensor: TensorFingerprint, axes: Axes, like: TensorFingerprint) -> TensorFingerprint | None:
    """A tensor with the role, the shape and the order of axes of another, its twin's.

    Parameters
    ----------
    tensor : TensorFingerprint
    axes : tuple of int
        As of `Twin`, `like` being the one.
    like : TensorFingerprint

    Returns
    -------
    TensorFingerprint or None
        None where too little is kept of the tensor to exchange its axes. The hash stays that of the bytes as they are
        stored, and the sketch, which would need other signs, is left out.
    """
    lengths = lengths_of(tensor)
    if axes == tuple(range(len(axes))) and tensor.shape == like.shape:
        return tensor if tensor.role == like.role else replace(tensor, role=like.role)
    if len(lengths) != len(axes) or tuple(lengths[axis] for axis in axes) != lengths_of(like):
        return None
    height, width = like.matrix_shape
    if tensor.whole:
        rows, columns = np.arange(height), np.arange(width)
        block = np.ascontiguousarray(tensor.block.reshape(lengths).transpose(axes).reshape(height, width))
    else:
        view = next((view for view in views_of(tensor, 0) if view.axes == axes), None)
        if view is None or (view.height, view.width) != (height, width):
            return None
        rows, columns, block = view.rows, view.columns, np.ascontiguousarray(view.block)
    return replace(
        tensor,
        role=like.role,
        shape=like.shape,
        rows=rows,
        columns=columns,
        block=block,
        levels=_levels(block),
        sketch=np.zeros((0, 0), dtype=np.float32),
    )


def _levels(block: NDArray[np.floating]) -> int:
    """As `TensorFingerprint.levels`."""
    if not block.size:
        return 0
    ordered = np.sort(block, axis=1)
    distinct = np.sort(1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1))
    return int(distinct[(len(distinct) - 1) // 2])
