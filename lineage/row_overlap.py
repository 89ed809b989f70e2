"""What two sketches of rows say about the sets behind them: how alike they are, and how much of one lies in the other.

Let t be the smaller of the two thresholds, and a, b and c how many hashes below t are in the one sketch, in the other,
and in both. Below t both sketches are whole, and which rows hash below t is left to chance, so that

- c / a estimates the share of the first set's rows that are in the second (containment), and
- c / (a + b - c) the share of all rows that are in both (Jaccard's similarity),

each a binomial share of a known number of trials, with Clopper and Pearson's interval. The standard deviation is at
most 1 / (2 sqrt a). Where both sketches hold all of their sets, there is nothing to estimate, and the interval is a
point.

References
----------
Broder, "On the resemblance and containment of documents", SEQUENCES 1997.
Beyer, Haas, Reinwald, Sismanis and Gemulla, "On synopses for distinct-value estimation under multiset operations",
SIGMOD 2007.
Cohen and Kaplan, "Leveraging discarded samples for tighter estimation of multiple-set aggregates", SIGMETRICS 2009.
Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika
1934.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import betainc, betaincinv

from graph_schema.row_sketch import BottomSketch

LEVEL = 0.95
"""How often an interval covers the truth, at least."""

_HASHES = float(1 << 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """An estimated share, in [0, 1].

    Attributes
    ----------
    value, low, high : float
        The estimate and its interval; 0, 0 and 1 where nothing is known.
    hits, trials : int
        How many of how many rows seen.
    exact : bool
        Whether all rows were seen.
    """

    value: float
    low: float
    high: float
    hits: int
    trials: int
    exact: bool = False

    def at_least(self, share: float) -> float:
        """How sure it is that the true share is `share` or more, every share taken for equally likely beforehand."""
        if self.exact:
            return float(self.value >= share)
        return 1.0 - float(betainc(self.hits + 1, self.trials - self.hits + 1, share))


def share(hits: int, trials: int, *, exact: bool = False, level: float = LEVEL) -> Share:
    """A binomial share with its interval.

    Examples
    --------
    >>> found = share(16, 16)
    >>> found.value, round(found.low, 3), found.high
    (1.0, 0.794, 1.0)
    """
    if trials == 0:
        return Share(value=0.0, low=0.0, high=1.0, hits=0, trials=0)
    value = hits / trials
    if exact:
        return Share(value=value, low=value, high=value, hits=hits, trials=trials, exact=True)
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, trials - hits + 1, tail))
    high = 1.0 if hits == trials else float(betaincinv(hits + 1, trials - hits, 1 - tail))
    return Share(value=value, low=low, high=high, hits=hits, trials=trials)


def containment(one: BottomSketch, other: BottomSketch) -> Share:
    """Share of the distinct rows of `one` that are among those of `other`; O(k log k) time.

    Examples
    --------
    >>> part, whole = (BottomSketch.of(np.arange(n, dtype=np.uint64), 100) for n in (5, 50))
    >>> containment(part, whole).value, containment(whole, part).value
    (1.0, 0.1)
    """
    first, _, both, exact = _counts(one, other)
    return share(both, first, exact=exact)


def similarity(one: BottomSketch, other: BottomSketch) -> Share:
    """Jaccard's similarity of two sets: rows in both, of all rows in either; symmetric."""
    first, second, both, exact = _counts(one, other)
    return share(both, first + second - both, exact=exact)


def distinct(sketch: BottomSketch) -> float:
    """Number of distinct rows, exact where the sketch is complete.

    Otherwise (k - 1) 2**64 / (its k-th smallest hash), unbiased, with a relative standard deviation of about
    1 / sqrt(k - 2) (Beyer et al., theorem 1).
    """
    if sketch.complete or sketch.size < 2:
        return float(len(sketch.hashes))
    return (sketch.size - 1) * _HASHES / (sketch.threshold + 1.0)


def relative_error(sketch: BottomSketch) -> float:
    """Relative standard deviation of `distinct`."""
    return 0.0 if sketch.complete else 1.0 / sqrt(max(sketch.size - 2, 1))


def _counts(one: BottomSketch, other: BottomSketch) -> tuple[int, int, int, bool]:
    exact = one.complete and other.complete
    both = np.intersect1d(one.hashes, other.hashes, assume_unique=True)
    if exact:
        return len(one.hashes), len(other.hashes), len(both), True
    # The hash that sets the threshold was not left to chance: it does not count.
    limit = np.uint64(min(one.threshold, other.threshold))
    first, second, shared = (int(np.searchsorted(part, limit)) for part in (one.hashes, other.hashes, both))
    return first, second, shared, False
