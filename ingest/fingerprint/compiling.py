"""How the inner loops are compiled: once for the processor at hand, and to the same bits on every one.

Nothing is compiled with fast-math, and LLVM fuses no multiplication with an addition unless asked to, so that neither
the width of vectors nor the processor changes a result. LLVM keeps to vectors of 256 bits on most processors that have
512, which slows the loops here by a fifth; they are lifted to the whole width.

Numba takes half a second to import: import this module only where weights are read.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, untyped-decorator, attr-defined"
# Numba infers types from the arguments; annotations of scalars would claim what does not hold inside.

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import config, float32, njit, types, uint32
from numba.extending import intrinsic

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


def _widest_vectors() -> None:
    # Read by Numba when it first compiles. What the user has set (NUMBA_CPU_NAME, NUMBA_CPU_FEATURES) goes first.
    features = llvm.get_host_cpu_features()
    if config.CPU_FEATURES is None and config.CPU_NAME is None and config.ENABLE_AVX and features.get("avx512f"):
        config.CPU_FEATURES = f"{features.flatten()},-prefer-256-bit"


_widest_vectors()

compiled = njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)


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


@compiled
def splitmix(x):
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    x = (x ^ (x >> _S30)) * _M1
    x = (x ^ (x >> _S27)) * _M2
    return x ^ (x >> _S31)
