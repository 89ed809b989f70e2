"""Spherical merges: every tensor of the child is a combination of the same two versions, by its own coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]

RESIDUAL = 2e-3
MOST_ROUNDING = 1.5
LEAST_SIGNAL = 16.0
"""Multiple of the expected rounding that must lie between the two members in a tensor, or it says nothing."""

AS_NEAR = 2.0
EXACT = 1e-6
"""Residuals that differ by this factor, and this much, do so by rounding."""

ONE_SHARE = 0.01
"""Spread of the shares up to which they are the same."""

MOST_STRETCH = 1.2
"""How much longer than two equal vectors an arc may have made what lies between them, by the angle between the tensors
of which they are samples: 67 degrees, half way."""

LEAST_SHARE = 0.02
LEAST_OWN = 4
"""Tensors from which on two versions may be mixed that are one's or the other's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SphericalFit:
    """Two members, and how far along the arc from the first to the second the child lies.

    Attributes
    ----------
    members : (int, int)
    share : float
        Place on the arc: 0 is the first member, 1 the second; the median over the tensors.
    spread : float
        Interquartile range of the share over the tensors: near 0 for one slerp of the whole model.
    residual : float
        Norm of what is left, as a share of the distance between the members.
    """

    members: tuple[int, int]
    share: float
    spread: float
    residual: float


def spherical_fit(
    child: Vectors,
    candidates: Vectors,
    segments: Sequence[slice],
    *,
    rounding: Vectors | None = None,
    most_residual: float = RESIDUAL,
) -> SphericalFit | None:
    """The pair of candidates that the child lies between on the sphere, tensor by tensor (Shoemake 1985).

    Parameters
    ----------
    child : (d,) array
    candidates : (k, d) array
    segments : sequence of slice
        One a tensor.
    rounding : (s,) array, optional
        Energy that storing the child is expected to have rounded away, tensor by tensor.
    most_residual : float
        Beyond rounding, as a share of the distance between the members.

    Returns
    -------
    SphericalFit or None
        The pair with the least residual, where that is below `most_residual` and both take part; of pairs that leave
        hardly more, one whose share is the same in all tensors.

    Notes
    -----
    Two free coefficients a tensor, by least squares on its Gram matrix; with the angle between the two members they
    give the place on the arc: t = atan2(c2 sin, c1 + c2 cos) / angle. Time O(k^2) small systems a tensor, all pairs at
    once.
    """
    if len(candidates) < 2:
        return None
    stacked = np.vstack([candidates, child])
    grams = np.stack([stacked[:, part] @ stacked[:, part].T for part in segments])
    rounded = np.zeros(len(segments)) if rounding is None else rounding
    one, two = np.array(list(combinations(range(len(candidates)), 2))).T
    found = _Combinations.of(grams, one, two, rounded)
    places = np.flatnonzero(found.exact(rounded, most_residual)).tolist()
    tried = (_fit(found, place, (int(one[place]), int(two[place])), rounded) for place in places)
    fits = [fit for fit in tried if fit is not None]
    least = min((fit.residual for fit in fits), default=0.0)
    as_near = [fit for fit in fits if fit.residual <= AS_NEAR * least + EXACT]
    # What lies between a version and one stitched from it lies, by other shares, between their parts as well.
    return min(as_near, key=lambda fit: (fit.spread >= ONE_SHARE, fit.residual), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Combinations:
    """The child as a combination of every pair, tensor by tensor: arrays of (tensors, pairs).

    Attributes
    ----------
    aa, bb, ab, apart : array
        Products of the two members, and their squared distance.
    left, right : array
        The coefficients.
    rest : array
        Energy that is left.
    still : array
        Squared distance of the child from the first member, or from a multiple of it that an arc can have made.
    moved : bool array
        Where the members differ by more than rounding.
    """

    aa: Vectors
    bb: Vectors
    ab: Vectors
    apart: Vectors
    left: Vectors
    right: Vectors
    rest: Vectors
    still: Vectors
    moved: NDArray[np.bool_]

    @classmethod
    def of(cls, grams: Vectors, one: NDArray[np.int64], two: NDArray[np.int64], rounding: Vectors) -> _Combinations:
        aa, bb, ab = grams[:, one, one], grams[:, two, two], grams[:, one, two]
        ac, bc, cc = grams[:, one, -1], grams[:, two, -1], grams[:, -1, -1][:, None]
        apart = aa + bb - 2 * ab
        moved = (apart > 1e-9 * (aa + bb)) & (apart > LEAST_SIGNAL * rounding[:, None])
        determinant = np.where(moved, aa * bb - ab**2, 1.0)
        determinant = np.where(np.abs(determinant) > 1e-14 * aa * bb, determinant, np.inf)
        left, right = (ac * bb - bc * ab) / determinant, (bc * aa - ac * ab) / determinant
        rest = cc - 2 * (left * ac + right * bc) + left**2 * aa + right**2 * bb + 2 * left * right * ab
        # Rows that training never touched are equal in both, and a sample may hold no others: what an arc did to them
        # is a factor, that of the whole tensor.
        stretch = np.divide(ac, aa, out=np.zeros_like(ac), where=aa > 0)
        stretched = (stretch > 1) & (stretch <= MOST_STRETCH)
        return cls(
            aa=aa,
            bb=bb,
            ab=ab,
            apart=apart,
            left=left,
            right=right,
            rest=rest,
            still=np.where(stretched, cc - stretch * ac, aa + cc - 2 * ac).clip(min=0),
            moved=moved,
        )

    def exact(self, rounding: Vectors, most_residual: float) -> NDArray[np.bool_]:
        """Pairs that leave no more than allowed, and with which the child agrees where the two do, but for a factor."""
        lost = np.where(self.moved, rounding[:, None], 0.0).sum(axis=0)
        unmoved = np.where(self.moved, 0.0, rounding[:, None]).sum(axis=0)
        allowed = most_residual**2 * np.where(self.moved, self.apart, 0.0).sum(axis=0)
        left_over = np.where(self.moved, self.rest, 0.0).sum(axis=0).clip(min=0)
        still = np.where(self.moved, 0.0, self.still).sum(axis=0)
        near = (left_over <= allowed + MOST_ROUNDING * lost) & (still <= allowed + LEAST_SIGNAL * unmoved)
        found: NDArray[np.bool_] = self.moved.any(axis=0) & near
        return found


def _fit(found: _Combinations, place: int, members: tuple[int, int], rounding: Vectors) -> SphericalFit | None:
    moved = found.moved[:, place]
    aa, bb, ab, left, right = (item[moved, place] for item in (found.aa, found.bb, found.ab, found.left, found.right))
    left_over, distance = max(float(found.rest[moved, place].sum()), 0.0), float(found.apart[moved, place].sum())
    residual = float(np.sqrt(max(left_over - float(rounding[moved].sum()), 0.0) / distance))
    cosine = np.clip(ab / np.sqrt(aa * bb), -1, 1)
    angle = np.arccos(cosine)
    shares = np.arctan2(right * np.sin(angle), left + right * cosine) / np.maximum(angle, 1e-12)
    low, share, high = np.percentile(shares, [25, 50, 75])
    # One tensor of either gives a median in the middle as well; but those were edited, one after the other.
    between = (shares > LEAST_SHARE) & (shares < 1 - LEAST_SHARE)
    if not LEAST_SHARE < share < 1 - LEAST_SHARE or (shares.size < LEAST_OWN and between.mean() < 0.5):
        return None
    return SphericalFit(members=members, share=float(share), spread=float(high - low), residual=residual)
