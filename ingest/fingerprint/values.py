"""Stored bits and the values they stand for: bfloat16 and the two 8-bit floats, which NumPy lacks, decoded by table.

Every value of these formats is a float32. On the way back a NaN loses its payload: files keep one NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ldexp

import numpy as np
from numpy.typing import NDArray

from ingest.tensors import STORAGE

Decoded = NDArray[np.float32] | NDArray[np.float64]

WIDE = frozenset({"F64", "I64", "U64", "I32", "U32"})
"""Dtypes whose values do not all fit float32; they are decoded to float64 (integers beyond 2**53 rounded)."""


def decode(dtype: str, stored: NDArray[np.generic]) -> Decoded:
    """Values of an array of stored bits: float64 for the dtypes in `WIDE`, else float32, which is taken as it is."""
    if dtype in WIDE:
        return stored.astype(np.float64)
    if dtype == "BF16":
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype in ("F8_E4M3", "F8_E5M2"):
        return small_float_table(dtype)[stored.astype(np.uint8)]
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
        return stored.astype(np.float32, copy=False)


def encode(dtype: str, values: Decoded) -> NDArray[np.generic]:
    """Stored bits of values that `decode` made: its inverse up to the payload of NaN, and for integers up to 2**53."""
    storage = STORAGE[dtype]
    if dtype == "BF16":
        single = np.where(np.isnan(values), np.float32(np.nan), values).astype(np.float32)
        return (single.view(np.uint32) >> np.uint32(16)).astype(storage)
    if dtype in ("F8_E4M3", "F8_E5M2"):
        codes, patterns = _small_float_codes(dtype)
        single = np.where(np.isnan(values), np.float32(np.nan), values).astype(np.float32)
        return codes[np.searchsorted(patterns, single.view(np.uint32))]
    if dtype in ("F64", "F32", "F16"):
        return values.astype(storage)
    return np.rint(values).astype(storage)


@cache
def small_float_table(dtype: str) -> NDArray[np.float32]:
    """(256,) values of an 8-bit float by its bits.

    E4M3 is the variant of machine learning (OCP 8-bit floating point, 2023): no infinities, NaN at 0x7F and 0xFF.
    """
    exponent_bits, bias = (4, 7) if dtype == "F8_E4M3" else (5, 15)
    mantissa_bits = 7 - exponent_bits
    table = np.empty(256, np.float32)
    for code in range(256):
        exponent, mantissa = (code >> mantissa_bits) & ((1 << exponent_bits) - 1), code & ((1 << mantissa_bits) - 1)
        if exponent_bits == 4 and code & 0x7F == 0x7F:
            value = float("nan")
        elif exponent_bits == 5 and exponent == 31:
            value = float("nan") if mantissa else float("inf")
        elif exponent == 0:
            value = ldexp(mantissa, 1 - bias - mantissa_bits)
        else:
            value = ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits)
        table[code] = -value if code & 0x80 else value
    table[np.isnan(table)] = np.nan
    table.flags.writeable = False
    return table


@cache
def _small_float_codes(dtype: str) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    patterns, codes = np.unique(small_float_table(dtype).view(np.uint32), return_index=True)
    return codes.astype(np.uint8), patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternFacts:
    """What is true of each bit pattern of a dtype of one or two bytes; all arrays have 256 or 65536 entries.

    Attributes
    ----------
    values : float64 array
    finite, bf16_exact, f16_exact : bool arrays
        Whether a value is finite; whether it is and a cast would leave it unchanged.
    mantissas : uint64 array
        Mantissas of the values as float64.
    """

    values: NDArray[np.float64]
    finite: NDArray[np.bool_]
    bf16_exact: NDArray[np.bool_]
    f16_exact: NDArray[np.bool_]
    mantissas: NDArray[np.uint64]


@cache
def pattern_facts(dtype: str) -> PatternFacts:
    """The facts of a dtype; computed once."""
    storage = STORAGE[dtype]
    bits = np.arange(1 << (8 * storage.itemsize), dtype=np.uint32).astype(f"u{storage.itemsize}")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        values = decode(dtype, bits.view(storage)).astype(np.float64)
        finite = np.isfinite(values)
        single = values.astype(np.float32)
        return PatternFacts(
            values=values,
            finite=finite,
            bf16_exact=finite & ((single.view(np.uint32) & np.uint32(0xFFFF)) == 0),
            f16_exact=finite & (values.astype(np.float16).astype(np.float64) == values),
            mantissas=values.view(np.uint64) & np.uint64((1 << 52) - 1),
        )
