"""How much of each tensor a fingerprint keeps: a fixed number of bytes, spent where inference gains most.

The plan follows from roles, shapes and dtypes alone, so that two versions of one architecture are sampled alike
whatever their values; and samples are nested (`ingest.fingerprint.sampling`), so that two plans that differ still share
their smaller part. Steps are taken in order of use until the budget is spent:

1. a record of each tensor (hashes, statistics), which is never left out;
2. the values of vectors, and small matrices whole (up to 256 x 256), as far as half of the budget lasts;
3. *large blocks* of 256 x 256: the topology among fine-tunes needs them larger than the rank of the task's signal, in
   a few matrices only; attention projections and MLP down projections serve best, at evenly spread layers;
4. *tall blocks* of embeddings, 1,024 rows by 32 columns: the decay clock compares many rows;
5. small blocks, 32 x 32, of all other matrices, for their grid, zeros and equal bits;
6. sketches.

Where the architecture is unknown, names say nothing: after the small tensors all matrices get blocks of one side, as
large as the budget allows (`BlockPlan.extents_by_shape`), so that the plan is the same under any names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.fingerprint.sampling import SKETCH_SIDE, layer_free
from ingest.tensors import STORAGE

DEFAULT_BUDGET = 4_000_000
"""Bytes of a fingerprint's file; a little under 4 MiB."""

