"""Statistics of one tensor from those of its chunks, combined in order.

Central moments are combined by the pairwise formulas of Chan, Golub and LeVeque (1979), extended to the third and
fourth power by Pebay ("Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
statistical moments", Sandia 2008). Only addition, multiplication, division and square roots are used, which IEEE 754
rounds alike everywhere.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import inf, isfinite, sqrt

_LARGEST = sys.float_info.max


@dataclass(slots=True)
class Moments:
    """Count, mean and central sums of powers 2 to 4 of some values, and the sum of their absolute values."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    m3: float = 0.0
    m4: float = 0.0
    absolute: float = 0.0

    @classmethod
    def around(cls, shift: float, count: int, s1: float, s2: float, s3: float, s4: float, absolute: float) -> Moments:
        """From the sums of powers of differences from `shift`."""
        if not count:
            return cls()
        d = s1 / count
        m2 = s2 - d * s1
        m3 = s3 - 3 * d * s2 + 2 * d * d * s1
        m4 = s4 - 4 * d * s3 + 6 * d * d * s2 - 3 * d * d * d * s1
        return cls(count, shift + d, max(m2, 0.0), m3, max(m4, 0.0), absolute)

    def add(self, other: Moments) -> None:
        """Take in the values that another was made of."""
        if not other.count:
            return
        if not self.count:
            self.count, self.mean, self.absolute = other.count, other.mean, other.absolute
            self.m2, self.m3, self.m4 = other.m2, other.m3, other.m4
            return
        a, b = float(self.count), float(other.count)
        n = a + b
        d = other.mean - self.mean
        dn = d / n
        ab = a * b
        m2 = self.m2 + other.m2 + d * dn * ab
        m3 = self.m3 + other.m3 + d * dn * dn * ab * (a - b) + 3 * dn * (a * other.m2 - b * self.m2)
        m4 = (
            self.m4
            + other.m4
            + d * dn * dn * dn * ab * (a * a - ab + b * b)
            + 6 * dn * dn * (a * a * other.m2 + b * b * self.m2)
            + 4 * dn * (a * other.m3 - b * self.m3)
        )
        self.count += other.count
        self.mean += b * dn
        self.m2, self.m3, self.m4 = m2, m3, m4
        self.absolute += other.absolute

    @property
    def variance(self) -> float:
        """Mean square distance from the mean; 0 without values."""
        return bounded(self.m2 / self.count) if self.count else 0.0

    @property
    def skewness(self) -> float:
        """Third standardised moment; 0 where the variance is 0 or the powers leave the range of float64."""
        scale = self.m2 * sqrt(self.m2) if self.m2 < inf else inf
        value = sqrt(self.count) * self.m3 / scale if scale > 0 else 0.0
        return value if isfinite(value) else 0.0

    @property
    def kurtosis(self) -> float:
        """Fourth standardised moment, 3 for a normal distribution; 0 under the same conditions."""
        scale = self.m2 * self.m2
        value = self.count * self.m4 / scale if scale > 0 else 0.0
        return value if isfinite(value) else 0.0

    @property
    def l2(self) -> float:
        """Euclidean norm."""
        return bounded(sqrt(self.m2 + self.count * (self.mean * self.mean))) if self.count else 0.0


def bounded(value: float) -> float:
    """The value, or the largest float64 where it overflowed."""
    return value if isfinite(value) else _LARGEST
