"""Keras' HDF5 files: `.h5` of any version, `.weights.h5`, and the one within a `.keras` file.

Only numeric datasets are read. The configuration beside them, which may hold code (Lambda layers), is never looked at.
Values that are stored in one piece are read from the file itself, compressed ones through h5py.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import prod
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from graph_schema.errors import FormatError, UnsafeFileError, UnsupportedFormatError
from ingest.blobs import Blob, WindowBlob
from ingest.readers.axis_order import read_transposed
from ingest.readers.framework_names import keras_tensor
from ingest.tensors import STORAGE, TensorInfo
from ingest.zip_members import RATIO_LIMIT, BlobStream, open_zip_member, zip_directory

MAGIC = b"\x89HDF\r\n\x1a\n"
HEAD = 1 << 16
"""Bytes at the beginning of an HDF5 file within which its first names stand."""

WEIGHTS_MEMBER = "model.weights.h5"
OBJECTS_LIMIT = 1_000_000
DEPTH_LIMIT = 64
CHUNK_LIMIT = 64 << 20

_OPTIMIZER = frozenset(("optimizer", "optimizer_weights"))
_CONTAINERS = frozenset(("layers", "_layer_checkpoint_dependencies", "model_weights"))
_FILTERS = frozenset((1, 2, 3, 32000))
"""deflate, shuffle, fletcher32, lzf: those that h5py brings along; no others are loaded."""
_DTYPES = {np.dtype(kind): name for name, kind in STORAGE.items() if name not in ("BF16", "F8_E4M3", "F8_E5M2", "BOOL")}
_VARIABLES = {
    "dense": (("kernel",), ("kernel", "bias")),
    "einsum_dense": (("einsum_kernel",), ("einsum_kernel", "bias")),
    "embedding": (("embeddings",),),
    "layer_normalization": (("gamma", "beta"),),
    "batch_normalization": (("gamma", "beta", "moving_mean", "moving_variance"),),
    **{f"conv{axes}d": (("kernel",), ("kernel", "bias")) for axes in (1, 2, 3)},
}
"""Variables of layers in the order in which Keras 3 numbers them, by the layer's class."""
_COUNTER = re.compile(r"_\d+$")


def looks_like(start: bytes) -> bool:
    """Whether a file that begins so is Keras' and not any other HDF5 file: by the names near its beginning."""
    if not start.startswith(MAGIC):
        return False
    return b"keras_version" in start or b"layer_names" in start or (b"layers" in start and b"vars" in start)


def is_keras(names: frozenset[str]) -> bool:
    """Whether a zip file with these members is a `.keras` file."""
    return {WEIGHTS_MEMBER, "config.json", "metadata.json"} <= names


def open_keras_zip(blob: Blob) -> KerasSource:
    """The weights within a `.keras` file."""
    member = open_zip_member(blob, zip_directory(blob)[WEIGHTS_MEMBER], name=f"{blob.name}/{WEIGHTS_MEMBER}")
    return KerasSource(member)


