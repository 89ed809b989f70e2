"""Which of two versions came first: one small function per cue.

Each cue answers with a signed figure: positive where it speaks for `first` being the parent. None says "cannot tell".
What a figure is worth in log-odds is fitted, see `lineage.calibration`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from lineage.alignment import TensorPair

LEAST_SIDE = 8
LEAST_ROWS = 8
LEAST_ERROR = 0.05

MEDIAN = 1.2533
"""Standard error of a median relative to that of a mean, of normal values."""

LEADING = 4
"""Directions of a change that are looked at one by one."""

PRIOR = 4.0
"""How many matrices the error to expect from these directions is worth beside the error seen among the matrices."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A figure and its standard error.

    Attributes
    ----------
    value : float
    error : float
    """

    value: float
    error: float

    def shrunk(self, spread: float) -> float:
        """The value, drawn towards zero as far as it is uncertain: the posterior mean under a normal prior.

        Examples
        --------
        >>> Reading(value=1.0, error=0.5).shrunk(0.5)
        0.5
        """
        return self.value * spread**2 / (spread**2 + self.error**2)

    def reversed(self) -> Reading:
        """The same reading for the other direction."""
        return Reading(value=-self.value, error=self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened to one matrix, as far as the cues look at it.

    Attributes
    ----------
    shape : (int, int)
    left : (rows, k) array
        Leading singular vectors of the change (`leading_directions`).
    sizes : (k,) array
        How far it goes along each of them.
    first_along, second_along : (rows, k) array
        The matrix before and after, multiplied by the leading vectors of the other side.
    before, after, step : (rows,) array
        Squared norms of the rows before and after, and of their changes.
    """

    shape: tuple[int, ...]
    left: Matrix
    sizes: Matrix
    first_along: Matrix
    second_along: Matrix
    before: Matrix
    after: Matrix
    step: Matrix

    @classmethod
    def between(cls, first: Matrix, second: Matrix) -> list[Change]:
        """What leads from some matrices to others, both (k, rows, columns)."""
        delta = second - first
        left, right = leading_directions(delta)
        before, after, step = (np.einsum("krc,krc->kr", item, item) for item in (first, second, delta))
        sizes = np.sum(left * (delta @ right), axis=1)
        along = zip(left, sizes, first @ right, second @ right, before, after, step, strict=True)
        return [
            cls(
                shape=first.shape[1:],
                left=one,
                sizes=size,
                first_along=start,
                second_along=end,
                before=low,
                after=high,
                step=moved,
            )
            for one, size, start, end, low, high, moved in along
        ]

    def swapped(self) -> Change:
        """The same change the other way round."""
        return replace(
            self,
            sizes=-self.sizes,
            first_along=self.second_along,
            second_along=self.first_along,
            before=self.after,
            after=self.before,
        )


def changes(pairs: Sequence[TensorPair]) -> tuple[Change, ...]:
    """The matrices that changed, each with its change and the leading directions of that."""
    moved = [pair for pair in pairs if pair.matrix and not np.array_equal(pair.first, pair.second)]
    found: dict[int, Change] = {}
    for places in _alike([pair.first.shape for pair in moved]):
        some = [moved[place] for place in places]
        stacks = np.stack([pair.first for pair in some]), np.stack([pair.second for pair in some])
        found |= zip(places, Change.between(*stacks), strict=True)
    return tuple(change for _, change in sorted(found.items()) if change.step.sum() > 0)


def _alike(keys: Iterable[Hashable]) -> Iterable[list[int]]:
    """The places of equal keys."""
    held: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        held.setdefault(key, []).append(place)
    return held.values()


