"""The fingerprint of a version: everything that inference needs to know about its weights, in a few megabytes.

A fingerprint is taken by `ingest` in one pass and read by `lineage`; neither knows the other, so its shape is part of
the vocabulary. Two of its parts are linear in the weights, so that the part of a difference is the difference of the
parts: the *sketch* (a two-sided CountSketch) and the *block* (the exact values at a few rows and columns, the same ones
in every model). The file it is kept in is described in `docs/fingerprint.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FINGERPRINT_VERSION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFingerprint:
    """What is kept of one tensor.

    A tensor of more than two axes counts as a matrix of its first axis by all the others; a vector of n values as a
    matrix of 1 by n. In a model of more tensors than a fingerprint can list, the experts of a layer are one tensor with
    the experts as its first axis.

    Attributes
    ----------
    name : str
        As in the file.
    role : str
        Canonical name, such as `layers.3.attention.query.weight`; the name itself, stripped of wrappers, where the
        architecture is unknown. Then all tensors are sampled at the same rows and columns, whatever they are called.
    shape : tuple of int
    dtype : str
        As stored, in the names of safetensors: F64, F32, F16, BF16, F8_E4M3, F8_E5M2, I64, ..., U8, BOOL.
    content : str
        Hexadecimal BLAKE3 digest (256 bits) of the little-endian, row-major bytes.
    multiset : str
        Hexadecimal digest (128 bits) of the values' bits as a multiset: a permutation of the values leaves it alone.
        0.0 and -0.0 are two values. It is no defence against forgery; `content` is.
    size, zeros, nonfinite : int
        Number of values, of zeros, and of NaN and infinite values. The statistics below leave out the non-finite.
    mean, variance, skewness, kurtosis : float
        First four moments; kurtosis is 3 for a normal distribution; skewness and kurtosis are 0 where the variance is.
    minimum, maximum, l1, l2 : float
        Extremes, sum of absolute values, Euclidean (Frobenius) norm; 0 where no value is finite.
    bf16_exact, f16_exact : int
        How many values a cast to bfloat16 or float16 would leave unchanged: the grid they lie on.
    mantissa_bits : int
        Most bits of mantissa that any value uses, as a float64, in 0..52; a cast to a coarser format lowers it.
        Subnormal values of F32 and F64 are left out.
    levels : int
        Median (the lower one), over the rows of the block, of the number of distinct values in a row; 0 without a
        block.
    rows, columns : (s,), (t,) int64 arrays
        Where the block was taken, ascending.
    block : (s, t) float32 array (float64 where the tensor is F64 or of 32- or 64-bit integers)
        The exact values there; integers beyond 2**53 are rounded.
    sketch : (r, r) float32 array
        Two-sided CountSketch of the finite values, r in 4, 8, 16; (0, 0) where the tensor does not need one (its block
        is the whole tensor) or the budget has no room. A smaller sketch is the sum of a larger one's neighbours:
        `sketch.reshape(4, r // 4, 4, r // 4).sum((1, 3))`.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    dtype: str
    content: str
    multiset: str
    size: int
    zeros: int
    nonfinite: int
    mean: float
    variance: float
    skewness: float
    kurtosis: float
    minimum: float
    maximum: float
    l1: float
    l2: float
    bf16_exact: int
    f16_exact: int
    mantissa_bits: int
    levels: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    block: NDArray[np.floating]
    sketch: NDArray[np.float32]

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Rows and columns of the tensor seen as a matrix."""
        if len(self.shape) < 2:
            return (1, self.size)
        return (self.shape[0], self.size // self.shape[0] if self.shape[0] else 0)

    @property
    def whole(self) -> bool:
        """Whether the block is the whole tensor."""
        return self.block.size == self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The fingerprint of one version.

    Attributes
    ----------
    version : str
        Id of the Version, `graph_schema.identity.version_id`.
    format : int
        `FINGERPRINT_VERSION` of the code that took it.
    architecture : str
        Name of the architecture whose roles matched the tensors' names; empty where none did.
    tensors : tuple of TensorFingerprint
        Sorted by role, then name; the roles are unique. Buffers that the architecture implies and tied copies are left
        out.
    kind : str
        `full` or `adapter`, a value of `graph_schema.labels.VersionKind`.
    scale : float
        For a LoRA adapter, alpha / rank; 1 otherwise.
    batches : int or None
        How many batches the network was trained on, as its batch normalisation counted; None where nothing counts. No
        part of the version's id.
    """

    version: str
    format: int = FINGERPRINT_VERSION
    architecture: str = ""
    tensors: tuple[TensorFingerprint, ...]
    kind: str = "full"
    scale: float = 1.0
    batches: int | None = None

    def by_role(self) -> dict[str, TensorFingerprint]:
        """The tensors by role."""
        return {tensor.role: tensor for tensor in self.tensors}

    @property
    def parameters(self) -> int:
        """Number of values in all tensors."""
        return sum(tensor.size for tensor in self.tensors)
