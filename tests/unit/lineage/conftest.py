"""Fingerprints of small networks made of arrays, by the same code that reads files."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from ingest.fingerprint import take_fingerprint
from ingest.tensors import STORAGE, TensorInfo

Weights = Mapping[str, NDArray[np.float32]]


class ArraySource:
    """Tensors in memory, as a source."""

    format = "array"
    model_type = ""
    location = "memory"

    def __init__(self, weights: Weights, dtype: str = "F32") -> None:
        self._weights = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in weights.items()}
        self._dtype = dtype

    @property
    def tensors(self) -> Sequence[TensorInfo]:
        return [
            TensorInfo(name=name, dtype=self._dtype, shape=values.shape)
            for name, values in sorted(self._weights.items())
        ]

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        values = self._weights[tensor.name].reshape(-1)[start:stop]
        if self._dtype == "BF16":
            return (values.view(np.uint32) >> 16).astype(STORAGE["BF16"])
        return values.astype(STORAGE[self._dtype])

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


@pytest.fixture(scope="session")
def taken() -> Callable[..., Fingerprint]:
    def take(weights: Weights, dtype: str = "F32") -> Fingerprint:
        """In BF16, of values that are on its grid."""
        return take_fingerprint(ArraySource(weights, dtype), workers=1)

    return take
