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
        The pair with the least residual, where that is below `most_residual` and both take part.

    Notes
    -----
    Two free coefficients a tensor, by least squares on its Gram matrix; with the angle between the two members they
    give the place on the arc: t = atan2(c2 sin, c1 + c2 cos) / angle. Time O(k^2) small systems a tensor.
    """
    if len(candidates) < 2:
        return None
    stacked = np.vstack([candidates, child])
    grams = np.stack([stacked[:, part] @ stacked[:, part].T for part in segments])
    rounded = np.zeros(len(segments)) if rounding is None else rounding
    best: SphericalFit | None = None
    for one, two in combinations(range(len(candidates)), 2):
        fit = _fit(grams, one, two, rounded, most_residual)
        if fit is not None and (best is None or fit.residual < best.residual):
            best = fit
    return best


def _fit(grams: Vectors, one: int, two: int, rounding: Vectors, most_residual: float) -> SphericalFit | None:
    aa, bb, ab = grams[:, one, one], grams[:, two, two], grams[:, one, two]
    ac, bc, cc = grams[:, one, -1], grams[:, two, -1], grams[:, -1, -1]
    apart = aa + bb - 2 * ab
    moved = (apart > 1e-9 * (aa + bb)) & (apart > LEAST_SIGNAL * rounding)
    if not moved.any():
        return None
    determinant = np.where(moved, aa * bb - ab**2, 1.0)
    determinant = np.where(np.abs(determinant) > 1e-14 * aa * bb, determinant, np.inf)
    left, right = (ac * bb - bc * ab) / determinant, (bc * aa - ac * ab) / determinant
    rest = cc - 2 * (left * ac + right * bc) + left**2 * aa + right**2 * bb + 2 * left * right * ab
    left_over, distance = max(float(rest[moved].sum()), 0.0), float(apart[moved].sum())
    lost = float(rounding[moved].sum())
    residual = float(np.sqrt(max(left_over - lost, 0.0) / distance))
    # Where the members agree, the child must agree with them as well.
    still = float((aa + cc - 2 * ac)[~moved].clip(min=0).sum())
    if left_over > most_residual**2 * distance + MOST_ROUNDING * lost:
        return None
    if still > most_residual**2 * distance + LEAST_SIGNAL * float(rounding[~moved].sum()):
        return None
    cosine = np.clip(ab[moved] / np.sqrt(aa[moved] * bb[moved]), -1, 1)
    angle = np.arccos(cosine)
    shares = np.arctan2(right[moved] * np.sin(angle), left[moved] + right[moved] * cosine) / np.maximum(angle, 1e-12)
    low, share, high = np.percentile(shares, [25, 50, 75])
    # One tensor of either gives a median in the middle as well; but those were edited, one after the other.
    between = (shares > LEAST_SHARE) & (shares < 1 - LEAST_SHARE)
    if not LEAST_SHARE < share < 1 - LEAST_SHARE or (shares.size < LEAST_OWN and between.mean() < 0.5):
        return None
    return SphericalFit(members=(one, two), share=float(share), spread=float(high - low), residual=residual)
