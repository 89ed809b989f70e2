"""The two-sided CountSketch of one chunk of values, compiled.

CountSketch (Charikar, Chen and Farach-Colton, 2002) on both sides of a matrix: rows and columns are hashed into sixteen
buckets and given a sign each, and every value goes to its pair of buckets with its pair of signs. Linear in the values;
the sum of squares is that of the matrix on average. As in `ingest.fingerprint.kernels`, the order of summation is
explicit.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, assignment, var-annotated, untyped-decorator"
# Numba infers types from the arguments; annotations of scalars would claim what does not hold inside.

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from ingest.fingerprint.compiling import GOLDEN, as_float, compiled, splitmix
from ingest.fingerprint.sampling import SKETCH_SIDE

TILE = 4096
"""Columns that are worked on at once."""

_TOP_FOUR_BITS = np.uint64(60)


def _load(stored, table):
    """A stored value as a float, 0 where it is not finite; chosen by the type of `stored` when it is compiled."""
    raise TypeError("only for compiled code")


@overload(_load)
def _choose_load(stored, table):
    return {types.uint16: _brain, types.int16: _half, types.uint8: _looked_up}.get(stored, _plain)


def _brain(stored, table):
    single = np.uint32(np.uint32(stored) << np.uint32(16))
    finite = np.uint32(single & np.uint32(0x7FFFFFFF)) < np.uint32(0x7F800000)
    return as_float(single if finite else np.uint32(0))


def _half(stored, table):
    # The exponent is corrected by a multiplication, which is exact and makes subnormals normal.
    bits = np.uint32(stored)
    size = np.uint32(bits & np.uint32(0x7FFF))
    kept = size if size < np.uint32(0x7C00) else np.uint32(0)
    sign = np.uint32(np.uint32(bits & np.uint32(0x8000)) << np.uint32(16))
    return as_float(np.uint32(np.uint32(kept << np.uint32(13)) | sign)) * np.float32(2.0**112)


def _looked_up(stored, table):
    return table[stored]


def _plain(stored, table):
    return stored if stored - stored == 0 else stored * 0


@compiled
def sketch(values, rows, columns, first_row, first_column, row_seed, column_seed, table, line):
    """A chunk's part of the two-sided CountSketch, (16, 16) float64.

    Rows of a bucket are added with their signs, four by four as (0 + 1) + (2 + 3), then one by one, in the dtype of
    `line`; then the columns, first to last, in float64.

    Parameters
    ----------
    values : (rows * columns,) array
        bfloat16 as uint16, float16 as int16, 8-bit floats as uint8 with their values in `table`, else float32 or
        float64.
    rows, columns, first_row, first_column : int
        Place of the chunk in the matrix.
    row_seed, column_seed : uint64
    table : (256,) or (1,) float32 array
        Finite values of the 8-bit floats.
    line : array
        Room for sums along a row, float32 or float64: its length is how many columns are worked on at once.
    """
    side = SKETCH_SIDE
    result = np.zeros((side, side), np.float64)
    bucket = np.empty(rows, np.int64)
    sign = np.empty(rows, line.dtype)
    ends = np.zeros(side + 1, np.int64)
    for i in range(rows):
        hashed = splitmix(row_seed + np.uint64(first_row + i + 1) * GOLDEN)
        bucket[i] = np.int64(hashed >> _TOP_FOUR_BITS)
        ends[bucket[i] + 1] += 1
        sign[i] = 1.0 if hashed & np.uint64(1) else -1.0
    for k in range(side):
        ends[k + 1] += ends[k]
    place = ends[:side].copy()
    order = np.empty(rows, np.int64)
    for i in range(rows):
        order[place[bucket[i]]] = i
        place[bucket[i]] += 1
    width = min(line.size, columns)
    column_bucket = np.empty(width, np.int64)
    column_sign = np.empty(width, np.float64)
    for left in range(0, columns, width):
        span = min(width, columns - left)
        for j in range(span):
            hashed = splitmix(column_seed + np.uint64(first_column + left + j + 1) * GOLDEN)
            column_bucket[j] = np.int64(hashed >> _TOP_FOUR_BITS)
            column_sign[j] = 1.0 if hashed & np.uint64(1) else -1.0
        for k in range(side):
            begin, end = ends[k], ends[k + 1]
            if begin == end:
                continue
            line[:] = 0
            whole = end - (end - begin) % 4
            for i in range(begin, whole, 4):
                # Slices, because an index with an offset could be negative for all the compiler knows.
                at = order[i] * columns + left
                r0 = values[at : at + span]
                at = order[i + 1] * columns + left
                r1 = values[at : at + span]
                at = order[i + 2] * columns + left
                r2 = values[at : at + span]
                at = order[i + 3] * columns + left
                r3 = values[at : at + span]
                s0, s1, s2, s3 = sign[order[i]], sign[order[i + 1]], sign[order[i + 2]], sign[order[i + 3]]
                for j in range(span):
                    line[j] += (s0 * _load(r0[j], table) + s1 * _load(r1[j], table)) + (
                        s2 * _load(r2[j], table) + s3 * _load(r3[j], table)
                    )
            for i in range(whole, end):
                at = order[i] * columns + left
                r0 = values[at : at + span]
                s0 = sign[order[i]]
                for j in range(span):
                    line[j] += s0 * _load(r0[j], table)
            for j in range(span):
                result[k, column_bucket[j]] += column_sign[j] * np.float64(line[j])
    return result
