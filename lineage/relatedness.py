"""Are two versions related at all? A test against the null of independent training, and the families it gives.

Hidden units have no order: a network and the same network with its units renumbered are equally likely outcomes of
training from a random start. Under the null that two models were trained independently, the rows and columns of a
matrix of one are therefore exchangeable against those of the other. For two doubly centred s x t blocks A and B and
random permutations of the rows and columns of one of them, the inner product <A, B> has mean 0 and variance exactly
|A|^2 |B|^2 / ((s - 1)(t - 1)) (Hoeffding 1951, "A combinatorial central limit theorem"), which makes
z = r * sqrt((s - 1)(t - 1)), r their correlation, a test statistic with unit variance and no free parameter. Models of
one lineage reach hundreds; a threshold on raw distance, or on the architecture, cannot tell the two cases apart.

Tokens, pixels and labels do have an order, which all models share: at the ends of a network one axis alone is
exchangeable. Permuting only the columns, the variance is <A A', B B'> / (t - 1), and likewise for the rows; outside the
layers the smallest of the three z counts.

Copies whose units were renumbered are, by construction, beyond this test; see `lineage.symmetry` for those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from lineage.alignment import largest_samples, make_finite, spread_evenly
from lineage.threads import ahead

THRESHOLD = 9.0
"""A role speaks for kinship from this z on. The normal tail beyond it is 1e-19, and a million models make 1e13 tests of
a role; the margin is for blocks of few rows, where the tail is heavier than normal."""

MANY = 128
"""Versions from which on roles are tested by several threads."""

SIDE = 64
LEAST_SIDE = 8
ROLES = 24
"""Matrices of a version that are tested: those with the largest samples, and among equals the same ones wherever they
occur, whatever else a version has."""

LEAST_SHARED = 0.5
"""Samples of matrices of different shapes are compared where they share so much of the smaller one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinship:
    """The outcome of the test for every pair of a list of versions.

    Attributes
    ----------
    strongest : (n, n) float array
        Largest z over the roles compared; 0 where none could be.
    kindred : (n, n) int array
        Number of roles whose z reached `THRESHOLD`.
    compared : (n, n) int array
        Number of roles compared.
    correlation : (n, n) float array
        Mean correlation over the roles compared; 0 where none could be.
    """

    strongest: NDArray[np.float32]
    kindred: NDArray[np.int16]
    compared: NDArray[np.int16]
    correlation: NDArray[np.float32]

    def related(self) -> NDArray[np.bool_]:
        """Pairs that share at least one role beyond chance."""
        return self.kindred > 0


def kinship(fingerprints: Sequence[Fingerprint], new: NDArray[np.bool_] | None = None) -> Kinship:
    """Test every pair of versions against independent training.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
        Matrices whose shared sample has fewer than 8 rows or columns are left out, as are position embeddings, whose
        rows have an order that all models share.
    new : (n,) bool array, optional
        Only pairs with at least one of these are tested; the others stay at zero.

    Returns
    -------
    Kinship
        The outcome of a pair depends on the two versions alone.

    Notes
    -----
    Blocks are thinned to 64 x 64. Time O(n m d) for m new ones and d <= 24 roles, as matrix products; memory O(n^2).
    """
    size = len(fingerprints)
    fresh = np.ones(size, dtype=bool) if new is None else new
    strongest = np.zeros((size, size), dtype=np.float32)
    kindred = np.zeros((size, size), dtype=np.int16)
    compared = np.zeros((size, size), dtype=np.int16)
    total = np.zeros((size, size), dtype=np.float32)
    tests = _tests(_samples(fingerprints), fresh)
    for found in ahead(_outcomes, tests) if size >= MANY else map(_outcomes, tests):
        for rows, columns, z, products in found:
            at = _square(rows, columns)
            strongest[at] = np.maximum(strongest[at], z)
            compared[at] += 1
            kindred[at] += z >= THRESHOLD
            total[at] += products
    mean = (total / np.maximum(compared, 1)).astype(np.float32)
    return Kinship(strongest=strongest, kindred=kindred, compared=compared, correlation=mean)


