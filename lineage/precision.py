"""What storing a value in a floating-point dtype rounds away."""

from __future__ import annotations

MANTISSA = {"F64": 52, "F32": 23, "F16": 10, "BF16": 7, "F8_E4M3": 3, "F8_E5M2": 2}
"""Bits of mantissa of each floating-point dtype; others are taken as exact in float32."""


def largest_rounding(dtype: str) -> float:
    """How far storing a value may move it, relative to the value.

    Examples
    --------
    >>> largest_rounding("BF16"), largest_rounding("I8") == largest_rounding("F32")
    (0.00390625, True)
    """
    return 2.0 ** -(MANTISSA.get(dtype, MANTISSA["F32"]) + 1)
