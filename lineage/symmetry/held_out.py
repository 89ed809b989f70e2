"""Whether two versions are kin although their units stand in other places: an exact test on held-out channels.

The channels of the residual stream have no order that independent trainings could share: a network and the same network
with its channels renumbered throughout are equally likely outcomes of training from a random start. So the channels are
halved. Units are matched (and their signs told) on one half, as hard as one likes; on the other half each channel is a
vector over all the units so matched. Under the null the numbering of the held-out channels of one version is a random
permutation, whatever the matching was. Let f(c) be the channel of the version that is most like channel c of the
reference. For one stream, the number K of channels with f(c) = c satisfies E[binom(K, k)] <= 1 / k!, so that
P(K >= k) <= 1 / k!; for s streams that are renumbered apart, P(K >= k) <= s^k / k!. No distribution is assumed, no
parameter fitted. Both halves are tested and the better one counts twice.

It is to permuted units what Hoeffding's statistic in `lineage.relatedness` is to units in their places.
Zhu et al. 2025, "Independence tests for language models", derive exact p-values from the same exchangeability.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import lgamma, log

import numpy as np
from numpy.typing import NDArray

from lineage.symmetry.couplings import Coupling, Shape
from lineage.symmetry.matching import alike, assign, similarity
from lineage.symmetry.units import NOWHERE, Array, Matrices, UnitVectors, unit_vectors

Split = Callable[[int], NDArray[np.bool_]]
"""Which channels of a stream of so many are held out."""

MARGIN = 1e-9
FEWER_UNITS = 0.02


def log10_p(hits: int, streams: int, *, tests: int = 2) -> float:
    """Decadic logarithm of the p-value of so many channels found in their places, on the best of so many halves.

    Examples
    --------
    >>> round(log10_p(48, 1), 1), log10_p(1, 1)
    (-60.8, 0.0)
    """
    if hits < 1:
        return 0.0
    return min(0.0, (log(tests) + hits * log(max(streams, 1)) - lgamma(hits + 1)) / log(10))


class HeldOutTest:
    """The test of two versions for kinship with their units in any order, a coupling at a time.

    Parameters
    ----------
    shapes : pair of mappings of role to shape
    inner : collection of (role, axis)
        See `lineage.symmetry.units.unit_vectors`.
    halves : sequence of Split, optional
        Each names the held-out channels of a stream; two random halves by default.
    """

    def __init__(
        self,
        *,
        shapes: tuple[Mapping[str, Shape], Mapping[str, Shape]],
        inner: Collection[tuple[str, int]],
        halves: Sequence[Split] = (),
    ) -> None:
        self._shapes, self._inner = shapes, inner
        splits = halves or (lambda width: _half_of(width) == 0, lambda width: _half_of(width) == 1)
        self._halves = [_Half(split) for split in splits]

    def add(self, reference: Matrices, version: Matrices, couplings: tuple[Coupling, Coupling]) -> None:
        """Take in one coupling, the reference's and the version's; norms folded, values finite."""
        if couplings[1].permutable and alike(couplings, self._shapes):
            for half in self._halves:
                half.add(reference, version, couplings, shapes=self._shapes, inner=self._inner)

    def log10_p(self) -> float:
        """Decadic logarithm of the p-value against independent training; 0 where nothing could be tested.

        Channels that are zero throughout, or as like to another as to their own, do not count.
        """
        return min(log10_p(*half.hits(), tests=len(self._halves)) for half in self._halves)


class _Half:
    """The products of held-out channels, summed over couplings."""

    def __init__(self, split: Split) -> None:
        self._split = split
        self._products: dict[int, list[Array]] = {}

    def add(
        self,
        reference: Matrices,
        version: Matrices,
        couplings: tuple[Coupling, Coupling],
        *,
        shapes: tuple[Mapping[str, Shape], Mapping[str, Shape]],
        inner: Collection[tuple[str, int]],
    ) -> None:
        tried = []
        for units in couplings[1].candidates:
            pair = [
                unit_vectors(matrices, coupling, units, shapes=shape, inner=inner)
                for matrices, coupling, shape in zip((reference, version), couplings, shapes, strict=True)
            ]
            seen = [
                (channels == NOWHERE) | ((channels >= 0) & ~self._held(channels, widths))
                for channels, widths in zip(pair[0].residual, pair[0].spaces, strict=True)
            ]
            one, two = (item.select(seen).balanced() for item in pair)
            cosines, products = similarity(one, two, signed=couplings[1].signed)
            order = assign(cosines.copy())
            score = float(np.mean(cosines[np.arange(units), order]))
            tried.append((score, order, products[np.arange(units), order], pair))
        best = max(item[0] for item in tried)
        _, order, products, pair = next(item for item in tried if item[0] >= best - FEWER_UNITS)
        signs = np.where(products < 0, -1.0, 1.0) if couplings[1].signed else np.ones(len(order))
        self._sum(pair[0].balanced(), pair[1].balanced(), order, signs)

    def _sum(self, one: UnitVectors, two: UnitVectors, order: NDArray[np.int64], signs: Array) -> None:
        parts = ((one.plain, two.plain, False), (one.plus, two.plus, True), (one.minus, two.minus, True))
        for place, (mine, theirs, scaled) in enumerate(parts):
            channels, widths = one.residual[place], one.spaces[place]
            theirs = theirs[order] * (signs[:, None] if scaled else 1.0)
            for width in np.unique(widths[channels >= 0]).tolist():
                held = np.flatnonzero(self._split(width))
                # Every slice of a slot has all channels of its stream, so that they line up feature by feature.
                columns = [np.flatnonzero((channels == channel) & (widths == width)) for channel in held.tolist()]
                a, b = (np.stack([item[:, at].ravel() for at in columns], axis=1) for item in (mine, theirs))
                sums = self._products.setdefault(width, [np.zeros((held.size, held.size)), *np.zeros((2, held.size))])
                for total, value in zip(sums, (a.T @ b, np.sum(a**2, axis=0), np.sum(b**2, axis=0)), strict=True):
                    total += value

    def _held(self, channels: NDArray[np.int64], widths: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = np.zeros(channels.size, dtype=bool)
        for width in np.unique(widths).tolist():
            here = (widths == width) & (channels >= 0)
            found[here] = self._split(width)[channels[here]]
        return found

    def hits(self) -> tuple[int, int]:
        """Held-out channels that are most like themselves, and the number of streams."""
        found = 0
        for products, mine, theirs in self._products.values():
            lengths = np.sqrt(np.outer(mine, theirs))
            cosines = np.where(lengths > 0, products / np.where(lengths > 0, lengths, 1.0), 0.0)
            own = cosines.diagonal().copy()
            np.fill_diagonal(cosines, -np.inf)
            if len(own) > 1:
                found += int(np.count_nonzero((own > 0) & (own > cosines.max(axis=1) + MARGIN)))
        return found, len(self._products)


def _half_of(width: int) -> NDArray[np.int64]:
    """Which of two halves each channel of a stream belongs to: the same for all versions."""
    order = np.random.default_rng(width).permutation(width)
    halves = np.zeros(width, dtype=np.int64)
    halves[order[: width // 2]] = 1
    return halves
