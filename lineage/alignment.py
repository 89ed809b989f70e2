"""Putting fingerprints side by side: the same tensor, the same rows and columns, in two versions or in many.

Fingerprints sample the same rows and columns of the same role in every model, and the samples of axes of different
length are nested, so that a vocabulary that grew by a few rows still shares nearly all of its sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint, TensorFingerprint

Indices = NDArray[np.int64]
Blocks = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class TensorPair:
    """One role in two versions, at the rows and columns that both fingerprints hold.

    Many pairs are asked for no more than whether they are equal, so that values are put side by side when they are
    first looked at.

    Attributes
    ----------
    one, two : TensorFingerprint
    """

    one: TensorFingerprint
    two: TensorFingerprint

    @cached_property
    def _values(self) -> Blocks:
        first, second = self.one.block.astype(np.float64), self.two.block.astype(np.float64)
        if not (_alike(self.one.rows, self.two.rows) and _alike(self.one.columns, self.two.columns)):
            rows = np.intersect1d(self.one.rows, self.two.rows, assume_unique=True, return_indices=True)[1:]
            columns = np.intersect1d(self.one.columns, self.two.columns, assume_unique=True, return_indices=True)[1:]
            first, second = first[np.ix_(rows[0], columns[0])], second[np.ix_(rows[1], columns[1])]
        if self.one.nonfinite or self.two.nonfinite:
            finite = np.isfinite(first) & np.isfinite(second)
            first, second = np.where(finite, first, 0.0), np.where(finite, second, 0.0)
        return first, second

    @property
    def first(self) -> NDArray[np.float64]:
        """Exact values of `one` at the shared rows and columns, (s, t)."""
        return self._values[0]

    @property
    def second(self) -> NDArray[np.float64]:
        """Exact values of `two` there, (s, t)."""
        return self._values[1]

    @property
    def role(self) -> str:
        """The role both tensors play."""
        return self.one.role

    @property
    def equal(self) -> bool:
        """Whether the two tensors are the same to the bit, as a whole."""
        return self.one.content == self.two.content and self.one.shape == self.two.shape

    @property
    def delta(self) -> NDArray[np.float64]:
        """Second minus first."""
        return self.second - self.first

    def swapped(self) -> TensorPair:
        """The same pair the other way round."""
        return TensorPair(one=self.two, two=self.one)

    @property
    def matrix(self) -> bool:
        """Whether the tensor has at least two axes, and is no vector."""
        return len(self.one.shape) >= 2


def largest_samples(
    fingerprint: Fingerprint, count: int, *, side: int, least: int = 2
) -> tuple[TensorFingerprint, ...]:
    """The matrices with the largest samples, and among equals the same ones whatever else a version has.

    Parameters
    ----------
    fingerprint : Fingerprint
    count : int
        How many at most.
    side : int
        Samples from this side on count as equally large.
    least : int
        Fewest rows and columns of a sample.

    Returns
    -------
    tuple of TensorFingerprint
        Largest first; ties in the order of a hash of the role, so that two versions of different depth choose many
        roles in common.
    """
    # A lake has few architectures, and many versions of each.
    sides = tuple((item.role, min(item.block.shape) if len(item.shape) >= 2 else -1) for item in fingerprint.tensors)
    return tuple(fingerprint.tensors[place] for place in _largest(sides, side, least)[:count])


@lru_cache(maxsize=1024)
def _largest(sides: tuple[tuple[str, int], ...], side: int, least: int) -> tuple[int, ...]:
    """Places of the roles whose samples have at least so long a side, in the order of `largest_samples`."""
    found = [place for place, (_, own) in enumerate(sides) if own >= least]
    found.sort(key=lambda place: (-min(sides[place][1], side), _priority(sides[place][0])))
    return tuple(found)


def _priority(role: str) -> bytes:
    return blake2b(role.encode(), digest_size=8).digest()


def tensor_pairs(one: Fingerprint, two: Fingerprint, *, roles: Collection[str] | None = None) -> Iterator[TensorPair]:
    """The roles that two versions share and whose samples overlap, in the order of roles; only `roles` where given.

    Non-finite values are taken as zero on both sides: they can neither agree nor differ.
    """
    theirs = two.by_role()
    for tensor in one.tensors:
        if roles is not None and tensor.role not in roles:
            continue
        other = theirs.get(tensor.role)
        if other is None or len(other.shape) != len(tensor.shape):
            continue
        if _overlap(tensor.rows, other.rows) and _overlap(tensor.columns, other.columns):
            yield TensorPair(one=tensor, two=other)


def _alike(one: Indices, two: Indices) -> bool:
    """Whether two ascending lists of places are the same; they are short, and compared as bytes a good deal faster."""
    return one.size == two.size and one.tobytes() == two.tobytes()


def _overlap(one: Indices, two: Indices) -> bool:
    return bool(one.size) and (_alike(one, two) or bool(np.intersect1d(one, two, assume_unique=True).size))


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStack:
    """One role in many versions.

    Attributes
    ----------
    role : str
    members : (k,) array
        Positions of the versions in the list that was aligned, ascending.
    rows, columns : (s,), (t,) array
        Rows and columns that all members hold.
    blocks : (k, s, t) float32 array
        Non-finite values are zero.
    """

    role: str
    members: Indices
    rows: Indices
    columns: Indices
    blocks: NDArray[np.float32]

    def held(self, pairs: Sequence[tuple[int, int]], size: int) -> tuple[Indices, Indices]:
        """Which pairs of `size` versions both have the role (m,), and their places in the stack (m, 2)."""
        place = np.full(size, -1, dtype=np.int64)
        place[self.members] = np.arange(len(self.members))
        ends = place[np.asarray(pairs, dtype=np.int64).reshape(-1, 2)]
        rows = np.flatnonzero((ends >= 0).all(axis=1))
        return rows, ends[rows]


def role_stacks(
    fingerprints: Sequence[Fingerprint],
    *,
    roles: Collection[str] | None = None,
    matrices_only: bool = True,
    side: int | None = None,
) -> Iterator[RoleStack]:
    """Every role that at least two of the versions share, stacked.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    roles : collection of str, optional
        Only these.
    matrices_only : bool
        Leave vectors out.
    side : int, optional
        Keep at most so many rows and columns, spread evenly.

    Notes
    -----
    The members of a stack share rows and columns. Versions whose tensor has another shape join the stack of the
    commonest shape while at least half of its sample remains, and are left out of it otherwise. One role is in memory
    at a time.
    """
    holders: dict[str, list[tuple[int, TensorFingerprint]]] = {}
    wanted = None if roles is None else frozenset(roles)
    for position, fingerprint in enumerate(fingerprints):
        for tensor in fingerprint.tensors:
            if wanted is not None and tensor.role not in wanted:
                continue
            if tensor.block.size and (not matrices_only or len(tensor.shape) >= 2):
                holders.setdefault(tensor.role, []).append((position, tensor))
    for role in sorted(holders):
        stack = role_stack(role, holders[role], side=side)
        if stack is not None:
            yield stack


def role_stack(
    role: str, holders: Sequence[tuple[int, TensorFingerprint]], *, side: int | None = None
) -> RoleStack | None:
    """One role's tensors, each with its version's position, stacked as in `role_stacks`; None where no two fit."""
    if len(holders) < 2:
        return None
    keys = [(tensor.rows.tobytes(), tensor.columns.tobytes()) for _, tensor in holders]
    key = keys[0] if keys.count(keys[0]) == len(keys) else Counter(keys).most_common(1)[0][0]
    commonest = holders[keys.index(key)][1]
    rows, columns = commonest.rows, commonest.columns
    enough = rows.size * columns.size / 2
    kept, whole = [], True
    for (position, tensor), own in zip(holders, keys, strict=True):
        if not (whole and own == key):
            fewer_rows, fewer_columns = _common(rows, tensor.rows), _common(columns, tensor.columns)
            if fewer_rows.size * fewer_columns.size < max(enough, 1):
                continue
            rows, columns, whole = fewer_rows, fewer_columns, False
        kept.append((position, tensor))
    if len(kept) < 2:
        return None
    if side is not None:
        rows, columns = spread_evenly(rows, side), spread_evenly(columns, side)
    blocks = np.empty((len(kept), rows.size, columns.size), dtype=np.float32)
    for place, (_, tensor) in enumerate(kept):
        if tensor.block.shape == (rows.size, columns.size):
            blocks[place] = tensor.block
        else:
            at = np.ix_(np.searchsorted(tensor.rows, rows), np.searchsorted(tensor.columns, columns))
            blocks[place] = tensor.block[at]
    make_finite(blocks)
    members = np.array([position for position, _ in kept])
    return RoleStack(role=role, members=members, rows=rows, columns=columns, blocks=blocks)


def make_finite(blocks: NDArray[np.float32]) -> None:
    """Set what is infinite or no number to zero, in place."""
    if not np.isfinite(blocks).all():
        np.nan_to_num(blocks, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _common(one: Indices, two: Indices) -> Indices:
    return one if _alike(one, two) else np.intersect1d(one, two, assume_unique=True)


def spread_evenly(indices: Indices, side: int) -> Indices:
    """At most `side` of the indices, the first and the last among them."""
    return indices if indices.size <= side else indices[spread_places(indices.size, side)]


@cache
def spread_places(size: int, most: int) -> Indices:
    """At most so many places among `size`, evenly spread, the first and the last among them; not to be written to.

    Examples
    --------
    >>> spread_places(10, 4).tolist(), spread_places(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    places: Indices = np.linspace(0, size - 1, min(most, size)).round().astype(np.int64)
    places.setflags(write=False)
    return places
