"""Experts of a layer as one tensor, where a model has so many that a record of each would fill the fingerprint.

A mixture of 256 experts in 61 layers has 46,000 matrices. Above `MANY_TENSORS` tensors, the experts of one layer that
share dtype and shape are read as a stack: one tensor with the experts as its first axis, which is how other containers
store them. Below, each keeps its record, so that an expert copied from a dense model is found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ingest.tensors import TensorInfo, TensorSource

MANY_TENSORS = 4096
_EXPERT = re.compile(r"(?P<before>(?:.*\.)?experts)\.(?P<number>\d+)\.(?P<after>.+)")


class StackedSource:
    """A source whose numbered experts are joined; implements `ingest.tensors.TensorSource`.

    Parameters
    ----------
    source : TensorSource
        Closed with this one.
    roles : mapping of str to str
        Role by name, of all tensors that are offered.

    Attributes
    ----------
    roles : dict of str to str
        Role by name, with the stacks; a stack has the name of its first expert.
    """

    def __init__(self, source: TensorSource, roles: Mapping[str, str]) -> None:
        self._source = source
        self.format, self.location, self.model_type = source.format, source.location, source.model_type
        groups: dict[tuple[object, ...], dict[int, TensorInfo]] = {}
        for tensor in source.tensors:
            match = _EXPERT.fullmatch(roles.get(tensor.name, ""))
            if match:
                key = (f"{match['before']}.{match['after']}", tensor.dtype, tensor.shape)
                groups.setdefault(key, {})[int(match["number"])] = tensor
        taken = set(roles.values())
        self._parts: dict[str, list[TensorInfo]] = {}
        stacked: dict[str, str] = {}
        inside: set[str] = set()
        for (role, _, _), experts in groups.items():
            # A stack has every expert of the layer, alike: a gap, or a role in use, leaves them apart.
            if len(experts) > 1 and sorted(experts) == list(range(len(experts))) and role not in taken:
                parts = [experts[number] for number in range(len(experts))]
                self._parts[parts[0].name] = parts
                stacked[parts[0].name] = str(role)
                inside.update(part.name for part in parts)
                taken.add(str(role))
        self.roles = {name: role for name, role in roles.items() if name not in inside} | stacked
        self._tensors = tuple(
            self._offered(tensor) for tensor in source.tensors if tensor.name not in inside or tensor.name in stacked
        )

    def _offered(self, tensor: TensorInfo) -> TensorInfo:
        parts = self._parts.get(tensor.name)
        if parts is None:
            return tensor
        return TensorInfo(name=tensor.name, dtype=tensor.dtype, shape=(len(parts), *tensor.shape))

    @property
    def tensors(self) -> Sequence[TensorInfo]:
        """All tensors, stacks among them, sorted by name."""
        return self._tensors

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        """Values `start` to `stop` in row-major order, of a stack across its experts."""
        parts = self._parts.get(tensor.name)
        if parts is None:
            return self._source.read(tensor, start, stop)
        size = parts[0].size
        pieces = []
        for number in range(start // size, -(-stop // size)):
            begin, end = max(start - number * size, 0), min(stop - number * size, size)
            pieces.append(self._source.read(parts[number], begin, end))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def close(self) -> None:
        """Close the source beneath."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