def growth(changed: Sequence[Change]) -> Reading | None:
    """How much of the way from first to second went outward: growth of squared norms per squared distance.

    A step that is orthogonal to where it starts makes the squared norm grow by its own squared length: 1 forward, -1
    backward, 0 between siblings of a common ancestor as far from both. The median over matrices withstands the weight
    decay of a few. Heavy decay everywhere turns the sign.

    Returns
    -------
    Reading or None
        The median over the changed matrices, with an error from their spread, or from how few directions the changes
        have, if that is larger; None where no matrix changed.
    """
    ratios, chances = [], []
    for change in changed:
        distance = float(change.step.sum())
        ratios.append((float(change.after.sum()) - float(change.before.sum())) / distance)
        chances.append(_chance(change) / distance**2)
    if not ratios:
        return None
    middle = float(np.median(ratios))
    spread = 1.4826 * float(np.median(np.abs(np.array(ratios) - middle)))
    variance = _pooled(spread**2, float(np.mean(chances)), len(ratios))
    return Reading(value=middle, error=max(LEAST_ERROR, MEDIAN * float(np.sqrt(variance / len(ratios)))))


def _pooled(seen: float, expected: float, matrices: int) -> float:
    """A variance seen among some matrices, the one to expect by chance counting as `PRIOR` more of them."""
    return (matrices * seen + PRIOR * expected) / (matrices + PRIOR)


def _chance(change: Change) -> float:
    """Variance of the growth of a squared norm, were the directions of the change drawn at random.

    Each of the few leading directions gives one product with the weights, as likely to be positive as negative; what is
    left of the change has many.
    """
    sizes = change.sizes
    along = np.sum(change.left * (change.first_along + change.second_along), axis=0)
    rest = max(float(change.step.sum()) - float(np.sum(sizes**2)), 0.0)
    energy = (change.before.sum() + change.after.sum()) / 2 - change.step.sum() / 4
    return float(np.sum((sizes * along) ** 2)) + 4 * rest * float(energy) / prod(change.shape)


def leading_directions(delta: Matrix) -> tuple[Matrix, Matrix]:
    """The leading singular vectors of a change, `LEADING` on either side, well enough to know how few it has.

    Parameters
    ----------
    delta : (..., rows, columns) array

    Returns
    -------
    left : (..., rows, k) array
    right : (..., columns, k) array
    """
    count = min(LEADING, *delta.shape[-2:])
    lengths = np.einsum("...rc,...rc->...r", delta, delta)
    longest = np.argsort(-lengths, axis=-1, kind="stable")[..., :count, None]
    there = np.swapaxes(delta, -1, -2)
    left = np.linalg.qr(delta @ np.swapaxes(np.take_along_axis(delta, longest, axis=-2), -1, -2))[0]
    left = np.linalg.qr(delta @ (there @ left))[0]
    turn, _, back = np.linalg.svd(np.swapaxes(left, -1, -2) @ delta, full_matrices=False)
    return left @ turn, np.swapaxes(back, -1, -2)


def row_growth(changed: Sequence[Change]) -> Reading | None:
    """Whether the rows that moved more grew more: slope of growth against movement over the rows of a matrix.

    Decay of weights shrinks all rows of a matrix alike, which turns the sign of the whole matrix's growth but not of
    the slope: a row that made a longer step of its own grew by more, 1 a unit forward and -1 backward. Rows are
    compared within their matrix (medians taken off), each relative to its own energy. Both directions are read, and
    half their difference counts.

    Returns
    -------
    Reading or None
        Least-squares slope over the rows of all changed matrices, with its heteroscedasticity-consistent error (White
        1980), or with that of the few leading directions of a change, which rows share, if that is larger; None where
        fewer than eight rows moved.
    """
    read = [change for change in changed if min(change.shape) >= LEAST_SIDE]
    forth, back = _row_slope(read), _row_slope([change.swapped() for change in read])
    if forth is None or back is None:
        return None
    # Both are read from the same rows, so that their errors do not average out.
    return Reading(value=(forth.value - back.value) / 2, error=(forth.error + back.error) / 2)


