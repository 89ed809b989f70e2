"""The inner loops, compiled: statistics and multiset hash of one chunk of values.

Everything here gives the same bits on every machine. Integers are exact. Floating-point sums have an explicit order,
which is part of the fingerprint's definition (`docs/fingerprint.md`): of every piece of `PIECE` values, the non-finite
left out, four consecutive groups of `LANES` values are combined as (0 + 1) + (2 + 3) and added to `LANES` accumulators;
what is left of a piece goes value by value to the accumulator of its position modulo `LANES`; the accumulators of a
chunk are added first to last. Nothing is compiled with fast-math, and LLVM fuses no multiplication with an addition
unless asked to. No transcendental function is called.

Numba takes half a second to import: import this module only where weights are read.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, assignment, var-annotated, untyped-decorator"
# Numba infers types from the arguments; annotations of scalars would claim what does not hold inside.

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, njit, types, uint32
from numba.extending import intrinsic

LANES = 256
_STEP = 4 * LANES
PIECE = 4 * _STEP
_PATCH = 512

# Constants of the mixing functions: digits of pi's fraction, and those of the golden ratio and SplitMix64.
_K1 = np.uint64(0x243F6A88)
_K2 = np.uint64(0x85A308D3)
_K3 = np.uint64(0x13198A2E)
_K4 = np.uint64(0x03707344)
_C1 = np.uint64(0x9E3779B1)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SECOND_SEED = np.uint64(0xA4093822299F31D0)
_LOW = np.uint64(0xFFFFFFFF)
_S27, _S30, _S31, _S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


@intrinsic
def as_float(typing_context: Any, bits: Any) -> Any:
    """The float32 whose bits are a uint32; vectorises, as a view of an array inside a loop would not."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return float32(uint32), generate


