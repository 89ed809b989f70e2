"""The state dict within a checkpoint: unwrapped from a trainer's file, nested names joined by dots."""

from __future__ import annotations

from collections.abc import Iterator

from graph_schema.errors import FormatError, UnsafeFileError
from ingest.readers.pickle_machine import StridedTensor

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params", "ema")
_SIDE = frozenset(
    ("optimizer", "optimizer_state_dict", "optimizer_states", "lr_scheduler", "lr_schedulers", "scheduler")
)
_VISITS_LIMIT = 2_000_000
_DEPTH_LIMIT = 16


def find_tensors(root: object, *, where: str) -> dict[str, StridedTensor]:
    """The tensors of a checkpoint by name: its state dict, unwrapped from a trainer's file where there is one.

    Raises
    ------
    FormatError
        If there is none.
    UnsafeFileError
        If objects refer to each other so often that the walk would not end.
    """
    while isinstance(root, dict) and not any(isinstance(value, StridedTensor) for value in root.values()):
        inner = next((root[key] for key in _WRAPPERS if isinstance(root.get(key), dict) and root[key]), None)
        if inner is None or inner is root:
            break
        root = inner
    tensors: dict[str, StridedTensor] = {}
    for visits, (name, value) in enumerate(_walk(root, "", 0)):
        if visits > _VISITS_LIMIT:
            raise UnsafeFileError("objects refer to each other too often", where=where)
        if isinstance(value, StridedTensor):
            tensors[name or "tensor"] = value
    if not tensors:
        raise FormatError("holds no tensors", where=where)
    return tensors


def _walk(value: object, name: str, depth: int) -> Iterator[tuple[str, object]]:
    yield name, value
    if depth >= _DEPTH_LIMIT:
        return
    items: list[tuple[object, object]] = []
    if isinstance(value, dict):
        items = [(key, item) for key, item in value.items() if key not in _SIDE]
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    for key, item in items:
        if isinstance(item, (dict, list, tuple, StridedTensor)):
            yield from _walk(item, f"{name}.{key}" if name else str(key), depth + 1)
