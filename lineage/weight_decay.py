"""How much farther than another one version's weights decayed, read where training leaves them alone.

Decoupled decay (Loshchilov and Hutter 2019, arXiv 1711.05101) multiplies every weight by 1 - rate * decay at each step;
so does the penalty of plain gradient descent. A version that was trained is its parent times one factor, the same for
all matrices, plus what was learned and the noise of the optimiser. In the directions which the change of a matrix uses
least (`lineage.tail_distance`) little is learned, and what is left there is the decay: it is the factor that makes the
tail of the change smallest. Between two steps of a few hundred iterations each it is told to within a hundredth.

Decay runs one way, so that the factor tells which of two versions came first. And taken out of their weights
(`lineage.family_decays`) it no longer hides what is left: two siblings that decayed alike lie near to each other in all
directions, and both far from their parent.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from lineage.alignment import spread_places
from lineage.tail_distance import TAIL_SHARE

MOST_ROWS = 64
"""Rows of a matrix that are looked at, spread evenly (columns where these are fewer)."""

STEPS = 5
"""Steps of the secant method; far fewer are needed where a matrix is much longer than wide."""

WIDEST = 0.5
"""Decays beyond this are no decays."""

LEAST_ERROR = 1e-7
MOST_ERROR = 1.0
"""What is less certain than this is no reading."""

AGREE = 4.0
AGREE_WITHIN = 0.02
"""Matrices agree on a decay to within so many standard errors, and so much of it."""

ROUNDS = 10

Stack = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """By how much more than the first of two versions the second decayed.

    Attributes
    ----------
    value : float
        Logarithm of the factor between them: positive where the second is smaller, which makes it the younger.
    error : float
        Its standard error; infinite where nothing was read.
    slack : float
        How far from zero the value may lie for want of decay: noise that was added makes norms grow.
    """

    value: float
    error: float
    slack: float

    @property
    def score(self) -> float:
        """Standard errors beyond twice the slack, with the sign of the value; 0 within.

        Examples
        --------
        >>> Decay(value=-0.005, error=0.001, slack=0.001).score
        -3.0
        >>> Decay(value=0.001, error=1e-6, slack=0.001).score
        0.0
        """
        beyond = max(abs(self.value) - 2 * self.slack, 0.0)
        return float(np.sign(self.value)) * beyond / self.error if beyond else 0.0

    def reversed(self) -> Decay:
        """The same the other way round."""
        return Decay(value=-self.value, error=self.error, slack=self.slack)


UNKNOWN = Decay(value=0.0, error=float("inf"), slack=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """The decays of several matrices, or of one matrix between several pairs of versions.

    Attributes
    ----------
    values, errors, slacks : (k,) array
        As in `Decay`.
    """

    values: Vector
    errors: Vector
    slacks: Vector


def decays(first: Stack, second: Stack, *, steps: int = STEPS) -> Readings:
    """The decay between the two versions of each pair.

    Parameters
    ----------
    first, second : (k, rows, columns) float64 array
        One matrix in two versions, for k pairs that differ.
    steps : int
        Of the secant method; with none, the value is that of a single Newton step from no decay, too small by far but
        of the right significance (a score test, Rao 1948).

    Returns
    -------
    Readings
        Of k pairs. Swapping the two versions of a pair turns the sign of its value.

    Notes
    -----
    Let x be the decay, D the change and M the mean of the two versions. The tail energy of D - x M has the derivative
    -2 <U'(D - x M), U'M>, where U are the directions of its smallest singular values, whose own change does not count
    (envelope theorem). The secant method finds where it vanishes, and its slope there is the information on x; one
    eigendecomposition of a matrix of at most `MOST_ROWS` rows a pair and step.
    """
    deltas, means = _thinned(second - first), _thinned((first + second) / 2)
    tail = ceil(TAIL_SHARE * deltas.shape[1])
    before, now = np.zeros(len(deltas)), np.zeros(len(deltas))
    energy, force, weight = _at(deltas, means, now, tail)
    alive = weight > 0
    slope = np.where(alive, weight, 1.0)
    best, least = now, energy
    now = np.clip(np.where(alive, force / slope, 0.0), -WIDEST, WIDEST)
    if steps == 0:
        best = now
    for _ in range(steps):
        energy, further, own = _at(deltas, means, now, tail)
        better = energy < least
        best, least, weight = (
            np.where(better, now, best),
            np.where(better, energy, least),
            np.where(better, own, weight),
        )
        moved = np.abs(now - before) > 1e-9 * np.abs(now)
        secant = np.where(moved, (force - further) / np.where(moved, now - before, 1.0), -1.0)
        told = secant > 0
        # The tail's own directions turn towards where the weights are small, so that the slope is never the steeper.
        slope = np.where(told, np.minimum(secant, np.where(own > 0, own, 1.0)), slope)
        before, force = now, further
        now = np.clip(np.where(told, now + further / slope, now), -WIDEST, WIDEST)
    noise = least / (tail * deltas.shape[2])
    return Readings(
        values=-2 * np.arctanh(best / 2),
        errors=np.where(alive, np.maximum(np.sqrt(noise * weight) / slope, LEAST_ERROR), np.inf),
        slacks=np.where(alive, least / (2 * slope), 0.0),
    )


def pooled(readings: Readings) -> tuple[Decay, NDArray[np.bool_]]:
    """What the matrices of one pair of versions say together, and which of them agree with it.

    Layers that were frozen in one of several steps between the two decayed less than others. What most of the evidence
    says is the decay, and the others are told apart.

    Examples
    --------
    >>> errors, slacks = np.array([1e-5, 1e-5, 1e-4]), np.zeros(3)
    >>> found, agree = pooled(Readings(values=np.array([2e-3, 2e-3, 0.0]), errors=errors, slacks=slacks))
    >>> round(found.value, 6), agree.tolist()
    (0.002, [True, True, False])
    """
    known = np.isfinite(readings.values) & (readings.errors < MOST_ERROR)
    if not known.any():
        return UNKNOWN, known
    values = np.where(known, readings.values, 0.0)
    errors = np.where(known, readings.errors, np.inf)
    weights = 1 / errors**2
    order = np.argsort(np.where(known, values, np.inf), kind="stable")
    mass = np.cumsum(weights[order])
    middle = float(values[order][np.searchsorted(mass, mass[-1] / 2)])
    for _ in range(ROUNDS):
        agree = known & (np.abs(values - middle) <= AGREE * np.where(known, errors, 0.0) + AGREE_WITHIN * abs(middle))
        last, middle = middle, float(np.average(values[agree], weights=weights[agree])) if agree.any() else middle
        if middle == last:
            break
    if not agree.any():
        return UNKNOWN, known & False
    spread = float(np.mean(np.square((values - middle)[agree] / errors[agree])))
    error = float(np.sqrt(max(1.0, spread) / weights[agree].sum()))
    slack = float(np.average(readings.slacks[agree], weights=weights[agree]))
    return Decay(value=middle, error=error, slack=slack), agree


def _thinned(blocks: Stack) -> Stack:
    wide = blocks if blocks.shape[1] <= blocks.shape[2] else blocks.transpose(0, 2, 1)
    if wide.shape[1] <= MOST_ROWS:
        return wide
    return wide[:, spread_places(wide.shape[1], MOST_ROWS)]


def _at(deltas: Stack, means: Stack, decay: Vector, tail: int) -> tuple[Vector, Vector, Vector]:
    """Tail energy of each change less a decay, half its derivative (negated), and the weights' energy in the tail."""
    left = deltas - decay[:, None, None] * means
    energies, directions = np.linalg.eigh(left @ left.transpose(0, 2, 1))
    quiet = directions[:, :, :tail].transpose(0, 2, 1)
    change, weights = quiet @ left, quiet @ means
    energy = np.maximum(energies[:, :tail], 0.0).sum(axis=1)
    return energy, np.einsum("kij,kij->k", change, weights), np.einsum("kij,kij->k", weights, weights)
