"""What a version shows by itself: which rules are worth trying on it, before any pair is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from lineage.alignment import spread_places
from lineage.precision import largest_rounding

LOOKED_AT = 8
MOST_MATRICES = 32
LEAST_VALUES = 8

MOST_STEPS = 512
"""Steps over the range of a row: with more, everything is near a multiple of something."""

NEARLY_WHOLE = 0.08

ROUNDED_BY = 0.0625
"""Share of a step by which rounding may have moved a value that is looked at."""

HALF_PRECISION = ("BF16", "F16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Signs of a certain transformation in one version's own values.

    Attributes
    ----------
    sparse : bool
        A matrix of the layers has zeros to speak of.
    coarse : bool
        Values repeat within rows, are whole multiples of a step, or of 16-bit steps of their own group.
    half : bool
        Every value lies on a 16-bit grid.
    """

    sparse: bool
    coarse: bool
    half: bool

    @property
    def lossy(self) -> bool:
        """Whether it was quantised below 16 bits, or pruned."""
        return self.sparse or self.coarse

    @property
    def any(self) -> bool:
        """Whether there is any sign at all."""
        return self.sparse or self.coarse or self.half


def traits(fingerprint: Fingerprint) -> Traits:
    """The signs in one version.

    Examples
    --------
    A version without matrices shows none but its grid:

    >>> traits(Fingerprint(version="v", tensors=())).any
    False
    """
    matrices = [tensor for tensor in fingerprint.tensors if len(tensor.shape) >= 2 and tensor.block.size >= 64]
    floats = [tensor for tensor in fingerprint.tensors if tensor.size and tensor.nonfinite == 0]
    # A grid is sought in the layers first: embeddings and heads are often kept as they were.
    matrices.sort(key=lambda tensor: (not tensor.role.startswith("layers."), tensor.role))
    sparse = any(tensor.zeros > 0.01 * tensor.size for tensor in matrices)
    if len(matrices) > MOST_MATRICES:
        matrices = [matrices[place] for place in spread_places(len(matrices), MOST_MATRICES)]
    repeats = [variety(tensor) < 0.8 for tensor in matrices if tensor.levels]
    return Traits(
        sparse=sparse,
        coarse=(bool(repeats) and float(np.mean(repeats)) > 0.3)
        or _stepped(matrices)
        or sum(scaled_bits(tensor) > 0 for tensor in matrices) > 0.5 * len(matrices),
        half=bool(floats)
        and (
            all(tensor.bf16_exact == tensor.size for tensor in floats)
            or all(tensor.f16_exact == tensor.size for tensor in floats)
        ),
    )


def variety(tensor: TensorFingerprint) -> float:
    """Share of different values in a row or in a column of the block, whichever is smaller; 1 without a block.

    Weights are quantised along either axis, by the order in which a container stores inputs and outputs.
    """
    rows, columns = tensor.block.shape
    if not rows * columns:
        return 1.0
    looked = tensor.block[:, spread_places(columns, LOOKED_AT)]
    ordered = np.sort(looked, axis=0)
    distinct = 1 + (ordered[1:] != ordered[:-1]).sum(axis=0)
    return float(min(tensor.levels / columns, np.median(distinct) / rows))


def scaled_bits(tensor: TensorFingerprint) -> int:
    """Bits of the integers that a tensor's values are, times a 16-bit scale for each group; 0 where they are not.

    Block quantisation (Q8_0, Q5_0 and Q4_0 of GGUF among others) stores a float16 scale for some 32 values. Within so
    small a group hardly a value repeats, but the product of a scale of 11 significant bits and an integer of b - 1 bits
    has no more than b + 10 of the 24 that training fills.

    Notes
    -----
    Grids with an offset for each group fill all bits and are not seen here. A trained tensor shows this only if each of
    its values ends in five zero bits by accident.
    """
    bits = tensor.mantissa_bits - 9
    full = tensor.dtype in ("F32", "F64") and tensor.size >= 256 and tensor.f16_exact < tensor.size
    return bits if full and 2 <= bits <= 9 else 0


