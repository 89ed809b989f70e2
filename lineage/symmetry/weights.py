"""Weights on demand: what a fingerprint only samples is read again, for suspects alone, a tensor at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import TensorFingerprint
from lineage.symmetry.matching import UnitMap
from lineage.symmetry.units import Array


class WeightSource(Protocol):
    """The weights of versions, where they are still at hand."""

    def has(self, version: str) -> bool:
        """Whether the weights of a version can be read."""
        ...

    def matrix(self, version: str, tensor: TensorFingerprint) -> NDArray[np.floating]:
        """All values of a tensor, as a matrix of its first axis by all the others.

        Raises
        ------
        graph_schema.errors.ModelLakeError
            If they cannot be read, or are not those that were fingerprinted.
        """
        ...


class StoredMatrices(Mapping[str, Array]):
    """The tensors of a version by role: those that its fingerprint holds whole, and the others from their files.

    What comes from a file is not kept, so that one tensor is in memory at a time.
    """

    def __init__(
        self,
        whole: Mapping[str, Array],
        stored: Mapping[str, TensorFingerprint],
        weights: WeightSource,
        version: str,
        maps: Sequence[UnitMap] = (),
    ) -> None:
        self._whole, self._stored, self._weights, self._version = whole, stored, weights, version
        self._maps = tuple(maps)

    def __getitem__(self, role: str) -> Array:
        matrix = self._whole.get(role)
        if matrix is None:
            tensor = self._stored[role]
            values = self._weights.matrix(self._version, tensor).reshape(tensor.matrix_shape)
            # Single precision halves the memory, and the values have no more.
            matrix = np.nan_to_num(np.asarray(values, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        for item in self._maps:
            if role in item.roles:
                matrix = item.mapped(role, matrix)
        return matrix

    def __iter__(self) -> Iterator[str]:
        yield from self._whole
        yield from self._stored

    def __len__(self) -> int:
        return len(self._whole) + len(self._stored)

    def after(self, maps: Sequence[UnitMap]) -> StoredMatrices:
        """The same tensors, mapped once they are read."""
        return StoredMatrices(self._whole, self._stored, self._weights, self._version, (*self._maps, *maps))