class KerasSource:
    """The variables of one Keras HDF5 file; implements `ingest.tensors.TensorSource`.

    Parameters
    ----------
    blob : Blob
        Closed with the source.

    Raises
    ------
    FormatError
        If the file is damaged or holds no weights.
    UnsafeFileError
        If it links to other files, states values that it does not hold, or has absurdly many objects.
    UnsupportedFormatError
        If values are of a kind or packed in a way that is not known.
    """

    format = "keras"
    model_type = ""

    def __init__(self, blob: Blob) -> None:
        import h5py

        self._blob = blob
        self.location = blob.name
        self._lock = Lock()
        try:
            self._file = h5py.File(io.BufferedReader(BlobStream(blob)), "r")
            found = [item for item in _datasets(self._file, blob.name) if not _OPTIMIZER & set(item[0][:1])]
            self._sets: dict[str, tuple[Any, tuple[int, ...], int | None]] = {}
            infos: list[TensorInfo] = []
            names = _names(found)
            for (_, dataset), (name, axes) in zip(found, names, strict=True):
                dtype = _checked(dataset, f"{blob.name}: {name[:120]}")
                shape = tuple(dataset.shape[axis] for axis in axes)
                infos.append(TensorInfo(name=name, dtype=dtype, shape=shape))
                self._sets[name] = (dataset, axes, self._offset(dataset))
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise FormatError(f"is damaged: {str(error)[:160]}", where=blob.name, remedy="fetch it again") from error
        if len(self._sets) < len(infos):
            raise FormatError("two variables come to one name", where=blob.name)
        if not infos:
            raise FormatError("holds no weights", where=blob.name)
        self.tensors: Sequence[TensorInfo] = tuple(sorted(infos, key=lambda info: info.name))

    def _offset(self, dataset: Any) -> int | None:
        """Where the values lie in the file, in one piece and as they are offered; None where they do not."""
        offset = dataset.id.get_offset()
        if offset is None or dataset.dtype.byteorder == ">":
            return None
        WindowBlob(self._blob, offset, dataset.size * dataset.dtype.itemsize, name=self.location)
        return int(offset)

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        """Values `start` to `stop` of a tensor, in row-major order."""
        dataset, axes, offset = self._sets[tensor.name]
        if stop <= start:
            return np.empty(0, dtype=STORAGE[tensor.dtype])

        def stored(first: int, last: int) -> NDArray[np.generic]:
            if offset is None:
                return self._unpacked(dataset, STORAGE[tensor.dtype], first, last)
            values = np.empty(last - first, dtype=STORAGE[tensor.dtype])
            self._blob.read_into(offset + first * values.itemsize, values.data.cast("B"))
            return values

        if axes == tuple(range(len(axes))):
            return stored(start, stop)
        if len(axes) == 2:
            return read_transposed(stored, (tensor.shape[0], tensor.shape[1]), start, stop)
        # A convolution: what is asked for is spread over all of it, and it is small.
        steps = [prod(dataset.shape[axis + 1 :]) for axis in range(len(axes))]
        places = np.zeros(stop - start, dtype=np.int64)
        for index, axis in zip(np.unravel_index(np.arange(start, stop), tensor.shape), axes, strict=True):
            places += index * steps[axis]
        low = int(places.min())
        return stored(low, int(places.max()) + 1)[places - low]

    def _unpacked(self, dataset: Any, dtype: np.dtype[np.generic], start: int, stop: int) -> NDArray[np.generic]:
        """A slice in the stored order through h5py: whole rows are read, and the slice taken."""
        with self._lock:
            try:
                if dataset.ndim < 2:
                    values = np.atleast_1d(dataset[()] if dataset.ndim == 0 else dataset[start:stop])
                    return _as_stored(values[: stop - start], dtype)
                width = dataset.size // dataset.shape[0]
                first, last = start // width, -(-stop // width)
                rows = dataset[first:last].reshape(-1)
                return _as_stored(rows[start - first * width : stop - first * width], dtype)
            except (OSError, RuntimeError, ValueError) as error:
                raise FormatError(
                    f"cannot be unpacked: {str(error)[:160]}", where=self.location, remedy="fetch it again"
                ) from error

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError, RuntimeError, ValueError):
            self._file.close()
        self._blob.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _as_stored(values: NDArray[Any], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Little-endian values of the dtype; bits that NumPy has no number for stay what they are."""
    return values.view(dtype) if values.dtype.kind == "V" else values.astype(dtype, copy=False)


def _datasets(file: Any, where: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and dataset of every dataset below the root; what is linked twice is met once."""
    import h5py

    pending: list[tuple[tuple[str, ...], Any]] = [((), file)]
    walked: set[object] = {h5py.h5o.get_info(file.id).addr}
    count = 0
    while pending:
        path, group = pending.pop()
        for name in sorted(group.keys()):
            count += 1
            if count > OBJECTS_LIMIT or len(path) > DEPTH_LIMIT:
                raise UnsafeFileError("has too many objects, or objects nested too deeply", where=where)
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise UnsafeFileError(
                    "links to another place or file", where=f"{where}: {'/'.join((*path, name))[:120]}"
                )
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in walked:
                continue
            walked.add(address)
            if isinstance(item, h5py.Group):
                pending.append(((*path, name), item))
            elif isinstance(item, h5py.Dataset):
                yield (*path, name), item


def _checked(dataset: Any, where: str) -> str:
    """The dtype of a dataset, in the names of safetensors, when all that it states is there."""
    if dataset.external or dataset.is_virtual:
        raise UnsafeFileError("has its values in another file", where=where)
    dtype = _DTYPES.get(dataset.dtype.newbyteorder("<"))
    if dataset.dtype == np.dtype("V2") and dataset.attrs.get("dtype") == "bfloat16":
        dtype = "BF16"
    if dataset.dtype.kind == "b" or dataset.dtype.metadata or dtype is None or dataset.shape is None:
        raise UnsupportedFormatError(f"has the dtype {str(dataset.dtype)[:40]}", where=where)
    plan = dataset.id.get_create_plist()
    filters = {plan.get_filter(number)[0] for number in range(plan.get_nfilters())}
    if filters - _FILTERS:
        raise UnsupportedFormatError(f"is packed by the filters {sorted(filters)}", where=where)
    size, held = dataset.size * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if size > RATIO_LIMIT * max(held, 1 << 10) or (dataset.chunks is None and held < size):
        raise UnsafeFileError(f"states {size} bytes and holds {held}", where=where)
    if dataset.chunks is not None and prod(dataset.chunks) * dataset.dtype.itemsize > CHUNK_LIMIT:
        raise UnsafeFileError("is packed in pieces too large to unpack", where=where)
    return dtype


def _names(found: Sequence[tuple[tuple[str, ...], Any]]) -> list[tuple[str, tuple[int, ...]]]:
    """Name and order of axes of each dataset."""
    paths = [tuple(part for part in path if part not in _CONTAINERS) for path, _ in found]
    variables = _numbered([path for path, _ in found])
    names = [variables.get(path, "/".join(short)) for (path, _), short in zip(found, paths, strict=True)]
    # Before Keras 3, each variable's full name stood in a group of its layer's.
    inner = [
        "/".join(short[1:]) if len(short) > 2 and path not in variables else name
        for name, short, (path, _) in zip(names, paths, found, strict=True)
    ]
    if len(set(inner)) == len(inner):
        names = inner
    return [keras_tensor(name, len(dataset.shape)) for name, (_, dataset) in zip(names, found, strict=True)]


def _numbered(paths: Sequence[tuple[str, ...]]) -> Mapping[tuple[str, ...], str]:
    """Names of variables that Keras 3 numbers, `dense_1/vars/0`, by their path."""
    layers: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for path in paths:
        if len(path) > 1 and path[-2] == "vars":
            layers.setdefault(path[:-2], []).append(path)
    names = {}
    for layer, members in layers.items():
        kind = _COUNTER.sub("", layer[-1]) if layer else ""
        variables = next((item for item in _VARIABLES.get(kind, ()) if len(item) == len(members)), None)
        shown = "/".join(part for part in layer if part not in _CONTAINERS)
        for path in members:
            number = int(path[-1]) if path[-1].isdigit() else len(members)
            last = variables[number] if variables and number < len(variables) else f"vars/{path[-1]}"
            names[path] = f"{shown}/{last}" if shown else last
    return names