def _square(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tuple[NDArray[np.int64] | slice, ...]:
    """An index of some rows and columns, as slices where both are without gaps: those are not copied."""
    spans = [slice(item[0], item[-1] + 1) for item in (rows, columns)]
    whole = all(span.stop - span.start == item.size for span, item in zip(spans, (rows, columns), strict=True))
    return tuple(spans) if whole else np.ix_(rows, columns)


def related_pairs(fingerprints: Sequence[Fingerprint], new: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Which pairs, with at least one new version each, are related; see `kinship`."""
    return kinship(fingerprints, new).related()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """The versions that hold one role at the same rows and columns."""

    members: NDArray[np.int64]
    tensors: Sequence[TensorFingerprint]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def unit(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """Doubly centred blocks of unit norm, (members, rows, columns); zero where a block is constant."""
        whole = rows.size == self.rows.size and columns.size == self.columns.size
        at = ... if whole else np.ix_(np.searchsorted(self.rows, rows), np.searchsorted(self.columns, columns))
        blocks = np.empty((len(self.members), len(rows), len(columns)), dtype=np.float32)
        for place, tensor in enumerate(self.tensors):
            blocks[place] = tensor.block[at]
        make_finite(blocks)
        return unit_blocks(blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """One role of the versions of two samples, at the rows and columns of both.

    Attributes
    ----------
    outer : bool
        Whether only one axis may be exchangeable.
    fresh : tuple of (members,) bool array
        Which versions of either sample are new.
    """

    outer: bool
    samples: tuple[_Sample, _Sample]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    fresh: tuple[NDArray[np.bool_], NDArray[np.bool_]]


def _tests(samples: Mapping[str, Sequence[_Sample]], fresh: NDArray[np.bool_]) -> Iterator[_Test]:
    for role, held in samples.items():
        for one, two in combinations_with_replacement(held, 2):
            new = fresh[one.members], fresh[two.members]
            shared = _shared(one, two) if new[0].any() or new[1].any() else None
            if shared is not None:
                outer = not role.startswith("layers.")
                yield _Test(outer=outer, samples=(one, two), rows=shared[0], columns=shared[1], fresh=new)


def _outcomes(
    test: _Test,
) -> list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]]:
    """Versions, others, and z and correlation of each with each, once for each order of two samples."""
    one, two = test.samples
    first = one.unit(test.rows, test.columns)
    second = first if one is two else two.unit(test.rows, test.columns)
    rows, columns = test.fresh
    found = []
    for mine, theirs in ((rows, np.ones_like(columns)), (~rows, columns)):
        if mine.any() and theirs.any():
            products, z = scores(first[mine], second[theirs], outer=test.outer)
            left, right = one.members[mine], two.members[theirs]
            found.append((left, right, z, products))
            # Within one sample both orders of a pair come along.
            if one is not two:
                found.append((right, left, z.T, products.T))
    return found


def _samples(fingerprints: Sequence[Fingerprint]) -> dict[str, list[_Sample]]:
    """For each role that is tested, the versions by where they were sampled."""
    held: dict[str, dict[tuple[bytes, bytes], dict[int, TensorFingerprint]]] = {}
    for position, fingerprint in enumerate(fingerprints):
        for tensor in _tested(fingerprint):
            key = tensor.rows.tobytes(), tensor.columns.tobytes()
            held.setdefault(tensor.role, {}).setdefault(key, {})[position] = tensor
    return {
        role: [
            _Sample(
                members=np.array([*members]),
                tensors=[*members.values()],
                rows=np.frombuffer(rows, dtype=np.int64),
                columns=np.frombuffer(columns, dtype=np.int64),
            )
            for (rows, columns), members in sorted(found.items())
        ]
        for role, found in sorted(held.items())
    }


def _tested(fingerprint: Fingerprint) -> list[TensorFingerprint]:
    largest = largest_samples(fingerprint, len(fingerprint.tensors), side=SIDE, least=LEAST_SIDE)
    return [tensor for tensor in largest if "position" not in tensor.role][:ROLES]


def _shared(one: _Sample, two: _Sample) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Rows and columns of both, thinned; None where too few are shared."""
    rows = np.intersect1d(one.rows, two.rows, assume_unique=True)
    columns = np.intersect1d(one.columns, two.columns, assume_unique=True)
    smaller = min(one.rows.size * one.columns.size, two.rows.size * two.columns.size)
    if min(rows.size, columns.size) < LEAST_SIDE or rows.size * columns.size < LEAST_SHARED * smaller:
        return None
    return spread_evenly(rows, SIDE), spread_evenly(columns, SIDE)


def unit_blocks(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Finite (k, rows, columns) blocks, doubly centred and of unit norm; zero where a block is constant."""
    centred = _doubly_centred(blocks)
    # Squares of values near the end of the range would overflow.
    largest = np.abs(centred).max(axis=(1, 2), keepdims=True)
    centred = np.divide(centred, largest, out=np.zeros_like(centred), where=largest > 0)
    norms = np.linalg.norm(centred.reshape(len(centred), -1), axis=1)[:, None, None]
    unit: NDArray[np.float32] = np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0)
    return unit


def scores(
    first: NDArray[np.float32], second: NDArray[np.float32], *, outer: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Correlation and z of every pair of two lists of blocks from `unit_blocks`.

    Parameters
    ----------
    first, second : (k, rows, columns), (l, rows, columns) array
    outer : bool
        Whether only one axis may be exchangeable: then z is the smallest of the three tests.

    Returns
    -------
    (k, l), (k, l) arrays
    """
    _, rows, columns = first.shape
    products = first.reshape(len(first), -1) @ second.reshape(len(second), -1).T
    z: NDArray[np.float32] = products * np.float32(np.sqrt((rows - 1) * (columns - 1)))
    if outer:
        z = np.minimum(z, _one_sided(products, first, second))
        z = np.minimum(z, _one_sided(products, first.transpose(0, 2, 1), second.transpose(0, 2, 1)))
    return products, z


def families(related: NDArray[np.bool_]) -> list[list[int]]:
    """Connected components of a symmetric relation, each ascending, in order of their first members.

    Examples
    --------
    >>> families(np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], dtype=bool))
    [[0, 2], [1]]
    """
    found, seen = [], np.zeros(len(related), dtype=bool)
    for start in range(len(related)):
        if seen[start]:
            continue
        component, edge = np.zeros(len(related), dtype=bool), np.array([start])
        component[start] = True
        while edge.size:
            reached = related[edge].any(axis=0) & ~component
            component |= reached
            edge = np.flatnonzero(reached)
        seen |= component
        found.append(np.flatnonzero(component).tolist())
    return found


def _one_sided(
    products: NDArray[np.float32], first: NDArray[np.float32], second: NDArray[np.float32]
) -> NDArray[np.float32]:
    """z of the inner products when only the columns of one side are permuted."""
    mine, theirs = ((side @ side.transpose(0, 2, 1)).reshape(len(side), -1) for side in (first, second))
    variance = np.maximum(mine @ theirs.T, 1e-12) / (first.shape[2] - 1)
    z: NDArray[np.float32] = products / np.sqrt(variance)
    return z


def _doubly_centred(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = blocks.mean(axis=2, keepdims=True, dtype=np.float64)
    columns = blocks.mean(axis=1, keepdims=True, dtype=np.float64)
    centred: NDArray[np.float64] = blocks - rows
    centred -= columns - rows.mean(axis=1, keepdims=True)
    return centred.astype(np.float32)