def _stepped(matrices: Sequence[TensorFingerprint]) -> bool:
    """Whether most of a few matrices have most of a few rows on a grid."""
    some = matrices[:LOOKED_AT]
    return _most((on_grid(item.block, stored_within(item)) for item in some), len(some), share=0.5)


def stored_within(tensor: TensorFingerprint) -> float:
    """How far 16 bits moved each value of a tensor, relative to the value, at most; 0 for other dtypes."""
    return largest_rounding(tensor.dtype) if tensor.dtype in HALF_PRECISION else 0.0


def on_grid(block: NDArray[np.floating], rounding: float = 0.0) -> bool:
    """Whether most of the rows, or of the columns, of a block hold whole multiples of a step of their own.

    Parameters
    ----------
    block : (rows, columns) array
    rounding : float
        As for `grid_step`.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(8, 64))
    >>> on_grid(values), on_grid(np.round(values * 30) / 30)
    (False, True)
    """
    return _rows_on_grid(block, rounding) or _rows_on_grid(block.T, rounding)


def _rows_on_grid(block: NDArray[np.floating], rounding: float) -> bool:
    rows = block[spread_places(len(block), LOOKED_AT)]
    live = rows[rows.any(axis=1)]
    return _most((grid_step(row, rounding) is not None for row in live), len(live), share=0.6)


def _most(answers: Iterable[bool], count: int, *, share: float) -> bool:
    """Whether more than a share of the answers is yes; no more are asked for than that takes."""
    said = {True: 0, False: 0}
    for answer in answers:
        said[answer] += 1
        if said[True] > share * count:
            return True
        if said[False] >= (1 - share) * count:
            return False
    return False


def grid_step(row: NDArray[np.floating], rounding: float = 0.0) -> float | None:
    """The step of the grid that all values of a row lie on; None where they lie on none.

    Parameters
    ----------
    row : (n,) array
    rounding : float
        How far storing each value moved it, relative to the value, at most. Then zero is taken to lie on the grid, and
        only values are looked at that are so few steps long that rounding moved them by little of one.

    Notes
    -----
    Differences between neighbouring values are whole multiples of the step. The smallest difference is one to four
    steps; the candidate with which all differences come out whole is taken. Grids of more than 512 levels over the
    row's range are left alone: with so many, everything is near a multiple of something.
    """
    values = np.sort(row[np.isfinite(row)].astype(np.float64))
    if rounding:
        return _rounded_step(values, rounding)
    gaps = np.diff(values)
    if np.count_nonzero(gaps) < LEAST_VALUES - 1:
        return None
    span = float(values[-1] - values[0])
    real = gaps[gaps > span / 4096]
    if real.size < LEAST_VALUES - 1:
        return None
    for parts in range(1, 5):
        step = float(real.min()) / parts
        if step < span / MOST_STEPS:
            break
        step = span / round(span / step)
        multiples = (values - values[0]) / step
        if np.abs(multiples - np.round(multiples)).max() < NEARLY_WHOLE:
            return step
    return None


def _rounded_step(values: NDArray[np.float64], rounding: float) -> float | None:
    """As `grid_step`, of sorted values that were rounded."""
    sizes = np.unique(np.abs(values[values != 0]))
    for parts in range(1, 5):
        if sizes.size < LEAST_VALUES or parts * (values[-1] - values[0]) > MOST_STEPS * sizes[0]:
            break
        step = float(sizes[0]) / parts
        few = sizes[sizes <= ROUNDED_BY / rounding * step]
        if few.size < LEAST_VALUES:
            break
        whole = np.round(few / step)
        step = float(whole @ few) / float(whole @ whole)
        if np.abs(few / step - whole).max() < NEARLY_WHOLE + ROUNDED_BY:
            return step
    return None
