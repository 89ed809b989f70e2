"""Which of many networks may be kin whatever their tensors are called: one look at a few tensors of all at once.

The look is coarse, to save pairing all tensors of all pairs (`lineage.correspondence`): blocks of 32 x 32, of the
shapes that fewest tensors of a network have, by plain correlation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from lineage.alignment import spread_evenly
from lineage.axis_views import View, values_at, views_of
from lineage.correspondence import by_lengths, telling
from lineage.relatedness import LEAST_SIDE, unit_blocks

SIDE = 32
LOOKED_AT = 16
"""Tensors of a network that are enough to look at; those of one shape are all looked at or none."""

SUSPICIOUS = 5.0
"""A z that is reason enough: by accident some pair of tensors reaches it in one of ten thousand pairs of networks."""

_AT_ONCE = 1024

Key = tuple[object, ...]


def lookalikes(fingerprints: Sequence[Fingerprint], named: Collection[int] = ()) -> set[tuple[int, int]]:
    """Pairs of networks with a tensor in each that hold the same values, or correlate.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
        Sampled at the same places, as networks of unknown architecture are.
    named : collection of int
        Positions of those of known architecture, which are not held against each other.

    Returns
    -------
    set of (int, int)
        Positions, the smaller first.

    Notes
    -----
    One matrix product a shape: time O(n^2 k^2 d), memory O(n k d) for n networks, k tensors looked at, and d = 1,024.
    """
    found: set[tuple[int, int]] = set()
    equal: dict[str, set[int]] = {}
    plain: dict[Key, list[tuple[int, View]]] = {}
    turned: dict[Key, list[tuple[int, View]]] = {}
    for place, fingerprint in enumerate(fingerprints):
        for tensor in _looked_at(fingerprint):
            equal.setdefault(tensor.multiset, set()).add(place)
            for number, view in enumerate(views_of(tensor, place)):
                rows, columns = spread_evenly(view.rows, SIDE), spread_evenly(view.columns, SIDE)
                if min(rows.size, columns.size) < LEAST_SIDE:
                    continue
                key: Key = (view.lengths, view.height, view.width, rows.tobytes(), columns.tobytes())
                turned.setdefault(key, []).append((place, view))
                if number == 0 and place not in named:
                    plain.setdefault(key, []).append((place, view))
    for places in equal.values():
        pairs = combinations(sorted(places), 2)
        found.update(pair for pair in pairs if pair[0] not in named or pair[1] not in named)
    for key, views in plain.items():
        found.update(_correlated(_Stack.of(views), _Stack.of(turned[key])))
    return found


@dataclass(frozen=True, slots=True)
class _Stack:
    owners: NDArray[np.int64]
    units: NDArray[np.float32]

    @classmethod
    def of(cls, views: Sequence[tuple[int, View]]) -> _Stack:
        blocks = np.stack(
            [
                values_at(view, spread_evenly(view.rows, SIDE), spread_evenly(view.columns, SIDE)).astype(np.float32)
                for _, view in views
            ]
        )
        return cls(np.array([owner for owner, _ in views]), unit_blocks(np.nan_to_num(blocks, posinf=0.0, neginf=0.0)))


def _looked_at(fingerprint: Fingerprint) -> list[TensorFingerprint]:
    found: list[TensorFingerprint] = []
    classes = [[tensor for tensor in alike if telling(tensor)] for alike in by_lengths(fingerprint).values()]
    for alike in sorted(filter(None, classes), key=len):
        if len(found) >= LOOKED_AT:
            break
        found += alike
    return found


def _correlated(one: _Stack, two: _Stack) -> Iterator[tuple[int, int]]:
    _, rows, columns = one.units.shape
    scale = np.sqrt((rows - 1) * (columns - 1))
    theirs = two.units.reshape(len(two.units), -1).T
    for begin in range(0, len(one.units), _AT_ONCE):
        mine = one.units[begin : begin + _AT_ONCE].reshape(-1, rows * columns)
        for i, j in np.argwhere(mine @ theirs * scale >= SUSPICIOUS).tolist():
            first, second = int(one.owners[begin + i]), int(two.owners[j])
            if first != second:
                yield min(first, second), max(first, second)