def _row_slope(changed: Sequence[Change]) -> Reading | None:
    read, both = [], []
    for change in changed:
        alive = (change.before > 0) & (change.step > 0)
        if alive.sum() >= 2:
            read.append((change, alive))
            both.append(np.stack([change.step, change.after - change.before])[:, alive] / change.before[alive])
    middles: dict[int, Matrix] = {}
    for places in _alike([item.shape for item in both]):
        middles |= zip(places, np.median([both[place] for place in places], axis=2, keepdims=True), strict=True)
    moves, grows = [], []
    chance = 0.0
    for place, (change, alive) in enumerate(read):
        move, grow = both[place] - middles[place]
        moves.append(move)
        grows.append(grow)
        shared = 2 * change.sizes * (change.left * change.first_along)[alive] / change.before[alive, None]
        chance += float(np.square(move @ shared).sum())
    if sum(len(item) for item in moves) < LEAST_ROWS:
        return None
    move, grow = np.concatenate(moves), np.concatenate(grows)
    energy = float(move @ move)
    if energy <= 0:
        return None
    slope = float(move @ grow) / energy
    left_over = move * (grow - slope * move)
    starts = np.cumsum([0, *(len(item) for item in moves[:-1])])
    seen = float(np.sum(np.add.reduceat(left_over, starts) ** 2))
    variance = max(float(np.sum(left_over**2)), _pooled(seen, chance, len(moves)))
    return Reading(value=slope, error=float(np.sqrt(variance)) / energy)


def decay_clock(pairs: Sequence[TensorPair]) -> tuple[float, int] | None:
    """How much the rows that were never trained shrank from first to second.

    Rows of an embedding that no example touched only feel the decay of weights: all of them shrink by the same factor,
    prod(1 - lr * wd), so that they stay proportional to the bit of rounding.

    Returns
    -------
    (float, int) or None
        Minus the logarithm of the common factor (positive: second is the younger), and the number of rows it was read
        from. None where fewer than four rows are proportional, or they shrank by different factors, or not at all.
    """
    logs: list[float] = []
    for pair in pairs:
        if not pair.role.startswith("embed") or min(pair.first.shape) < 4:
            continue
        energy = np.sum(pair.first**2, axis=1)
        product = np.sum(pair.first * pair.second, axis=1)
        alive = (energy > 0) & (product > 0)
        factor = np.where(alive, product / np.where(energy > 0, energy, 1.0), 1.0)
        residual = np.linalg.norm(pair.second - factor[:, None] * pair.first, axis=1)
        proportional = alive & (residual < 1e-5 * np.sqrt(energy)) & (np.abs(factor - 1) > 1e-6)
        logs += (-np.log(factor[proportional])).tolist()
    if len(logs) < 4:
        return None
    middle = float(np.median(logs))
    spread = float(np.median(np.abs(np.array(logs) - middle)))
    if spread > 0.05 * abs(middle):
        return None
    return middle, len(logs)


def grid_lost(pairs: Sequence[TensorPair]) -> float | None:
    """How much more of the first than of the second lies on a 16-bit grid: training destroys a grid, by chance only.

    Returns
    -------
    float or None
        Difference of the shares of values exact in bfloat16 or float16, whichever differs more; None where nothing
        changed.
    """
    sizes = exact_bf16 = exact_f16 = 0
    for pair in pairs:
        # What lies on the grid as a whole was cast to it, which may as well have been the last thing that happened.
        if pair.equal or pair.one.size != pair.two.size or _wholly_half(pair):
            continue
        sizes += pair.one.size
        exact_bf16 += pair.one.bf16_exact - pair.two.bf16_exact
        exact_f16 += pair.one.f16_exact - pair.two.f16_exact
    if not sizes:
        return None
    return max((exact_bf16 / sizes, exact_f16 / sizes), key=abs)


def _wholly_half(pair: TensorPair) -> bool:
    return any(
        exact == tensor.size for tensor in (pair.one, pair.two) for exact in (tensor.bf16_exact, tensor.f16_exact)
    )
