"""Weights of versions where they still lie: opened read-only by the lake's readers, for the inference to confirm by."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from cypher.store import Store
from graph_schema.errors import FormatError
from graph_schema.fingerprint import TensorFingerprint
from graph_schema.labels import VersionKind
from ingest.fingerprint.values import decode
from ingest.model_source import ModelSource, WeightSet
from ingest.readers import open_tensors


class StoredWeights:
    """The weights of the versions in a store whose models are in a lake at hand.

    Attributes
    ----------
    versions : frozenset of str
        Ids of the versions whose weights can be read.

    Notes
    -----
    Models are found by discovery, as they are for ingestion: no path out of the store is followed. A tensor counts only
    if its content is, to the bit, what was fingerprinted.
    """

    def __init__(self, weights: dict[str, WeightSet]) -> None:
        self._weights = weights
        self.versions = frozenset(weights)

    @classmethod
    def of(cls, store: Store, sources: Iterable[ModelSource]) -> StoredWeights:
        """Match the models of a lake with the versions that the store has of them."""
        found: dict[str, WeightSet] = {}
        for source in sources:
            full = [item for item in source.weights if item.adapter_config is None]
            rows = store.query("versions_of_model", model=source.id)
            versions = [str(row["version"]) for row in rows if row["kind"] == VersionKind.FULL]
            if len(full) == 1 and len(versions) == 1:
                found[versions[0]] = full[0]
        return cls(found)

    def has(self, version: str) -> bool:
        """Whether the weights of a version can be read."""
        return version in self._weights

    def matrix(self, version: str, tensor: TensorFingerprint) -> NDArray[np.floating]:
        """All values of one tensor, as a matrix of its first axis by all the others.

        Raises
        ------
        FormatError
            If the file has no such tensor, or its content is another than when it was ingested.
        """
        weights = self._weights[version]
        with ExitStack() as stack:
            opened = stack.enter_context(open_tensors(weights.files))
            info = next((item for item in opened.tensors if item.name == tensor.name), None)
            where = f"{opened.location}, tensor {tensor.name}"
            if info is None or tuple(info.shape) != tensor.shape:
                raise FormatError("is not what was ingested", where=where, remedy="ingest the model again")
            stored = np.ascontiguousarray(opened.read(info, 0, info.size))
            if blake3(stored.view(np.uint8).data).hexdigest() != tensor.content:
                raise FormatError("has changed since it was ingested", where=where, remedy="ingest the model again")
        return decode(info.dtype, stored).reshape(tensor.matrix_shape)
