"""How long a network was trained, by its own count: batch normalisation keeps the number of batches it has seen."""

from __future__ import annotations

from graph_schema.errors import FormatError
from ingest.tensors import TensorSource

COUNTER = "num_batches_tracked"
INTEGERS = ("I64", "I32", "U64", "U32")
MOST_BATCHES = 1 << 62


def batches_counted(source: TensorSource) -> int | None:
    """The largest counter of a set of weights.

    Layers that were frozen stop counting, and a counter is never put back by training on, so that the largest is the
    clock of the whole.

    Parameters
    ----------
    source : TensorSource

    Returns
    -------
    int or None
        None where there is no counter, or one that is no count.

    Raises
    ------
    FormatError
        If a counter cannot be read.
    """
    found = []
    for tensor in source.tensors:
        if tensor.name.rpartition(".")[2] == COUNTER and tensor.size == 1 and tensor.dtype in INTEGERS:
            stored = source.read(tensor, 0, 1)
            if stored.size != 1:
                raise FormatError("gave no value", where=f"{source.location}, tensor {tensor.name}")
            found.append(int(stored[0]))
    return max(found) if found and min(found) >= 0 and max(found) < MOST_BATCHES else None
