"""Fingerprints in another frame: whole tensors read as a network, and written back after they were mapped.

What a permutation moves is still the same to the bit, and takes the content hash of what it is equal to. What was
rescaled comes back with rounding errors; where nothing but rounding lies between it and a tensor of another member, it
is taken for that tensor, and so counts as equal. The record of the member says that it was mapped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from lineage.precision import MANTISSA, largest_rounding
from lineage.rules.quantization import to_bf16, to_f16
from lineage.symmetry.aligning import Network
from lineage.symmetry.couplings import Coupling, Symmetries, symmetries_of
from lineage.symmetry.exact_scales import LEAST_AGREEING, LEAST_SHARE
from lineage.symmetry.units import Array
from lineage.symmetry.weights import StoredMatrices, WeightSource

_ROUNDING = {"F64": 1e-11, "F32": 4e-6, "F16": 3e-3, "BF16": 2.4e-2}
"""Relative errors that a few roundings may leave, by dtype: of a value that was turned back, the sum of many, which are
as large as those of bfloat16 now and then,"""

_SPREAD = 0.25
"""... but at most so much of that in the root mean square."""

_NORMS = 1e-5
CASTS_BY_DTYPE = {"BF16": to_bf16, "F16": to_f16}
_LEVEL_BITS = 16
_LOOKED_AT = 64


def network_of(fingerprint: Fingerprint, weights: WeightSource | None = None) -> Network:
    """The tensors of a fingerprint that it holds whole, with the symmetries that touch none but these.

    With `weights` that have the version, all its tensors, those that are not held whole being read on demand.
    Non-finite values are taken as zero.
    """
    shapes = {tensor.role: tensor.shape for tensor in fingerprint.tensors}
    known = symmetries_of(fingerprint.architecture, shapes)
    whole = {
        tensor.role: np.nan_to_num(tensor.block.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0).reshape(
            tensor.matrix_shape
        )
        for tensor in fingerprint.tensors
        if tensor.whole and tensor.size
    }
    matrices: Mapping[str, Array] = whole
    if weights is not None and weights.has(fingerprint.version):
        stored = {tensor.role: tensor for tensor in fingerprint.tensors if tensor.size and tensor.role not in whole}
        if stored:
            matrices = StoredMatrices(whole, stored, weights, fingerprint.version)
    symmetries = Symmetries(
        couplings=tuple(item for item in known.couplings if _within(item, matrices)),
        norms=tuple(item for item in known.norms if _within(item, matrices)),
        rotation=known.rotation,
    )
    floats = {tensor.dtype for tensor in fingerprint.tensors} & MANTISSA.keys() or {"F32"}
    rounding = max(largest_rounding(dtype) for dtype in floats)
    return Network(matrices=matrices, shapes=shapes, symmetries=symmetries, rounding=rounding)


def symmetries_rotate(fingerprint: Fingerprint) -> bool:
    """Whether the residual stream of a version may be turned, and its embeddings are held whole."""
    shapes = {tensor.role: tensor.shape for tensor in fingerprint.tensors}
    rotation = symmetries_of(fingerprint.architecture, shapes).rotation
    whole = {tensor.role for tensor in fingerprint.tensors if tensor.whole}
    return rotation is not None and bool(rotation.embeddings) and set(rotation.embeddings) <= whole


def _within(coupling: Coupling, matrices: Mapping[str, Array]) -> bool:
    held = set(matrices)
    return all(slot.role in held for slot in coupling.slots)


class Ledger:
    """The tensors of a family that are in one frame, by what they are, to recognise a mapped one by."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], list[TensorFingerprint]] = {}
        self._contents: set[tuple[object, ...]] = set()

    def add(self, fingerprint: Fingerprint) -> None:
        """Take in all tensors of a member."""
        for tensor in fingerprint.tensors:
            if tensor.block.size:
                key = _key(tensor)
                if (*key, tensor.content) not in self._contents:
                    self._contents.add((*key, tensor.content))
                    self._known.setdefault(key, []).append(tensor)

    def entered(
        self, tensor: TensorFingerprint, matrix: Array, *, rescaled: bool, likely: TensorFingerprint | None = None
    ) -> TensorFingerprint:
        """A tensor after mapping: one that is known, where nothing but rounding differs; else with a hash of its own.

        Parameters
        ----------
        tensor : TensorFingerprint
            As it was before.
        matrix : (rows, columns) array
            All its values after.
        rescaled : bool
            Whether the values themselves changed, and not only their places.
        likely : TensorFingerprint, optional
            That of the member whose scales it has, which it is rather than another as near: within a rounding to 16
            bits of a norm lie the norms of many relatives.
        """
        sample = matrix if tensor.whole else matrix[np.ix_(tensor.rows, tensor.columns)]
        block = sample.reshape(tensor.block.shape).astype(tensor.block.dtype)
        tolerance = _ROUNDING.get(tensor.dtype, 0.0) if rescaled else 0.0
        known = list(self._known.get(_key(tensor), ()))
        if rescaled and tensor.dtype in CASTS_BY_DTYPE:
            known += self._known.get(_key(replace(tensor, dtype="F32")), ())
        size = float(np.linalg.norm(matrix)) if rescaled else tensor.l2
        alike = [
            other
            for other in known
            if abs(size - other.l2) <= _NORMS * other.l2 + tolerance * size and _close(block, other.block, tolerance)
        ]
        if alike:
            expected = None if likely is None else likely.content
            other = min(
                alike,
                key=lambda item: (
                    item.dtype != tensor.dtype,
                    item.content != expected,
                    _apart(block, item.block),
                    item.role != tensor.role,
                    item.content,
                ),
            )
            if other.dtype == tensor.dtype:
                return replace(other, name=tensor.name, role=tensor.role)
            # It is the other, cast: rounding once more has blurred that.
            block = CASTS_BY_DTYPE[tensor.dtype](other.block.astype(np.float64)).astype(block.dtype)
        elif rescaled and tensor.dtype not in CASTS_BY_DTYPE:
            block = _snapped(block, [other.block for other in known if other.role == tensor.role], tolerance)
        digest = blake2b(block.tobytes(), digest_size=32, person=b"mapped").hexdigest()
        moved = replace(tensor, content=digest, block=block, sketch=np.zeros((0, 0), dtype=np.float32))
        return _measured(moved, matrix) if rescaled else moved


