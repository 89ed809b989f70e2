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

Copies whose units were renumbered are, by construction, beyond this test; see `lineage.duplicates` for those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.alignment import role_stacks

THRESHOLD = 9.0
"""A role speaks for kinship from this z on. The normal tail beyond it is 1e-19, and a million models make 1e13 tests of
a role; the margin is for blocks of few rows, where the tail is heavier than normal."""

SIDE = 64
LEAST_SIDE = 8


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

    strongest: NDArray[np.float64]
    kindred: NDArray[np.int64]
    compared: NDArray[np.int64]
    correlation: NDArray[np.float64]

    def related(self) -> NDArray[np.bool_]:
        """Pairs that share at least one role beyond chance."""
        return self.kindred > 0


def kinship(fingerprints: Sequence[Fingerprint]) -> Kinship:
    """Test every pair of versions against independent training.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
        Matrices whose shared sample has fewer than 8 rows or columns are left out, as are position embeddings, whose
        rows have an order that all models share.

    Returns
    -------
    Kinship

    Notes
    -----
    Blocks are thinned to 64 x 64. Time O(n^2 d) for d roles, as one matrix product a role; memory O(n^2).
    """
    size = len(fingerprints)
    strongest = np.zeros((size, size))
    kindred = np.zeros((size, size), dtype=np.int64)
    compared = np.zeros((size, size), dtype=np.int64)
    total = np.zeros((size, size))
    for stack in role_stacks(fingerprints, side=SIDE):
        count, rows, columns = stack.blocks.shape
        if min(rows, columns) < LEAST_SIDE or "position" in stack.role:
            continue
        centred = _doubly_centred(stack.blocks).reshape(count, rows * columns)
        norms = np.linalg.norm(centred, axis=1)
        alive = norms > 0
        members = stack.members[alive]
        unit = centred[alive] / norms[alive, None]
        correlation = (unit @ unit.T).astype(np.float64)
        at = np.ix_(members, members)
        z = correlation * np.sqrt((rows - 1) * (columns - 1))
        if not stack.role.startswith("layers."):
            shaped = unit.reshape(-1, rows, columns)
            z = np.minimum(z, _one_sided(correlation, shaped))
            z = np.minimum(z, _one_sided(correlation, shaped.transpose(0, 2, 1)))
        strongest[at] = np.maximum(strongest[at], z)
        kindred[at] += z >= THRESHOLD
        compared[at] += 1
        total[at] += correlation
    return Kinship(strongest=strongest, kindred=kindred, compared=compared, correlation=total / np.maximum(compared, 1))


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


def _one_sided(products: NDArray[np.float64], blocks: NDArray[np.float32]) -> NDArray[np.float64]:
    """z of the inner products when only the columns of one side are permuted."""
    grams = (blocks @ blocks.transpose(0, 2, 1)).reshape(len(blocks), -1)
    variance = np.maximum((grams @ grams.T).astype(np.float64), 1e-12) / (blocks.shape[2] - 1)
    z: NDArray[np.float64] = products / np.sqrt(variance)
    return z


def _doubly_centred(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = blocks.mean(axis=2, keepdims=True, dtype=np.float64)
    columns = blocks.mean(axis=1, keepdims=True, dtype=np.float64)
    means = blocks.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    centred: NDArray[np.float32] = (blocks - rows - columns + means).astype(np.float32)
    return centred
