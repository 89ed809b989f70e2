"""Which tensor of one network is which of another where names tell nothing: by shape, content and order.

Tensors are candidates for each other where their axes have the same lengths, in any order (containers disagree on it:
a linear layer is (out, in) here and (in, out) there). Among candidates, tensors that hold the same multiset of values
belong together; of the rest, those are paired whose sampled values correlate most, all pairs of a shape at once, and
only where values cannot tell two tensors apart does their order under natural sorting decide: no order survives all
containers, but content does.

Whether the two are kin is then the test of `lineage.relatedness`, on what was paired. Choosing the best of k * k pairs
raises no false alarm, since its threshold is beyond any number of tests that a lake can make. Equal tables that both
networks computed for themselves (masks, sinusoids) pass it; they are a small part of a network, so that half of its
matrices must be kin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from lineage.axis_views import Axes, View, lengths_of, shared_places, values_at, views_of
from lineage.relatedness import LEAST_SIDE, SIDE, THRESHOLD, scores, unit_blocks

WEIGHTS = frozenset(("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I8", "U8"))
"""Dtypes of weights; masks, positions and the like are paired, but show no kinship."""

LEAST_SHARE = 0.5
_OTHER_AXES = 3.0
"""How much larger z must be before axes are taken in another order than they stand in."""

_ORDER_BESIDE_Z = 1e-3
_ORDER_BESIDE_ENERGY = 1e-9
"""Weights of a misplacement by a network's whole length: enough to decide between what is equal up to rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A tensor of the one and a tensor of the other that play the same part.

    Attributes
    ----------
    one, two : TensorFingerprint
    axes : tuple of int
        For each axis of `one`, axes of length 1 aside, the axis of `two` that it is.
    kindred : bool
        Whether their values have more in common than those of independent networks.
    """

    one: TensorFingerprint
    two: TensorFingerprint
    axes: Axes
    kindred: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondence:
    """Two networks, tensor by tensor.

    Attributes
    ----------
    twins : tuple of Twin
        Each tensor is in one at most.
    tested : int
        Matrices in which kinship could show, of the network that has fewer.
    """

    twins: tuple[Twin, ...]
    tested: int

    @property
    def kindred(self) -> int:
        """How many matrices are kin."""
        return sum(twin.kindred for twin in self.twins)

    @property
    def kin(self) -> bool:
        """Whether the two networks are."""
        return self.kindred > 0 and self.kindred >= LEAST_SHARE * self.tested


def correspondence(one: Fingerprint, two: Fingerprint) -> Correspondence:
    """Pair the tensors of two networks whatever they are called.

    Parameters
    ----------
    one, two : Fingerprint
        Sampled at the same places, as networks of unknown architecture are; of others only the tensors that are kept
        whole, or that hold the same values, can be paired.

    Notes
    -----
    Time O(k^2 d + k^3) for k tensors of one shape and samples of d values.

    Examples
    --------
    >>> nothing = Fingerprint(version="a", tensors=())
    >>> correspondence(nothing, nothing).kin
    False
    """
    mine, theirs = by_lengths(one), by_lengths(two)
    twins = [
        twin for lengths in sorted(mine.keys() & theirs.keys()) for twin in _paired(mine[lengths], theirs[lengths])
    ]
    return Correspondence(twins=tuple(twins), tested=min(tested(one), tested(two)))


def by_lengths(fingerprint: Fingerprint) -> dict[Axes, list[TensorFingerprint]]:
    """Tensors by the lengths of their axes, ascending, without those of length 1; in natural order of names."""
    found: dict[Axes, list[TensorFingerprint]] = {}
    for tensor in sorted(fingerprint.tensors, key=lambda tensor: _natural(tensor.role)):
        if tensor.size:
            found.setdefault(tuple(sorted(lengths_of(tensor))), []).append(tensor)
    return found


def tested(fingerprint: Fingerprint) -> int:
    """Number of matrices in which kinship could show."""
    return sum(telling(tensor) for tensor in fingerprint.tensors)


def telling(tensor: TensorFingerprint) -> bool:
    """Whether kinship could show in a tensor: a matrix of weights that differ, with a sample that is large enough."""
    rows, columns = (min(side, SIDE) for side in tensor.block.shape)
    if tensor.whole and len(lengths_of(tensor)) > 1:
        longest = max(lengths_of(tensor))
        rows, columns = min(longest, SIDE), min(tensor.size // longest, SIDE)
    enough = min(rows, columns) >= LEAST_SIDE and np.sqrt((rows - 1) * (columns - 1)) > THRESHOLD
    return bool(enough) and tensor.dtype in WEIGHTS and tensor.variance > 0


def _natural(role: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", role)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _paired(ones: Sequence[TensorFingerprint], twos: Sequence[TensorFingerprint]) -> Iterator[Twin]:
    """The twins among tensors of the same lengths."""
    left, right = dict(enumerate(ones)), dict(enumerate(twos))
    for i, j in _equal(ones, twos):
        axes = _same_values(ones[i], twos[j])
        if axes is not None:
            del left[i], right[j]
            yield Twin(one=ones[i], two=twos[j], axes=axes, kindred=telling(ones[i]))
    if not left or not right:
        return
    mine, theirs = list(left.values()), list(right.values())
    likeness = _likeness(mine, theirs)
    places = linear_sum_assignment(likeness.weights(_order(mine, theirs)), maximize=True)
    for i, j in zip(*(place.tolist() for place in places), strict=True):
        if likeness.compared[i, j]:
            kindred = bool(likeness.z[i, j] >= THRESHOLD) and telling(mine[i]) and telling(theirs[j])
            yield Twin(one=mine[i], two=theirs[j], axes=likeness.axes[likeness.chosen[i, j]], kindred=kindred)


def _equal(ones: Sequence[TensorFingerprint], twos: Sequence[TensorFingerprint]) -> Iterator[tuple[int, int]]:
    """Tensors of the same multiset of values; of several, those of one name, then in order."""
    holders: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
    for side, tensors in enumerate((ones, twos)):
        for place, tensor in enumerate(tensors):
            holders.setdefault((tensor.dtype, tensor.multiset), ([], []))[side].append(place)
    for mine, theirs in holders.values():
        named = {twos[place].role: place for place in theirs}
        same = [(place, named[ones[place].role]) for place in mine if ones[place].role in named]
        yield from same
        taken_one, taken_two = {i for i, _ in same}, {j for _, j in same}
        yield from zip((i for i in mine if i not in taken_one), (j for j in theirs if j not in taken_two), strict=False)


def _same_values(one: TensorFingerprint, two: TensorFingerprint) -> Axes | None:
    """The order of axes in which two tensors of the same multiset agree; as they are where they hold no samples."""
    wanted = next(views_of(one, 0), None)
    plain = tuple(range(len(lengths_of(one))))
    if one.content == two.content and lengths_of(one) == lengths_of(two):
        return plain
    if wanted is None:
        return plain if one.shape == two.shape else None
    for view in views_of(two, 0):
        shared = shared_places(wanted, view) if view.lengths == wanted.lengths else None
        if shared is not None:
            rows, columns = shared
            first, second = (values_at(item, rows, columns) for item in (wanted, view))
            if np.array_equal(first, second, equal_nan=True):
                return view.axes
    return None


def _order(ones: Sequence[TensorFingerprint], twos: Sequence[TensorFingerprint]) -> NDArray[np.float64]:
    """How far from each other's place two tensors stand, 0 to 1; -1 where they are called alike."""
    one = np.linspace(0, 1, len(ones))[:, None] if len(ones) > 1 else np.zeros((1, 1))
    two = np.linspace(0, 1, len(twos))[None, :] if len(twos) > 1 else np.zeros((1, 1))
    apart: NDArray[np.float64] = np.abs(one - two)
    places = {tensor.role: place for place, tensor in enumerate(twos)}
    for place, tensor in enumerate(ones):
        if tensor.role in places:
            apart[place, places[tensor.role]] = -1.0
    return apart


