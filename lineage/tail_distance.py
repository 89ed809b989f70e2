"""Tail distance: how far two versions lie apart in the directions that training leaves alone.

The large singular values of a change of weights carry the task, and siblings trained on similar tasks share them: by
Frobenius distance they pass for parent and child. The small ones carry the optimiser's noise, nearly independent from
run to run, so that squared tail distance is nearly additive along the tree of descent.

`tail_energy` is exact and needs an SVD a pair. `QuietBasis` is its linear stand-in: one projection a family, then
plain Euclidean distances, so that the neighbours of a thousand models are one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Matrix = NDArray[np.floating]

TAIL_SHARE = 0.25


def tail_energy(delta: Matrix, *, share: float = TAIL_SHARE) -> float:
    """Energy of the smallest singular values of a change of weights.

    Parameters
    ----------
    delta : (rows, columns) array
        Difference of one matrix between two versions; finite, with at least one row and column.
    share : float in (0, 1]
        Share of the singular values that counts as tail, rounded up; 1 gives the squared Frobenius norm.

    Returns
    -------
    float
        Sum of squares, in squared units of the weights; 0 where nothing changed.

    Raises
    ------
    ValueError
        If `delta` is not a finite matrix or `share` lies outside (0, 1].

    Notes
    -----
    Time O(rows * columns * min(rows, columns)). Symmetric in the two versions, since the sign of `delta` is lost.

    Examples
    --------
    A change of rank one has no tail:

    >>> round(tail_energy(np.outer([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])), 9)
    0.0
    """
    if delta.ndim != 2 or not np.isfinite(delta).all():
        raise ValueError(f"delta must be a finite matrix, got shape {delta.shape}")
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}")
    return float(tail_energies(np.asarray(delta, dtype=np.float64)[None], share=share)[0])


def tail_energies(deltas: Matrix, *, share: float = TAIL_SHARE) -> NDArray[np.float64]:
    """`tail_energy` of many changes of one shape at once, without looking whether they are finite.

    Parameters
    ----------
    deltas : (k, rows, columns) float64 array
    share : float in (0, 1]

    Returns
    -------
    (k,) float64 array
    """
    # The squares of the singular values are the eigenvalues of the smaller Gram matrix, at a third of an SVD's price;
    # what that rounds away is 1e-16 of the largest.
    wide = deltas if deltas.shape[1] <= deltas.shape[2] else deltas.transpose(0, 2, 1)
    energies = np.linalg.eigvalsh(wide @ wide.transpose(0, 2, 1))
    tails: NDArray[np.float64] = np.maximum(energies[:, : ceil(share * energies.shape[1])], 0.0).sum(axis=1)
    return tails


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietBasis:
    """The directions that a family's changes use least, on both sides of one matrix.

    Attributes
    ----------
    left : (rows, r) array
        Orthonormal columns.
    right : (columns, s) array
        Orthonormal columns.
    """

    left: Matrix
    right: Matrix

    @classmethod
    def of(cls, deltas: Iterable[Matrix], *, share: float = TAIL_SHARE) -> Self:
        """Fit the basis to the changes seen between members of one family.

        Each change counts alike, however large: it is scaled to unit energy first. Changes that are zero say nothing
        and are left out.

        Raises
        ------
        ValueError
            If no change is left: nothing ever moved, so every direction is quiet.
        """
        row_energy = column_energy = None
        for delta in deltas:
            energy = float(np.sum(delta**2))
            if energy == 0:
                continue
            rows, columns = delta @ delta.T / energy, delta.T @ delta / energy
            row_energy = rows if row_energy is None else row_energy + rows
            column_energy = columns if column_energy is None else column_energy + columns
        if row_energy is None or column_energy is None:
            raise ValueError("no change among the deltas: a quiet basis needs two versions that differ")
        return cls(left=_least(row_energy, share), right=_least(column_energy, share))

    def project(self, weights: Matrix) -> Matrix:
        """Coordinates of one matrix in the quiet directions; linear, so that differences project to differences."""
        return self.left.T @ weights @ self.right


def _least(energy: Matrix, share: float) -> Matrix:
    """Eigenvectors of the smallest `share` of the eigenvalues, which `eigh` returns in ascending order."""
    vectors: Matrix = eigh(energy, subset_by_index=(0, ceil(share * len(energy)) - 1))[1]
    return vectors
