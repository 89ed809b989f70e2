"""Quantised where the grid is hidden: units were rescaled since, and what is left of the rounding is its noise.

Rounding errors are independent of each other and of all that training does: once every row and every column of a
change is brought to one length, its largest singular value lies where that of pure noise does (Marchenko and Pastur
1967, "Distribution of eigenvalues for some sets of random matrices"), while gradients sum few directions. And they are
bounded: by half a step of an even grid, over which they are spread evenly, or by a share of each value where the grid
is one of floating point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svdvals

from graph_schema.derivation import Observation
from graph_schema.labels import Relation
from lineage.alignment import TensorPair, spread_places
from lineage.rules.comparison import Comparison, Transformation

MOST_MATRICES = 8
LEAST_SIDE = 32
EVENED = 8
"""Rounds in which rows and columns are brought to one length; they settle within four."""

Block = NDArray[np.float64]

OVER_THE_EDGE = 1.25
"""Largest singular value, squared, over that of noise. Of rounding errors it was 0.8 to 1.0 on trained networks, of
changes that were learned 3.6 and more."""

LEARNED = 2.5
"""What one matrix has so much of, or more, was learned, and the others are not looked at."""

MOST_KURTOSIS = 2.7
"""Of errors on an even grid: 1.8, a little more where steps differ within a row. Other noise has 3 and more."""

MOST_ERROR = 0.3
"""Of the norm of the values. Four bits leave a tenth."""

SPREAD = 5.0
"""The ninety-ninth in a hundred values errs by no more than so many times the share by which the middle one does, on a
grid of floating point: there it is two to four times, and sixty where small values err as much as large ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noise:
    """What the change of one matrix looks like.

    Attributes
    ----------
    edge : float
        Largest singular value of the evened change, squared, over that of noise.
    kurtosis : float
        Of the evened change, about zero.
    error : float
        Norm of the change over that of the values.
    spread : float
        Share by which the ninety-ninth in a hundred values changed, over that of the middle one.
    """

    edge: float
    kurtosis: float
    error: float
    spread: float

    @classmethod
    def of(cls, pair: TensorPair) -> _Noise:
        """Look at a change that is not zero."""
        # Brought to one first, so that no square is beyond all numbers.
        largest = max(float(np.abs(pair.first).max()), float(np.abs(pair.second).max()))
        change, values = pair.second / largest - pair.first / largest, np.abs(pair.first / largest)
        evened = _evened(change / (float(np.abs(change).max()) or 1.0))
        rows, columns = change.shape
        energy = float(np.mean(evened**2)) or 1.0
        shares = np.abs(change) / np.where(values > 0, values, np.inf)
        middle, most = np.quantile(shares, (0.5, 0.99)).tolist()
        return cls(
            edge=float(svdvals(evened, check_finite=False)[0]) ** 2
            / (energy * (np.sqrt(rows) + np.sqrt(columns)) ** 2),
            kurtosis=float(np.mean(evened**4)) / energy**2,
            error=float(np.linalg.norm(change)) / max(float(np.linalg.norm(values)), np.finfo(float).tiny),
            spread=most / middle if middle > 0 else np.inf,
        )


def rounded(comparison: Comparison) -> Transformation | None:
    """Whether all that lies between two versions is noise that is bounded as rounding errors are.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    Transformation or None
        `QUANTIZED_FROM`, undirected: of two versions that differ by rounding on a grid that does not show, either may
        be the copy.

    Notes
    -----
    Up to `MOST_MATRICES` changed matrices are looked at, evenly spread, whose samples have `LEAST_SIDE` rows and
    columns or more; their medians count, but for one that was clearly learned. Time O(m n^3) for m samples of side n.
    """
    large = [pair for pair in comparison.changed_matrices if min(pair.delta.shape) >= LEAST_SIDE and pair.delta.any()]
    if comparison.gained or comparison.lost or not large:
        return None
    found: list[_Noise] = []
    for place in spread_places(len(large), MOST_MATRICES):
        found.append(_Noise.of(large[place]))
        if found[-1].edge > LEARNED:
            return None
    edge, kurtosis, error, spread = np.median(
        [(item.edge, item.kurtosis, item.error, item.spread) for item in found], axis=0
    ).tolist()
    even, floating = kurtosis < MOST_KURTOSIS, spread < SPREAD
    if edge > OVER_THE_EDGE or error > MOST_ERROR or not (even or floating):
        return None
    bounds = "a share of each value, as on a grid of floating point" if floating else "one step, as on an even grid"
    return Transformation(
        relation=Relation.QUANTIZED_FROM,
        method="hidden grid",
        directed=False,
        summary=f"rounded on a grid that does not show any more; the errors are {error:.2%} of the norm",
        parameters={"relative_error": float(f"{error:.3g}")},
        observations=(
            Observation(
                kind="rounding_noise",
                statement=f"the differences in {len(large)} matrices are independent of each other (largest singular "
                f"value, squared, {edge:.2f} times that of noise; training leaves 3 times and more) and bounded by "
                f"{bounds} (kurtosis {kurtosis:.2f})",
                value=edge,
                log_odds=8.0,
                method="hidden_grid",
            ),
        ),
    )


def _evened(change: Block) -> Block:
    """A matrix with all its rows and columns brought to one mean square, but for those that are zero."""
    squares = change**2
    rows, columns = np.ones((len(change), 1)), np.ones((1, change.shape[1]))
    for _ in range(EVENED):
        rows = _lengths(squares / columns**2, 1)
        columns = _lengths(squares / rows**2, 0)
    evened: Block = change / rows / columns
    return evened


def _lengths(squares: Block, axis: int) -> Block:
    found = np.sqrt(squares.mean(axis=axis, keepdims=True))
    return np.where(found > 0, found, 1.0)