def _key(tensor: TensorFingerprint) -> tuple[object, ...]:
    kind = re.sub(r"\d+", "*", tensor.role)
    return kind, tensor.shape, tensor.dtype, tensor.rows.tobytes(), tensor.columns.tobytes()


def _close(one: NDArray[np.floating], two: NDArray[np.floating], tolerance: float) -> bool:
    step = max(1, one.size // _LOOKED_AT)
    for part in (slice(None, None, step), slice(None)):
        mine, theirs = one.reshape(-1)[part].astype(np.float64), two.reshape(-1)[part].astype(np.float64)
        size = float(np.sqrt(np.mean(theirs**2))) if np.isfinite(theirs).all() else 0.0
        if not np.all((np.abs(mine - theirs) <= tolerance * (np.abs(theirs) + size)) | (mine == theirs)):
            return False
    return _apart(one, two) <= (_SPREAD * tolerance * size) ** 2 * one.size


def _apart(one: NDArray[np.floating], two: NDArray[np.floating]) -> float:
    """Squared distance of what is finite."""
    with np.errstate(invalid="ignore"):
        apart = np.subtract(one, two, dtype=np.float64).ravel()
    apart = apart[np.isfinite(apart)]
    return float(apart @ apart)


def _snapped(
    block: NDArray[np.floating], others: Sequence[NDArray[np.floating]], tolerance: float
) -> NDArray[np.floating]:
    """A block with those values replaced that are another's but for rounding, where that is true of a share of them.

    What was pruned, edited, or chosen value by value has such values; of two trainings hardly any two agree so well.
    """
    least, alike = max(LEAST_AGREEING, LEAST_SHARE * block.size), []
    for place, other in enumerate(others):
        same = (np.abs(block - other) <= tolerance * np.abs(other)) & (block != 0)
        count = int(np.count_nonzero(same))
        if count >= least:
            alike.append((count, -place, same, other))
    snapped = block
    # The one that agrees most has the last word.
    for _, _, same, other in sorted(alike, key=lambda item: item[:2]):
        snapped = np.where(same, other, snapped)
    return snapped


def _measured(tensor: TensorFingerprint, matrix: Array) -> TensorFingerprint:
    """The statistics of a tensor whose values changed; bits and counts of non-finite values stay."""
    values = matrix.astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    if not finite.size:
        return tensor
    mean, variance = float(finite.mean()), float(finite.var())
    centred = finite - mean
    deviation = np.sqrt(variance)
    return replace(
        tensor,
        multiset=f"mapped:{tensor.content[:32]}",
        zeros=int(np.count_nonzero(finite == 0)),
        mean=mean,
        variance=variance,
        skewness=float(np.mean((centred / deviation) ** 3)) if variance > 0 else 0.0,
        kurtosis=float(np.mean((centred / deviation) ** 4)) if variance > 0 else 0.0,
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        l1=float(np.abs(finite).sum()),
        l2=float(np.linalg.norm(finite)),
        levels=_levels(tensor.block),
    )


def _levels(block: NDArray[np.floating]) -> int:
    """Median number of distinct values in a row, values that differ by rounding being one."""
    mantissa, exponent = np.frexp(block.astype(np.float64))
    grid = np.ldexp(np.round(np.ldexp(mantissa, _LEVEL_BITS)), exponent - _LEVEL_BITS)
    counts = sorted(np.unique(row).size for row in grid)
    return int(counts[(len(counts) - 1) // 2]) if counts else 0
