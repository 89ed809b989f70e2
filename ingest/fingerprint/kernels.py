"""The inner loops, compiled: statistics of one chunk of wide values.

Everything here gives the same bits on every machine. Integers are exact. Floating-point sums have an explicit order,
which is part of the fingerprint's definition (`docs/fingerprint.md`): of every piece of `PIECE` values, the non-finite
left out, four consecutive groups of `LANES` values are combined as (0 + 1) + (2 + 3) and added to `LANES` accumulators;
what is left of a piece goes value by value to the accumulator of its position modulo `LANES`; the accumulators of a
chunk are added first to last. No transcendental function is called.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, assignment, var-annotated, untyped-decorator"
# Numba infers types from the arguments; annotations of scalars would claim what does not hold inside.

from __future__ import annotations

import numpy as np

from ingest.fingerprint.compiling import as_bits, as_float, compiled
from ingest.fingerprint.multiset import multiset32

LANES = 256
_STEP = 4 * LANES
PIECE = 4 * _STEP
_PATCH = 512
_SHIFT_SAMPLES = 256

_MAGNITUDE = np.uint32(0x7FFFFFFF)
_INFINITE = np.uint32(0x7F800000)
_NORMAL = np.uint32(0x00800000)
_MANTISSA = np.uint32(0x7FFFFF)


@compiled
def _grid_distance(size):
    # 0 where a float32 (its bits without the sign) is exact in half precision. Adding 0.75 rounds to multiples of
    # 2**-24, the spacing of half-precision subnormals; above them the 13 lowest bits of the mantissa decide.
    x = as_float(size)
    rounded = as_bits(np.float32(np.float32(x + np.float32(0.75)) - np.float32(0.75)))
    small = np.uint32(rounded ^ size)
    normal = np.uint32(size & np.uint32(0x1FFF))
    distance = small if size < np.uint32(0x38800000) else normal
    return distance if size <= np.uint32(0x477FE000) else np.uint32(1)


@compiled
def _outline32(bits):
    # Integer minima and maxima of raw bits: those of positive values read as they are, those of negative ones by size.
    highest = np.int32(-0x80000000)
    lowest = np.int32(0x7FFFFFFF)
    largest = np.uint32(0)
    smallest = np.uint32(0xFFFFFFFF)
    together = np.uint32(0)
    coarsest = np.uint32(0xFFFFFFFF)
    for i in range(bits.size):
        x = np.uint32(bits[i])
        highest = max(highest, np.int32(x))
        lowest = min(lowest, np.int32(x))
        largest = max(largest, x)
        smallest = min(smallest, x)
        together = np.uint32(together | x)
        coarsest = min(coarsest, np.uint32(x << np.uint32(19)))
    return highest, lowest, largest, smallest, together, coarsest == np.uint32(0)


@compiled
def _sort_key(bits):
    x = np.int32(bits)
    return np.int32(x ^ np.int32(np.uint32(x >> np.int32(31)) & np.uint32(0x7FFFFFFF)))


@compiled
def _extremes32(bits, least, greatest):
    for i in range(bits.size):
        key = _sort_key(bits[i])
        finite = np.uint32(np.uint32(bits[i]) & _MAGNITUDE) < _INFINITE
        least = min(least, key if finite else np.int32(0x7FFFFFFF))
        greatest = max(greatest, key if finite else np.int32(-0x80000000))
    return least, greatest


@compiled
def _counts32(bits):
    # Every operation is cast back to 32 bits: left to itself Numba would widen it, at half the speed.
    zeros = np.uint32(0)
    odd = np.uint32(0)
    mantissa = np.uint32(0)
    for i in range(bits.size):
        x = np.uint32(bits[i])
        size = np.uint32(x & _MAGNITUDE)
        zeros = np.uint32(zeros + (np.uint32(1) if size == np.uint32(0) else np.uint32(0)))
        odd = np.uint32(odd + (np.uint32(1) if size >= _INFINITE else np.uint32(0)))
        normal = np.uint32(size - _NORMAL) < np.uint32(0x7F000000)
        mantissa = np.uint32(mantissa | (np.uint32(x & _MANTISSA) if normal else np.uint32(0)))
    return zeros, odd, mantissa


@compiled
def _exact32(bits):
    brain = np.uint32(0)
    half = np.uint32(0)
    for i in range(bits.size):
        size = np.uint32(np.uint32(bits[i]) & _MAGNITUDE)
        distance = _grid_distance(size)
        half = np.uint32(half + (np.uint32(1) if distance == np.uint32(0) else np.uint32(0)))
        low = np.uint32(size & np.uint32(0xFFFF)) if size < _INFINITE else np.uint32(1)
        brain = np.uint32(brain + (np.uint32(1) if low == np.uint32(0) else np.uint32(0)))
    return brain, half


@compiled
def measure32(words, bits, values, shift):
    """Everything about float32 values but their sketch, piece by piece so that each is read from memory once.

    Parameters
    ----------
    words, bits, values : uint64, uint32 and float32 arrays
        The same values: two in each of `words`, which lacks the last of an odd number.
    shift : float
        A number near the mean.

    Returns
    -------
    tuple
        The two multiset sums; zeros, non-finite, exact in bfloat16, exact in float16; OR of the mantissas of normal
        values; least and greatest sort key, which orders finite float32 as signed integers (the greatest is below the
        least where no value is finite); and the sums of `power_sums`.
    """
    first, second = multiset32(words[:0], bits[2 * words.size :])
    zeros, odd, brain, half = 0, 0, 0, 0
    mantissa = np.uint32(0)
    least = np.int32(0x7FFFFFFF)
    greatest = np.int32(-0x80000000)
    lanes = np.zeros((5, LANES), np.float64)
    for begin in range(0, bits.size, PIECE):
        mixed = multiset32(words[begin // 2 : (begin + PIECE) // 2], bits[:0])
        first += mixed[0]
        second += mixed[1]
        piece = bits[begin : begin + PIECE]
        infinite = False
        for start in range(0, piece.size, _PATCH):
            patch = piece[start : start + _PATCH]
            highest, lowest, largest, smallest, together, coarse = _outline32(patch)
            some_positive, some_negative = smallest <= _MAGNITUDE, largest > _MAGNITUDE
            top = max(np.uint32(highest) if some_positive else largest, np.uint32(largest & _MAGNITUDE))
            bottom = min(smallest, np.uint32(np.uint32(lowest) & _MAGNITUDE) if some_negative else smallest)
            if top < _INFINITE:
                greatest = max(greatest, _sort_key(np.uint32(highest) if some_positive else np.uint32(lowest)))
                least = min(least, _sort_key(largest if some_negative else smallest))
            else:
                least, greatest = _extremes32(patch, least, greatest)
            if top < _INFINITE and bottom >= _NORMAL:
                mantissa = np.uint32(mantissa | np.uint32(together & _MANTISSA))
            else:
                counts = _counts32(patch)
                zeros += np.int64(counts[0])
                odd += np.int64(counts[1])
                infinite |= counts[1] != 0
                mantissa = np.uint32(mantissa | counts[2])
            if coarse:
                # Only values with 13 zero bits at the end can be exact in either format, and most patches have none.
                exact = _exact32(patch)
                brain += np.int64(exact[0])
                half += np.int64(exact[1])
        floats = values[begin : begin + PIECE]
        _add_powers(_only_finite(floats) if infinite else floats, shift, lanes)
    return first, second, zeros, odd, brain, half, mantissa, least, greatest, _sum_lanes(lanes)


@compiled
def patterns64(values, bits):
    """Zeros, non-finite, exact in bfloat16 and float16, OR of the mantissas of normal values, least and greatest.

    The extremes are infinite, the wrong way round, where no value is finite.
    """
    zeros = 0
    odd = 0
    brain = 0
    half = 0
    mantissa = np.uint64(0)
    least = np.inf
    greatest = -np.inf
    for i in range(bits.size):
        x = values[i]
        size = bits[i] & np.uint64(0x7FFFFFFFFFFFFFFF)
        if size >= np.uint64(0x7FF0000000000000):
            odd += 1
            continue
        zeros += x == 0.0
        if size >= np.uint64(0x0010000000000000):
            mantissa |= size & np.uint64(0xFFFFFFFFFFFFF)
        single = np.float32(x)
        if np.float64(single) == x:
            brain += (as_bits(single) & np.uint32(0xFFFF)) == np.uint32(0)
            half += _grid_distance(np.uint32(as_bits(single) & np.uint32(0x7FFFFFFF))) == np.uint32(0)
        least = min(least, x)
        greatest = max(greatest, x)
    return zeros, odd, brain, half, mantissa, least, greatest


@compiled
def middle(values):
    """A number near the mean, to take differences from: the mean of evenly spaced finite values, added in order."""
    step = max(1, values.size // _SHIFT_SAMPLES)
    total = 0.0
    count = 0
    for i in range(0, values.size, step):
        x = np.float64(values[i])
        if x - x == 0.0:
            total += x
            count += 1
    # Doubles can overflow; differences are then taken from 0.
    return total / count if count and total - total == 0.0 else 0.0


@compiled
def power_sums(values, shift):
    """Sums of (x - shift) to the powers 1 to 4 and of |x| over finite values, in float64; in that order, (5,)."""
    lanes = np.zeros((5, LANES), np.float64)
    for begin in range(0, values.size, PIECE):
        _add_powers(values[begin : begin + PIECE], shift, lanes)
    return _sum_lanes(lanes)


@compiled
def _only_finite(values):
    kept = np.empty_like(values)
    count = 0
    for i in range(values.size):
        if values[i] - values[i] == 0:
            kept[count] = values[i]
            count += 1
    return kept[:count]


@compiled
def _add_powers(values, shift, lanes):
    s1, s2, s3, s4, s5 = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4]
    full = values.size - values.size % _STEP
    for begin in range(0, full, _STEP):
        for j in range(LANES):
            x0 = np.float64(values[begin + j])
            x1 = np.float64(values[begin + j + LANES])
            x2 = np.float64(values[begin + j + 2 * LANES])
            x3 = np.float64(values[begin + j + 3 * LANES])
            d0 = x0 - shift
            d1 = x1 - shift
            d2 = x2 - shift
            d3 = x3 - shift
            q0 = d0 * d0
            q1 = d1 * d1
            q2 = d2 * d2
            q3 = d3 * d3
            s1[j] += (d0 + d1) + (d2 + d3)
            s2[j] += (q0 + q1) + (q2 + q3)
            s3[j] += (q0 * d0 + q1 * d1) + (q2 * d2 + q3 * d3)
            s4[j] += (q0 * q0 + q1 * q1) + (q2 * q2 + q3 * q3)
            s5[j] += (abs(x0) + abs(x1)) + (abs(x2) + abs(x3))
    for i in range(full, values.size):
        x = np.float64(values[i])
        j = i % LANES
        d = x - shift
        q = d * d
        s1[j] += d
        s2[j] += q
        s3[j] += q * d
        s4[j] += q * q
        s5[j] += abs(x)


@compiled
def _sum_lanes(lanes):
    sums = np.zeros(5, np.float64)
    for k in range(5):
        for j in range(LANES):
            sums[k] += lanes[k, j]
    return sums


@compiled
def central_sums(counts, values):
    """Count, mean, central sums of powers 2 to 4, sum of |x|: of finite values with their counts, in index order."""
    n = 0
    total = 0.0
    absolute = 0.0
    for i in range(counts.size):
        x = values[i]
        if counts[i] != 0 and x - x == 0.0:
            n += counts[i]
            total += counts[i] * x
            absolute += counts[i] * abs(x)
    mean = total / n if n else 0.0
    m1 = 0.0
    m2 = 0.0
    m3 = 0.0
    m4 = 0.0
    for i in range(counts.size):
        x = values[i]
        if counts[i] != 0 and x - x == 0.0:
            d = x - mean
            q = d * d
            m1 += counts[i] * d
            m2 += counts[i] * q
            m3 += counts[i] * (q * d)
            m4 += counts[i] * (q * q)
    return n, mean, m1, m2, m3, m4, absolute