@intrinsic
def as_bits(typing_context: Any, value: Any) -> Any:
    """The bits of a float32 as a uint32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return uint32(types.float32), generate


compiled = njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)


@compiled
def splitmix(x):
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    x = (x ^ (x >> _S30)) * _M1
    x = (x ^ (x >> _S27)) * _M2
    return x ^ (x >> _S31)


@compiled
def _fold(x):
    # A 32 by 32 bit product, and its two halves multiplied again under two keys: three vector multiplications a value.
    product = ((x ^ _K1) & _LOW) * _C1
    low = product & _LOW
    high = product >> _S32
    return product + low * (high ^ _K2), (low ^ _K3) * (high ^ _K4) ^ product


@compiled
def multiset32(bits):
    """Two sums modulo 2**64 of mixed 32-bit values."""
    first = np.uint64(0)
    second = np.uint64(0)
    for i in range(bits.size):
        one, two = _fold(np.uint64(bits[i]))
        first += one
        second += two
    return first, second


@compiled
def multiset64(bits):
    """Two sums modulo 2**64 of mixed 64-bit values."""
    first = np.uint64(0)
    second = np.uint64(0)
    for i in range(bits.size):
        x = bits[i]
        first += splitmix(x + GOLDEN)
        second += splitmix(x ^ _SECOND_SEED)
    return first, second


@compiled
def multiset_of_counts(patterns, counts):
    """`multiset32` of values given by their bits and how often each occurs."""
    first = np.uint64(0)
    second = np.uint64(0)
    for i in range(patterns.size):
        one, two = _fold(np.uint64(patterns[i]))
        first += np.uint64(counts[i]) * one
        second += np.uint64(counts[i]) * two
    return first, second


@compiled
def count16(words, rest, counts):
    """Occurrences of each 16-bit pattern; `words` holds four of them each, `counts` is (2, 65536) and is added to.

    Two tables, used in turn: increments of one entry in a row would wait for each other.
    """
    even = counts[0]
    odd = counts[1]
    mask = np.uint64(0xFFFF)
    for i in range(words.size):
        word = words[i]
        even[word & mask] += np.uint32(1)
        odd[(word >> np.uint64(16)) & mask] += np.uint32(1)
        even[(word >> _S32) & mask] += np.uint32(1)
        odd[word >> np.uint64(48)] += np.uint32(1)
    for i in range(rest.size):
        even[rest[i]] += np.uint32(1)


@compiled
def count8(codes, counts):
    """Occurrences of each byte, added to `counts` (4, 256)."""
    full = codes.size & ~3
    for i in range(0, full, 4):
        counts[0, codes[i]] += np.uint32(1)
        counts[1, codes[i + 1]] += np.uint32(1)
        counts[2, codes[i + 2]] += np.uint32(1)
        counts[3, codes[i + 3]] += np.uint32(1)
    for i in range(full, codes.size):
        counts[0, codes[i]] += np.uint32(1)


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
def _extremes32(bits, least, greatest):
    for i in range(bits.size):
        x = np.int32(bits[i])
        key = np.int32(x ^ np.int32(np.uint32(x >> np.int32(31)) & np.uint32(0x7FFFFFFF)))
        finite = np.uint32(np.uint32(bits[i]) & np.uint32(0x7FFFFFFF)) < np.uint32(0x7F800000)
        least = min(least, key if finite else np.int32(0x7FFFFFFF))
        greatest = max(greatest, key if finite else np.int32(-0x80000000))
    return least, greatest


@compiled
def _counts32(bits):
    # Every operation is cast back to 32 bits: left to itself Numba would widen it, at half the speed.
    zeros = np.uint32(0)
    odd = np.uint32(0)
    coarse = np.uint32(0)
    mantissa = np.uint32(0)
    for i in range(bits.size):
        x = np.uint32(bits[i])
        size = np.uint32(x & np.uint32(0x7FFFFFFF))
        zeros = np.uint32(zeros + (np.uint32(1) if size == np.uint32(0) else np.uint32(0)))
        odd = np.uint32(odd + (np.uint32(1) if size >= np.uint32(0x7F800000) else np.uint32(0)))
        low = np.uint32(x & np.uint32(0x1FFF))
        coarse = np.uint32(coarse + (np.uint32(1) if low == np.uint32(0) else np.uint32(0)))
        normal = np.uint32(size - np.uint32(0x00800000)) < np.uint32(0x7F000000)
        mantissa = np.uint32(mantissa | (np.uint32(x & np.uint32(0x7FFFFF)) if normal else np.uint32(0)))
    return zeros, odd, coarse, mantissa


@compiled
def _exact32(bits):
    brain = np.uint32(0)
    half = np.uint32(0)
    for i in range(bits.size):
        size = np.uint32(np.uint32(bits[i]) & np.uint32(0x7FFFFFFF))
        distance = _grid_distance(size)
        half = np.uint32(half + (np.uint32(1) if distance == np.uint32(0) else np.uint32(0)))
        low = np.uint32(size & np.uint32(0xFFFF)) if size < np.uint32(0x7F800000) else np.uint32(1)
        brain = np.uint32(brain + (np.uint32(1) if low == np.uint32(0) else np.uint32(0)))
    return brain, half


@compiled
def measure32(bits, values, shift):
    """Everything about float32 values but their sketch, piece by piece so that each is read from memory once.

    Returns
    -------
    tuple
        The two multiset sums; zeros, non-finite, exact in bfloat16, exact in float16; OR of the mantissas of normal
        values; least and greatest sort key, which orders finite float32 as signed integers (the greatest is below the
        least where no value is finite); and the sums of `power_sums`.
    """
    first = np.uint64(0)
    second = np.uint64(0)
    zeros, odd, brain, half = 0, 0, 0, 0
    mantissa = np.uint32(0)
    least = np.int32(0x7FFFFFFF)
    greatest = np.int32(-0x80000000)
    lanes = np.zeros((5, LANES), np.float64)
    for begin in range(0, bits.size, PIECE):
        piece = bits[begin : begin + PIECE]
        mixed = multiset32(piece)
        first += mixed[0]
        second += mixed[1]
        infinite = False
        for start in range(0, piece.size, _PATCH):
            patch = piece[start : start + _PATCH]
            counts = _counts32(patch)
            zeros += np.int64(counts[0])
            odd += np.int64(counts[1])
            infinite |= counts[1] != 0
            mantissa = np.uint32(mantissa | counts[3])
            if counts[2] != 0:
                # Only values with 13 zero bits at the end can be exact in either format, and most patches have none.
                exact = _exact32(patch)
                brain += np.int64(exact[0])
                half += np.int64(exact[1])
        least, greatest = _extremes32(piece, least, greatest)
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
