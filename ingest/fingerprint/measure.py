"""One tensor of the pass: what is computed of each chunk, and how the chunks are put together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import TensorFingerprint
from ingest.fingerprint import countsketch, kernels, multiset
from ingest.fingerprint.chunks import Chunk
from ingest.fingerprint.compiling import compiled
from ingest.fingerprint.pattern_counts import CountTables, PatternCounts
from ingest.fingerprint.plan import Extent
from ingest.fingerprint.sampling import NAMELESS, SKETCH_SIDE, layer_free, sample, seed
from ingest.fingerprint.statistics import Moments, bounded
from ingest.fingerprint.values import decode, pattern_facts, small_float_table
from ingest.tensors import STORAGE, TensorInfo

_WORD = 1 << 64


@dataclass(slots=True)
class Portion:
    """What one chunk gave."""

    moments: Moments | None = None
    multiset: tuple[int, int] = (0, 0)
    zeros: int = 0
    nonfinite: int = 0
    bf16_exact: int = 0
    f16_exact: int = 0
    mantissa: int = 0
    minimum: float = np.inf
    maximum: float = -np.inf
    sketch: NDArray[np.float64] | None = None


class Measurement:
    """Everything that is collected about one tensor.

    `measure` is called for each chunk, from any thread; `collect` for each outcome, in the order of the chunks, from
    one thread. Tables of counts come from `tables`, which the tensors of a pass share. `known` says whether the role is
    one of a known architecture, and no name that somebody chose.
    """

    def __init__(
        self, tensor: TensorInfo, role: str, extent: Extent, tables: CountTables | None = None, *, known: bool = True
    ) -> None:
        self.tensor, self.role = tensor, role
        shape = tensor.shape
        self.height = shape[0] if len(shape) > 1 else 1
        self.width = (tensor.size // self.height if self.height else 0) if len(shape) > 1 else tensor.size
        key = layer_free(role) if known else NAMELESS
        self._row_seed, self._column_seed = seed(key, "sketch rows"), seed(key, "sketch columns")
        self.rows = sample(key, "rows", self.height, extent.rows)
        self.columns = sample(key, "columns" if known else "rows", self.width, extent.columns)
        self._block = np.zeros((self.rows.size, self.columns.size), f"u{STORAGE[tensor.dtype].itemsize}")
        self._side = extent.sketch
        self._sketch = np.zeros((SKETCH_SIDE, SKETCH_SIDE))
        self._itemsize = STORAGE[tensor.dtype].itemsize
        self._counts = (
            PatternCounts(self._itemsize, tensor.size, tables or CountTables()) if self._itemsize < 4 else None
        )
        self._total = Portion(moments=Moments(), mantissa=0)

    def measure(self, chunk: Chunk, stored: NDArray[np.generic]) -> Portion:
        """Everything that one chunk gives; the sampled bits go straight into the block, whose places are disjoint."""
        stored = _aligned(stored)
        self._sample(chunk, stored)
        if self._counts is None:
            portion = self._wide(stored)
        else:
            self._counts.add(stored)
            portion = Portion()
        if self._side:
            portion.sketch = self._project(chunk, stored)
        return portion

    def collect(self, portion: Portion) -> None:
        """Add what one chunk gave."""
        total = self._total
        if portion.moments is not None and total.moments is not None:
            total.moments.add(portion.moments)
        total.multiset = (
            (total.multiset[0] + portion.multiset[0]) % _WORD,
            (total.multiset[1] + portion.multiset[1]) % _WORD,
        )
        total.zeros += portion.zeros
        total.nonfinite += portion.nonfinite
        total.bf16_exact += portion.bf16_exact
        total.f16_exact += portion.f16_exact
        total.mantissa |= portion.mantissa
        total.minimum = min(total.minimum, portion.minimum)
        total.maximum = max(total.maximum, portion.maximum)
        if portion.sketch is not None:
            self._sketch += portion.sketch

    def finish(self, content: str) -> TensorFingerprint:
        """The record, once every chunk is collected."""
        if self._counts is not None:
            self._read_counts(*self._counts.finish())
        block = decode(self.tensor.dtype, self._block.view(STORAGE[self.tensor.dtype]))
        block[np.isnan(block)] = np.nan  # one NaN for all
        total = self._total
        moments = total.moments or Moments()
        if total.minimum == total.maximum:
            # Rounding would leave a trace of variance in a constant tensor.
            moments.mean, moments.m2, moments.m3, moments.m4 = total.minimum, 0.0, 0.0, 0.0
        empty = not moments.count
        sketch = _folded(self._sketch, self._side)
        return TensorFingerprint(
            name=self.tensor.name,
            role=self.role,
            shape=tuple(self.tensor.shape),
            dtype=self.tensor.dtype,
            content=content,
            multiset=b"".join(word.to_bytes(8, "little") for word in total.multiset).hex(),
            size=self.tensor.size,
            zeros=total.zeros,
            nonfinite=total.nonfinite,
            mean=bounded(moments.mean),
            variance=moments.variance,
            skewness=moments.skewness,
            kurtosis=moments.kurtosis,
            minimum=0.0 if empty else total.minimum,
            maximum=0.0 if empty else total.maximum,
            l1=bounded(moments.absolute),
            l2=moments.l2,
            bf16_exact=total.bf16_exact,
            f16_exact=total.f16_exact,
            mantissa_bits=total.mantissa.bit_length() and 52 - _trailing_zeros(total.mantissa),
            levels=levels(block),
            rows=self.rows,
            columns=self.columns,
            block=block,
            sketch=_single(sketch),
        )

    def _sample(self, chunk: Chunk, stored: NDArray[np.generic]) -> None:
        top, bottom = np.searchsorted(self.rows, (chunk.first_row, chunk.first_row + chunk.rows))
        left, right = np.searchsorted(self.columns, (chunk.first_column, chunk.first_column + chunk.columns))
        if top < bottom and left < right:
            gather(
                stored.view(self._block.dtype),
                chunk.columns,
                self.rows[top:bottom] - chunk.first_row,
                self.columns[left:right] - chunk.first_column,
                self._block[top:bottom, left:right],
            )

    def _read_counts(self, seen: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        total = self._total
        facts = pattern_facts(self.tensor.dtype)
        values = facts.values[seen]
        first, second = multiset.multiset_of_counts(seen, sizes)
        total.multiset = (int(first), int(second))
        n, mean, m1, m2, m3, m4, absolute = kernels.central_sums(sizes, values)
        total.moments = Moments.around(0.0, n, m1, m2, m3, m4, absolute)
        total.moments.mean += mean
        finite = facts.finite[seen]
        total.zeros = int(sizes[values == 0].sum())
        total.nonfinite = int(sizes[~finite].sum())
        total.bf16_exact = int(sizes[facts.bf16_exact[seen]].sum())
        total.f16_exact = int(sizes[facts.f16_exact[seen]].sum())
        total.mantissa = int(np.bitwise_or.reduce(facts.mantissas[seen[finite]], initial=np.uint64(0)))
        kept = values[finite]
        if kept.size:
            total.minimum, total.maximum = float(kept.min()), float(kept.max())

    def _wide(self, stored: NDArray[np.generic]) -> Portion:
        dtype = self.tensor.dtype
        if dtype == "F32":
            values = stored.view(np.float32)
            shift = kernels.middle(values)
            first, second, zeros, odd, brain, half, mantissa, least, greatest, sums = kernels.measure32(
                _words(stored), stored.view(np.uint32), values, shift
            )
            minimum, maximum = (_of_key(least), _of_key(greatest)) if greatest >= least else (np.inf, -np.inf)
            mantissa = int(mantissa) << 29  # as the mantissa of a float64
        else:
            if self._itemsize == 4:
                first, second = multiset.multiset32(_words(stored), stored.view(np.uint32)[stored.size & ~1 :])
            else:
                first, second = multiset.multiset64(stored.view(np.uint64))
            values = np.ascontiguousarray(decode(dtype, stored), np.float64)
            zeros, odd, brain, half, mantissa, minimum, maximum = kernels.patterns64(values, values.view(np.uint64))
            shift = kernels.middle(values)
            sums = kernels.power_sums(values[np.isfinite(values)] if odd else values, shift)
        return Portion(
            moments=Moments.around(shift, values.size - odd, *(float(value) for value in sums)),
            multiset=(int(first), int(second)),
            zeros=int(zeros),
            nonfinite=int(odd),
            bf16_exact=int(brain),
            f16_exact=int(half),
            mantissa=int(mantissa),
            minimum=float(minimum),
            maximum=float(maximum),
        )

    def _project(self, chunk: Chunk, stored: NDArray[np.generic]) -> NDArray[np.float64]:
        dtype = self.tensor.dtype
        table = np.zeros(1, np.float32)
        values = stored
        line = np.empty(countsketch.TILE, np.float32)
        if dtype == "BF16":
            values = values.view(np.uint16)
        elif dtype == "F16":
            values = values.view(np.int16)
        elif dtype in ("F8_E4M3", "F8_E5M2"):
            values = values.view(np.uint8)
            table = np.nan_to_num(small_float_table(dtype), nan=0.0, posinf=0.0, neginf=0.0)
        else:
            # Sums of float32 need a longer accumulator than itself, or near models would drown in rounding.
            line = np.empty(countsketch.TILE, np.float64)
            values = np.ascontiguousarray(values if dtype == "F32" else decode(dtype, values))
        place = chunk.rows, chunk.columns, chunk.first_row, chunk.first_column
        seeds = np.uint64(self._row_seed), np.uint64(self._column_seed)
        outcome: NDArray[np.float64] = countsketch.sketch(values, *place, *seeds, table, line)
        return outcome


@compiled
def gather(values, width, rows, columns, target):  # type: ignore[no-untyped-def]
    """Copy what lies at some rows and columns of a matrix of `width` columns, given flat, into `target`."""
    for i in range(rows.size):
        row = values[rows[i] * width : (rows[i] + 1) * width]
        for j in range(columns.size):
            target[i, j] = row[columns[j]]


def levels(block: NDArray[np.floating]) -> int:
    """Median (the lower one) over the rows of a block of the number of distinct values in a row; 0 without a block."""
    if not block.size:
        return 0
    ordered = np.sort(block, axis=1)
    distinct = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
    return int(np.sort(distinct)[(len(distinct) - 1) // 2])


def _folded(sketch: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """A smaller sketch, as sums of neighbouring buckets, added in a fixed order."""
    folded = np.zeros((side, side))
    step = SKETCH_SIDE // side if side else 0
    for row in range(step):
        for column in range(step):
            folded += sketch[row::step, column::step]
    return folded


def _of_key(key: int) -> float:
    bits = int(key) if key >= 0 else int(key) ^ 0x7FFFFFFF
    return float(np.array([bits & 0xFFFFFFFF], np.uint32).view(np.float32)[0])


def _trailing_zeros(mantissa: int) -> int:
    return (mantissa & -mantissa).bit_length() - 1


def _single(sketch: NDArray[np.float64]) -> NDArray[np.float32]:
    largest = float(np.finfo(np.float32).max)
    return np.clip(np.nan_to_num(sketch, posinf=largest, neginf=-largest), -largest, largest).astype(np.float32)


def _aligned(stored: NDArray[np.generic]) -> NDArray[np.generic]:
    """The values in one piece at an address fit for wider words."""
    return np.ascontiguousarray(stored) if stored.ctypes.data % 8 == 0 else stored.copy()


def _words(bits: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Values of 32 bits two by two, without the last of an odd number."""
    return bits[: bits.size & ~1].view(np.uint64)
