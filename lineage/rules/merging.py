"""Merged: the child is a weighted mean of other versions.

With weights that sum to one, a merge lies in the affine hull of its constituents, so that it, and it alone among
trained models, leaves no residual but rounding when fitted by them. Of several collinear models, any one is an affine
combination of the others; the merge is the one inside, with weights between zero and one (a merge is a mean).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]

RESIDUAL = 0.012
"""Largest residual of a merge, as a share of the distance to its nearest constituent."""

MOST_ROUNDING = 1.5
"""Multiple of the expected rounding that a residual may reach."""

ROUNDING_SPREAD = 0.02
"""Relative change of a residual of rounding that dropping a candidate of no use may make."""

LEAST_SIGNAL = 6.0
"""Multiple of the expected rounding that must lie between the child and its nearest candidate."""

MOST_CONSTITUENTS = 4
LEAST_WEIGHT = 0.02
EXACT = 1e-4
"""Residual up to which a combination leaves nothing for another formula, and a smaller weight, if it is needed, is no
accident of the fit: what is left of a base from which task vectors were added that nearly sum to one."""

LEAST_EXACT_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class AffineFit:
    """A version as a weighted mean of others.

    Attributes
    ----------
    members : tuple of int
        The constituents, heaviest first.
    weights : tuple of float
        Their weights; they sum to 1.
    residual : float
        Norm of what is left beyond rounding, as a share of the distance to the nearest constituent.
    """

    members: tuple[int, ...]
    weights: tuple[float, ...]
    residual: float


def affine_fit(
    child: Vectors,
    candidates: Vectors,
    *,
    convex: bool = True,
    rounding: float = 0.0,
    most_residual: float = RESIDUAL,
) -> AffineFit | None:
    """The smallest set of candidates of which the child is a weighted mean.

    Parameters
    ----------
    child : (d,) array
        Values of the version.
    candidates : (k, d) array
        Values of its possible constituents.
    convex : bool
        Only accept positive weights. In any case none is smaller than `LEAST_WEIGHT`, or `LEAST_EXACT_WEIGHT` in an
        exact fit.
    rounding : float
        Energy that storing the child is expected to have rounded away: a residual of this size is none.
    most_residual : float
        Beyond rounding, as a share of the distance to the nearest candidate.

    Returns
    -------
    AffineFit or None
        None where no two to `MOST_CONSTITUENTS` candidates leave a residual below `most_residual`, beyond rounding; or
        where the child is so near to a candidate that nothing but rounding may lie between.

    Notes
    -----
    Least squares over all candidates first; then the candidate that contributes least is taken away as long as the
    residual stays below the bound; but a mean of two that explains the child as well comes first, and an exact one of
    three comes before four, or before weights that are negative. Time O(k d + k^4), on the Gram matrix alone after the
    first product.

    Examples
    --------
    >>> a, b, c = np.eye(3)
    >>> fit = affine_fit(0.25 * a + 0.75 * b, np.array([a, b, c]))
    >>> fit.members, [round(weight, 6) for weight in fit.weights]
    ((1, 0), [0.75, 0.25])
    """
    if len(candidates) < 2:
        return None
    toward = candidates - child
    gram = toward @ toward.T
    nearest = float(np.sqrt(max(gram.diagonal().min(), 0.0)))
    if nearest**2 <= LEAST_SIGNAL * rounding:
        return None
    bound = np.sqrt((most_residual * nearest) ** 2 + MOST_ROUNDING * rounding)
    kept = list(range(len(candidates)))
    weights, residual = _solve(gram, kept)
    if residual > bound:
        return None
    while len(kept) > 2:
        trials = []
        for dropped in kept:
            fewer = [member for member in kept if member != dropped]
            trials.append((_solve(gram, fewer), fewer))
        (fewer_weights, fewer_residual), fewer = min(trials, key=lambda trial: (trial[0][1], trial[1]))
        if fewer_residual > bound:
            break
        # Once the fit is as exact as rounding allows, one more constituent is only taken away while that stays so.
        exact = np.sqrt(max(residual**2 - rounding, 0.0))
        allowed = np.sqrt((10 * exact + 1e-5 * nearest) ** 2 + (1 + ROUNDING_SPREAD) * rounding)
        if len(kept) <= MOST_CONSTITUENTS and fewer_residual > max(allowed, residual * (1 + ROUNDING_SPREAD / 2)):
            break
        kept, weights, residual = fewer, fewer_weights, fewer_residual
    explained = max(float(np.sqrt((1e-5 * nearest) ** 2 + (1 + ROUNDING_SPREAD) * rounding)), residual)
    # Where a constituent went into another merge as well, taking away one by one may keep that merge in its place.
    if MOST_CONSTITUENTS >= len(kept) > 2 and (len(kept) > 3 or min(weights) < 0) and residual <= EXACT * nearest:
        three = _mean_of_three(gram, explained)
        if three is not None:
            kept = three
            weights, residual = _solve(gram, kept)
    if len(kept) > 2:
        pair = _nearest_pair(gram)
        two_weights, two_residual = _solve(gram, pair)
        if min(two_weights) > 0 and two_residual <= explained:
            kept, weights, residual = pair, two_weights, two_residual
    left = float(np.sqrt(max(residual**2 - rounding, 0.0))) / nearest
    least = LEAST_EXACT_WEIGHT if left < EXACT else LEAST_WEIGHT
    if len(kept) > MOST_CONSTITUENTS or min(abs(weight) for weight in weights) < least:
        return None
    if convex and min(weights) < 0:
        return None
    order = sorted(range(len(kept)), key=lambda place: (-weights[place], kept[place]))
    return AffineFit(
        members=tuple(kept[place] for place in order),
        weights=tuple(float(weights[place]) for place in order),
        residual=left,
    )


def _mean_of_three(gram: Vectors, explained: float) -> list[int] | None:
    """The three candidates of which the child is a mean, by positive weights; None where nothing below a bound is."""
    found = []
    for members in combinations(range(len(gram)), 3):
        weights, residual = _solve(gram, members)
        if min(weights) > 0 and residual <= explained:
            found.append((residual, list(members)))
    return min(found)[1] if found else None


def _nearest_pair(gram: Vectors) -> list[int]:
    """The two candidates between which the line passes nearest to the child, the origin of the Gram matrix."""
    squares = gram.diagonal()
    apart = squares[:, None] + squares[None, :] - 2 * gram
    share = np.divide(squares[None, :] - gram, apart, out=np.zeros_like(gram), where=apart > 0)
    left = squares[None, :] - share * (squares[None, :] - gram)
    left = np.where((share > 0) & (share < 1) & ~np.eye(len(gram), dtype=bool), left, np.inf)
    one, two = np.unravel_index(int(np.argmin(left)), left.shape)
    return sorted((int(one), int(two)))


def _solve(gram: Vectors, members: Sequence[int]) -> tuple[list[float], float]:
    """Weights summing to one that minimise the norm of the weighted sum, and that norm."""
    part = gram[np.ix_(members, members)]
    scale = float(np.trace(part)) / len(members) or 1.0
    system = np.ones((len(members) + 1, len(members) + 1))
    system[:-1, :-1] = part / scale
    system[-1, -1] = 0.0
    right = np.zeros(len(members) + 1)
    right[-1] = 1.0
    weights = np.asarray(np.linalg.lstsq(system, right, rcond=1e-14)[0][:-1], dtype=np.float64)
    return [float(weight) for weight in weights], float(np.sqrt(max(float(weights @ part @ weights), 0.0)))