_LONGEST_ROW = 1 << 20
_RECORD_BYTES = 320  # at most: a row of every column of the file, without names
_WHOLE_SIDE = 256
LARGE_SIDE = 256
_SMALL_SIDES = (64, 48, 32, 16, 8)
_EQUAL_SIDES = (256, 192, 128, 96, *_SMALL_SIDES)
_TALL = ((1024, 64), (1024, 32), (512, 32), (256, 16))
_VECTORS = (1024, 256, 64, 16)
_TOPOLOGY = (
    "attention.query.weight",
    "mlp.down.weight",
    "attention.output.weight",
    "attention.value.weight",
    "attention.key.weight",
    "attention.query_key_value.weight",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What to keep of one tensor: rows and columns of the block (0, 0 for none) and the side of the sketch."""

    rows: int = 0
    columns: int = 0
    sketch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """A budget and how to spend it.

    Attributes
    ----------
    budget : int
        Bytes of the whole file.
    large_blocks : int
        How many large blocks at most.
    large_side : int
        Rows and columns of a large block; blocks of plans that differ share their smaller part.

    Examples
    --------
    >>> BlockPlan().extents([("layers.0.mlp.down.weight", "BF16", (4096, 14336))])
    [Extent(rows=256, columns=256, sketch=16)]
    """

    budget: int = DEFAULT_BUDGET
    large_blocks: int = 24
    large_side: int = LARGE_SIDE

    def extents(self, tensors: Sequence[tuple[str, str, tuple[int, ...]]]) -> list[Extent]:
        """What to keep of each of the tensors, given as (role, dtype, shape), in their order.

        The outcome for a tensor does not depend on the order of the others. Where the records alone exceed the budget,
        nothing else is kept and the file is as large as the records.
        """
        items = [_Item(index, *tensor) for index, tensor in enumerate(tensors)]
        records = sum(_RECORD_BYTES + 2 * len(item.role.encode()) for item in items)
        left = self.budget - 4096 - records
        left = _keep_small(items, left, left // 2)
        large = [item for item in _large_candidates(items) if not item.rows][: self.large_blocks]
        left = _keep(large, (self.large_side, self.large_side), left, reserve=left // 3)
        tall = [item for item in items if item.is_embedding and not item.rows]
        left = _keep_all(tall, _TALL, left, reserve=left // 2)
        rest = [item for item in items if item.is_matrix and not item.rows]
        left = _keep_all(rest, tuple((side, side) for side in _SMALL_SIDES), left, reserve=left // 4)
        left = _sketch(items, left)
        return [Extent(rows=item.rows, columns=item.columns, sketch=item.sketch) for item in items]

    def extents_by_shape(self, tensors: Sequence[tuple[str, str, tuple[int, ...]]]) -> list[Extent]:
        """What to keep of each tensor of a network of unknown architecture, given and returned as in `extents`.

        Tensors of equal shape are treated alike, and a matrix as its transpose is. Roles count by their length alone,
        which takes its room in the file.

        Examples
        --------
        >>> BlockPlan().extents_by_shape([("trunk.w", "F32", (4096, 512)), ("trunk.v", "F32", (512, 4096))])[0]
        Extent(rows=256, columns=256, sketch=16)
        """
        items = [_Item(index, *tensor) for index, tensor in enumerate(tensors)]
        left = self.budget - 4096 - sum(_RECORD_BYTES + 2 * len(item.role.encode()) for item in items)
        left, limit = _keep_vectors(items, left, left // 2)
        left = _keep_whole_sizes(items, left, limit)
        rest = [item for item in items if item.is_matrix and not item.rows]
        left = _keep_all(rest, tuple((side, side) for side in _EQUAL_SIDES), left, reserve=left // 4)
        _sketch(items, left)
        return [Extent(rows=item.rows, columns=item.columns, sketch=item.sketch) for item in items]


class _Item:
    def __init__(self, index: int, role: str, dtype: str, shape: tuple[int, ...]) -> None:
        size = 1
        for length in shape:
            size *= length
        self.index, self.role, self.shape = index, role, shape
        self.height = shape[0] if len(shape) > 1 else 1
        self.width = (size // self.height if self.height else 0) if len(shape) > 1 else size
        self.bytes = 8 if dtype in ("I64", "U64") else STORAGE[dtype].itemsize
        self.key = layer_free(role)
        self.rows = self.columns = self.sketch = 0

    @property
    def is_matrix(self) -> bool:
        return self.height > 1

    @property
    def is_embedding(self) -> bool:
        return self.is_matrix and (self.role.startswith(("embed.", "head.")) or ".embed." in self.role)

    def cost(self, rows: int, columns: int) -> int:
        # The indices are kept once for all layers, but count in full: an upper bound is enough.
        rows, columns = min(rows, self.height), min(columns, self.width)
        return rows * columns * self.bytes + 8 * (rows + columns)

    def keep(self, rows: int, columns: int) -> None:
        self.rows, self.columns = min(rows, self.height), min(columns, self.width)


def _keep_vectors(items: Sequence[_Item], left: int, limit: int) -> tuple[int, int]:
    """The values of vectors, as many as half of the limit allows; what is left of both numbers."""
    vectors = [item for item in items if not item.is_matrix and item.width]
    for count in _VECTORS:
        cost = sum(item.cost(1, count) for item in vectors)
        if cost <= limit // 2:
            for item in vectors:
                item.keep(1, count)
            return left - cost, limit - cost
    return left, limit


def _keep_whole_sizes(items: Sequence[_Item], left: int, limit: int) -> int:
    """Matrices of at most 256 x 256 whole: by increasing size, all of one size or none."""
    sizes: dict[int, list[_Item]] = {}
    for item in items:
        if item.is_matrix and 0 < item.height * item.width <= _WHOLE_SIDE**2:
            sizes.setdefault(item.height * item.width, []).append(item)
    for _, alike in sorted(sizes.items()):
        cost = sum(item.cost(item.height, item.width) for item in alike)
        if cost > limit:
            break
        for item in alike:
            item.keep(item.height, item.width)
        left, limit = left - cost, limit - cost
    return left


def _keep_small(items: Sequence[_Item], left: int, limit: int) -> int:
    """Vectors, then matrices of at most 256 x 256 whole: all of them if half the budget allows, else the smallest."""
    left, limit = _keep_vectors(items, left, limit)
    small = [item for item in items if item.is_matrix and 0 < item.height * item.width <= _WHOLE_SIDE**2]
    for item in sorted(small, key=lambda item: (item.height * item.width, item.role)):
        cost = item.cost(item.height, item.width)
        if cost > limit:
            break
        item.keep(item.height, item.width)
        left, limit = left - cost, limit - cost
    return left


def _large_candidates(items: Iterable[_Item]) -> list[_Item]:
    """Matrices for the large blocks, best first: turn by turn one layer of each kind, the layers evenly spread."""
    kinds: dict[str, list[_Item]] = {}
    for item in items:
        rank = next((n for n, suffix in enumerate(_TOPOLOGY) if item.role.endswith(suffix)), None)
        if rank is not None and min(item.height, item.width) > 1 and ".experts." not in item.role:
            kinds.setdefault(f"{rank} {item.key}", []).append(item)
    if not kinds:
        for item in items:
            if item.is_matrix and not item.is_embedding and min(item.height, item.width) >= LARGE_SIDE // 4:
                kinds.setdefault(item.key, []).append(item)
    queues = []
    for kind in sorted(kinds):
        layers = sorted(kinds[kind], key=lambda item: (_numbers(item.role), item.role))
        queues.append([layers[position] for position in spread(len(layers))])
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def spread(count: int) -> list[int]:
    """The numbers below `count` such that each beginning of the list is spread evenly: first, last, middle, quarters.

    Examples
    --------
    >>> spread(5)
    [0, 4, 2, 1, 3]
    """
    order: dict[int, None] = {}
    parts = 1
    while len(order) < count:
        for position in range(parts + 1):
            order.setdefault((position * (count - 1) + parts // 2) // parts)
        parts *= 2
    return list(order)


def _numbers(role: str) -> tuple[int, ...]:
    return tuple(int(part) for part in role.split(".") if part.isdecimal())


def _keep(items: Iterable[_Item], extent: tuple[int, int], left: int, *, reserve: int) -> int:
    """As many of the items as fit, in order."""
    for item in items:
        cost = item.cost(*extent)
        if left - cost >= reserve:
            item.keep(*extent)
            left -= cost
    return left


def _keep_all(items: Sequence[_Item], extents: Sequence[tuple[int, int]], left: int, *, reserve: int) -> int:
    """All of the items, by the largest extent that fits; none where even the smallest does not."""
    for extent in extents:
        cost = sum(item.cost(*extent) for item in items)
        if left - cost >= reserve:
            for item in items:
                item.keep(*extent)
            return left - cost
    return left


def _sketch(items: Sequence[_Item], left: int) -> int:
    """A sketch for every matrix that is not kept whole, by the largest side that fits; else for the dense ones."""
    partial = [item for item in items if item.is_matrix and item.rows * item.columns < item.height * item.width]
    # A row as long as a chunk would cost as much to sketch as all else together.
    partial = [item for item in partial if item.width <= _LONGEST_ROW]
    for chosen in (partial, [item for item in partial if ".experts." not in item.role]):
        for side in (SKETCH_SIDE, SKETCH_SIDE // 2, SKETCH_SIDE // 4):
            cost = 4 * side**2 * len(chosen)
            if cost <= left:
                for item in chosen:
                    item.sketch = side
                return left - cost
    return left
