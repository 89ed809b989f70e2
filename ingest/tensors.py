"""The seam between file formats and everything that looks at weights: a source of tensors, read lazily.

Every reader offers its tensors as a `TensorSource`: names, dtypes and shapes at once, values on demand and in slices,
so that nothing ever needs a whole model in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

STORAGE: dict[str, np.dtype[np.generic]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "F8_E4M3": np.dtype("u1"),
    "F8_E5M2": np.dtype("u1"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("u1"),
}
"""How the values of each dtype (in the names of safetensors) are stored; those that NumPy lacks, as their bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """Name, dtype (a key of `STORAGE`) and shape of one tensor."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of the values, in bytes."""
        return self.size * STORAGE[self.dtype].itemsize


class TensorSource(Protocol):
    """The tensors of one set of weights, wherever they lie.

    Reading is thread-safe. A source is a context manager and closes its files on leaving.
    """

    @property
    def format(self) -> str:
        """Short name of the container, such as `safetensors`."""
        ...

    @property
    def model_type(self) -> str:
        """What the container itself calls the architecture, as `config.json` would; empty where it says nothing."""
        ...

    @property
    def location(self) -> str:
        """File or directory, for messages."""
        ...

    @property
    def tensors(self) -> Sequence[TensorInfo]:
        """All tensors, sorted by name; names are unique."""
        ...

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        """Values `start` to `stop` (counted in row-major order) as a flat array of the storage dtype.

        Raises
        ------
        graph_schema.errors.FormatError
            If the file ends early or its content is not what the header promised.
        """
        ...

    def close(self) -> None:
        """Close the files; closing twice does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...
