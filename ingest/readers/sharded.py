"""Several files that hold one set of weights: an index that says which tensor lies where, or numbered shards."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Self

import numpy as np
from numpy.typing import NDArray

from graph_schema.errors import FormatError, UnsafeFileError
from ingest.stored_file import StoredFile
from ingest.tensors import TensorInfo, TensorSource

INDEX_LIMIT = 64 << 20
_INDEX = re.compile(r"(?P<stem>.+?)(?P<suffix>\.[A-Za-z0-9]+)?\.index(?P<variant>\.[\w-]+)?\.json")
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.[A-Za-z0-9.]+)")


class JoinedSource:
    """Several sources as one; implements `ingest.tensors.TensorSource`.

    Raises
    ------
    FormatError
        If two of them hold a tensor of the same name.
    """

    def __init__(self, sources: Sequence[TensorSource], *, location: str) -> None:
        self._sources = tuple(sources)
        self.format, self.model_type = self._sources[0].format, self._sources[0].model_type
        self.location = location
        self._home: dict[str, TensorSource] = {}
        infos: list[TensorInfo] = []
        for source in self._sources:
            for info in source.tensors:
                if info.name in self._home:
                    raise FormatError(
                        f"tensor {info.name[:120]!r} lies in two shards", where=f"{location}: {source.location}"
                    )
                self._home[info.name] = source
                infos.append(info)
        self.tensors: Sequence[TensorInfo] = tuple(sorted(infos, key=lambda info: info.name))

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        """Values `start` to `stop` of a tensor, in row-major order."""
        return self._home[tensor.name].read(tensor, start, stop)

    def close(self) -> None:
        """Close all files."""
        with ExitStack() as stack:
            for source in self._sources:
                stack.callback(source.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read_index(index: StoredFile) -> Mapping[str, str]:
    """The `weight_map` of an index: tensor name to file name.

    Raises
    ------
    FormatError
        If it is no JSON object of that form.
    UnsafeFileError
        If it is absurdly large, or names a file outside its own directory.
    """
    text, cut = index.read_text(INDEX_LIMIT)
    if cut:
        raise UnsafeFileError(f"index is larger than {INDEX_LIMIT} bytes", where=index.name)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError("index is no valid JSON", where=index.name, remedy="fetch it again") from error
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise FormatError("index has no weight_map", where=index.name)
    for shard in set(map(str, weight_map.values())):
        if not is_plain_name(shard):
            raise UnsafeFileError(f"weight_map names {shard[:120]!r}, outside its own directory", where=index.name)
    return {str(name): str(shard) for name, shard in weight_map.items()}


def index_family(name: str) -> str | None:
    """The family of the shards that an index lists, as in `shard_key`; None for any other name.

    Examples
    --------
    >>> index_family("model.safetensors.index.json"), index_family("config.json")
    ('model.safetensors', None)
    >>> index_family("diffusion_pytorch_model.safetensors.index.fp16.json")
    'diffusion_pytorch_model.fp16.safetensors'
    """
    match = _INDEX.fullmatch(name)
    return None if match is None else match["stem"] + (match["variant"] or "") + (match["suffix"] or "")


def is_plain_name(name: str) -> bool:
    """Whether a name stands for a file in the same directory and nothing else.

    Examples
    --------
    >>> is_plain_name("model-00001-of-00002.safetensors"), is_plain_name("../secret"), is_plain_name("C:evil")
    (True, False, False)
    """
    return bool(name) and name not in {".", ".."} and not set(name) & set("/\\:\0")


def shard_key(name: str) -> tuple[str, int, int] | None:
    """Family, number and count of a numbered shard; None for any other name.

    Examples
    --------
    >>> shard_key("model-00002-of-00003.safetensors")
    ('model.safetensors', 2, 3)
    """
    match = _SHARD.fullmatch(name)
    if match is None:
        return None
    return match["stem"] + match["suffix"], int(match["number"]), int(match["count"])


def check_against_index(source: TensorSource, weight_map: Mapping[str, str], where: str) -> None:
    """Raise FormatError where the index names a tensor that no shard holds."""
    held = {info.name for info in source.tensors}
    missing = sorted(set(weight_map) - held)
    if missing:
        raise FormatError(
            f"{len(missing)} tensors of the index are in no shard, {missing[0][:120]!r} first",
            where=where,
            remedy="fetch the shards again",
        )