@dataclass(frozen=True, slots=True)
class _Likeness:
    """How alike the values of all pairs are: z where there are rows and columns enough, else by energy."""

    compared: NDArray[np.bool_]
    z: NDArray[np.float64]
    agreement: NDArray[np.float64]
    chosen: NDArray[np.int64]
    axes: Sequence[Axes]

    def weights(self, order: NDArray[np.float64]) -> NDArray[np.float64]:
        """What an assignment should have most of."""
        by_z = self.z - _ORDER_BESIDE_Z * order
        found = np.where(np.isfinite(self.z), by_z, self.agreement - _ORDER_BESIDE_ENERGY * order)
        return np.where(self.compared, found, -1e6)


def _likeness(ones: Sequence[TensorFingerprint], twos: Sequence[TensorFingerprint]) -> _Likeness:
    size = len(ones), len(twos)
    z, agreement, chosen = np.full(size, -np.inf), np.full(size, -np.inf), np.full(size, -1)
    mine, theirs = _grouped(ones, turned=False), _grouped(twos, turned=True)
    # As they stand first, so that another order has to be better.
    orders = sorted({group[0].axes for group in theirs}, key=lambda axes: (axes != tuple(sorted(axes)), axes))
    for number, axes in enumerate(orders):
        for first, second in product(mine, (group for group in theirs if group[0].axes == axes)):
            blocks = _blocks(first, second)
            if blocks is None:
                continue
            at = np.ix_([view.place for view in first], [view.place for view in second])
            margin = np.where(chosen[at] >= 0, _OTHER_AXES, 0.0)
            if min(blocks[0].shape[1:]) >= LEAST_SIDE:
                _, found = scores(*(unit_blocks(values) for values in blocks), outer=True)
                better = found > z[at] + margin
                z[at] = np.where(better, found, z[at])
            else:
                energy = _agreement(*blocks)
                better = energy > agreement[at]
                agreement[at] = np.where(better, energy, agreement[at])
            chosen[at] = np.where(better, number, chosen[at])
    return _Likeness(compared=chosen >= 0, z=z, agreement=agreement, chosen=chosen, axes=orders)


