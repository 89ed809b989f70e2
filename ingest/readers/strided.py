"""Tensors that are views of stored runs of values, with an offset and strides; read in row-major order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Self

import numpy as np
from numpy.typing import NDArray

from graph_schema.errors import FormatError, UnsafeFileError
from ingest.blobs import Blob
from ingest.readers.axis_order import read_transposed
from ingest.readers.pickle_machine import StridedTensor
from ingest.tensors import STORAGE, TensorInfo


class StridedSource:
    """Strided tensors over blobs, one blob a storage; implements `ingest.tensors.TensorSource`.

    Parameters
    ----------
    tensors : mapping
        By name.
    storages : mapping
        Blob of each storage's key.
    owner : Blob
        Closed with the source.

    Raises
    ------
    FormatError
        If a storage is missing or shorter than a tensor needs.
    UnsafeFileError
        If a tensor has more values than its storage: an expanded view costs nothing to write and ages to read.
    """

    model_type = ""

    def __init__(
        self, tensors: Mapping[str, StridedTensor], storages: Mapping[str, Blob], *, owner: Blob, format: str
    ) -> None:
        self.format = format
        self.location = owner.name
        self._owner = owner
        self._storages = storages
        self._tensors = dict(tensors)
        for name, tensor in tensors.items():
            _check(name, tensor, storages.get(tensor.storage.key), owner.name)
        self.tensors: Sequence[TensorInfo] = tuple(
            TensorInfo(name=name, dtype=tensor.dtype, shape=tensor.shape) for name, tensor in sorted(tensors.items())
        )

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        """Values `start` to `stop` of a tensor, in row-major order."""
        view = self._tensors[tensor.name]
        blob = self._storages[view.storage.key]
        if stop <= start:
            return np.empty(0, dtype=STORAGE[view.dtype])
        if _contiguous(view):
            return _run(blob, view.dtype, view.offset + start, stop - start)
        if len(view.shape) == 2 and view.strides == (1, view.shape[0]):
            shape = (view.shape[0], view.shape[1])
            return read_transposed(lambda a, b: _run(blob, view.dtype, view.offset + a, b - a), shape, start, stop)
        indices = np.unravel_index(np.arange(start, stop), view.shape)
        places = sum(index * stride for index, stride in zip(indices, view.strides, strict=True))
        low = int(np.min(places))
        run = _run(blob, view.dtype, view.offset + low, int(np.max(places)) - low + 1)
        return run[places - low]

    def close(self) -> None:
        """Close the files."""
        for blob in self._storages.values():
            blob.close()
        self._owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _run(blob: Blob, dtype: str, begin: int, count: int) -> NDArray[np.generic]:
    values = np.empty(count, dtype=STORAGE[dtype])
    blob.read_into(begin * values.itemsize, values.data.cast("B"))
    return values


def _contiguous(view: StridedTensor) -> bool:
    expected = 1
    for length, stride in zip(reversed(view.shape), reversed(view.strides), strict=True):
        if length != 1 and stride != expected:
            return False
        expected *= length
    return True


def _check(name: str, view: StridedTensor, blob: Blob | None, where: str) -> None:
    shown = name[:120]
    if blob is None:
        raise FormatError(f"tensor {shown!r} lies in a storage that is missing", where=where, remedy="fetch it again")
    size = prod(view.shape)
    if size == 0:
        return
    held = blob.size // STORAGE[view.dtype].itemsize
    last = view.offset + sum((length - 1) * stride for length, stride in zip(view.shape, view.strides, strict=True))
    if view.offset < 0 or last >= held:
        raise FormatError(f"tensor {shown!r} reaches beyond its storage of {held} values", where=where)
    if size > held:
        raise UnsafeFileError(f"tensor {shown!r} has {size} values in a storage of {held}", where=where)
