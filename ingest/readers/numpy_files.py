"""NumPy's npy and npz files; arrays of Python objects (which are pickles) are refused."""

from __future__ import annotations

import warnings
from io import BytesIO
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy

from graph_schema.errors import FormatError, UnsafeFileError, UnsupportedFormatError
from ingest.blobs import Blob, WindowBlob, read_bytes
from ingest.readers.pickle_machine import Storage, StridedTensor
from ingest.readers.strided import StridedSource
from ingest.zip_members import open_zip_member, zip_directory

MAGIC = b"\x93NUMPY"
_HEADER_LIMIT = 1 << 16
_DTYPES = {"f8": "F64", "f4": "F32", "f2": "F16"} | {
    f"{kind.lower()}{width}": f"{kind}{8 * width}" for kind in "IU" for width in (1, 2, 4, 8)
}


def is_npz(names: frozenset[str]) -> bool:
    """Whether a zip file with these members is an npz file."""
    return bool(names) and all(name.endswith(".npy") for name in names)


def open_npy(blob: Blob) -> StridedSource:
    """One array, called `array`."""
    view, values = _array(blob, "array")
    return StridedSource({"array": view}, {"array": values}, owner=blob, format="numpy")


def open_npz(blob: Blob) -> StridedSource:
    """The arrays of an npz file, by their names."""
    tensors: dict[str, StridedTensor] = {}
    storages: dict[str, Blob] = {}
    for member, item in sorted(zip_directory(blob).items()):
        name = member.removesuffix(".npy")
        tensors[name], storages[name] = _array(open_zip_member(blob, item, name=f"{blob.name}/{member}"), name)
    return StridedSource(tensors, storages, owner=blob, format="numpy")


def _array(blob: Blob, name: str) -> tuple[StridedTensor, Blob]:
    head = BytesIO(read_bytes(blob, 0, min(blob.size, _HEADER_LIMIT)))
    try:
        version = npy.read_magic(head)
        parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        with warnings.catch_warnings(action="ignore"):  # a header that Python 2 wrote is as good as any
            shape, fortran, dtype = parse(head, max_header_size=_HEADER_LIMIT)
    except (ValueError, EOFError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise FormatError(f"npy header is damaged: {str(error)[:120]}", where=blob.name) from error
    if dtype.hasobject:
        raise UnsafeFileError("holds Python objects, which are pickles", where=blob.name)
    kind = "BOOL" if dtype == np.bool_ else _DTYPES.get(f"{dtype.kind}{dtype.itemsize}")
    if kind is None or dtype.byteorder == ">":
        raise UnsupportedFormatError(f"has the dtype {str(dtype)[:40]}", where=blob.name)
    if not all(type(length) is int and 0 <= length < 1 << 62 for length in shape):
        raise FormatError("has no valid shape", where=blob.name)
    order = shape if fortran else shape[::-1]
    steps = [1]
    for length in order[:-1]:
        steps.append(steps[-1] * length)
    strides = tuple(steps if fortran else reversed(steps))[: len(shape)]
    values = WindowBlob(blob, head.tell(), blob.size - head.tell(), name=blob.name)
    storage = Storage(key=name, dtype=kind, size=values.size // dtype.itemsize)
    return StridedTensor(storage=storage, dtype=kind, offset=0, shape=tuple(shape), strides=strides), values