def _blocks(first: Sequence[View], second: Sequence[View]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """The values of two groups of views where both have them."""
    one, two = first[0], second[0]
    if one.lengths != two.lengths or (one.height, one.width) != (two.height, two.width):
        return None
    shared = shared_places(one, two)
    if shared is None:
        return None
    mine, theirs = (
        np.nan_to_num(np.stack([values_at(view, *shared) for view in views]).astype(np.float32), posinf=0.0, neginf=0.0)
        for views in (first, second)
    )
    return mine, theirs


def _grouped(tensors: Sequence[TensorFingerprint], *, turned: bool) -> list[list[View]]:
    """Views at the same rows and columns; of each tensor the first one, or all."""
    groups: dict[tuple[object, ...], list[View]] = {}
    for place, tensor in enumerate(tensors):
        for view in views_of(tensor, place):
            key = (view.axes, view.lengths, view.height, view.rows.tobytes(), view.columns.tobytes())
            groups.setdefault(key, []).append(view)
            if not turned:
                break
    return list(groups.values())


def _agreement(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """1 less the squared distance relative to the energy of both: 1 where equal, about 0 where independent."""
    mine, theirs = (values.reshape(len(values), -1).astype(np.float64) for values in (first, second))
    energy = np.sum(mine**2, axis=1)[:, None] + np.sum(theirs**2, axis=1)[None, :]
    agreement: NDArray[np.float64] = np.divide(
        2 * (mine @ theirs.T), energy, out=np.ones_like(energy), where=energy > 0
    )
    return agreement
