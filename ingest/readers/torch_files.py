"""PyTorch checkpoints, the zip format of today and the legacy one, read without unpickling (torch.serialization)."""

from __future__ import annotations

from zipfile import ZipInfo

from graph_schema.errors import FormatError, UnsafeFileError, UnsupportedFormatError
from ingest.blobs import Blob, WindowBlob, read_bytes
from ingest.readers.pickle_machine import PICKLE_LIMIT, PickleMachine, Storage
from ingest.readers.state_dict import find_tensors
from ingest.readers.strided import StridedSource
from ingest.tensors import STORAGE
from ingest.zip_members import open_zip_member, zip_directory

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def is_checkpoint(names: frozenset[str]) -> bool:
    """Whether a zip file with these members is a PyTorch checkpoint."""
    return any(name.endswith("/data.pkl") and name.count("/") == 1 for name in names)


def is_pickle(head: bytes) -> bool:
    """Whether a file begins like a pickle of protocol 2 to 5."""
    return len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def open_torch_zip(blob: Blob) -> StridedSource:
    """A checkpoint written by torch 1.6 or later.

    Raises
    ------
    UnsafeFileError
        If its pickle refers to anything but tensors.
    FormatError
        If it is damaged.
    """
    directory = zip_directory(blob)
    pickle = next(name for name in sorted(directory) if name.endswith("/data.pkl") and name.count("/") == 1)
    prefix = pickle.removesuffix("data.pkl")
    order = directory.get(f"{prefix}byteorder")
    if order is not None and _content(blob, order, 16).strip() == b"big":
        raise UnsupportedFormatError("its values are big-endian", where=blob.name, remedy="save it as safetensors")
    machine = PickleMachine(_content(blob, directory[pickle], PICKLE_LIMIT), where=blob.name)
    tensors = find_tensors(machine.load(), where=blob.name)
    storages: dict[str, Blob] = {}
    for view in tensors.values():
        key = view.storage.key
        item = directory.get(f"{prefix}data/{key}")
        if item is not None and key not in storages:
            storages[key] = open_zip_member(blob, item, name=f"{blob.name}/data/{key}")
    return StridedSource(tensors, storages, owner=blob, format="torch")


def _content(blob: Blob, item: ZipInfo, limit: int) -> bytes:
    member = open_zip_member(blob, item, name=f"{blob.name}/data.pkl")
    if member.size > limit:
        raise UnsafeFileError(f"a pickle of {member.size} bytes exceeds the limit of {limit}", where=blob.name)
    return read_bytes(member, 0, member.size)


def open_torch_legacy(blob: Blob) -> StridedSource:
    """A checkpoint written before torch 1.6: five pickles, then the storages one after the other.

    Raises
    ------
    UnsafeFileError
        If it is a pickle of anything else, or refers to anything but tensors.
    FormatError
        If it is damaged.
    """
    machine = PickleMachine(read_bytes(blob, 0, min(blob.size, PICKLE_LIMIT)), where=blob.name)
    if machine.load() != _MAGIC:
        raise UnsafeFileError("is a pickle, but no PyTorch checkpoint", where=blob.name, remedy="save as safetensors")
    if machine.load() != _PROTOCOL:
        raise UnsupportedFormatError("has an unknown version of the legacy format", where=blob.name)
    machine.load()
    tensors = find_tensors(machine.load(), where=blob.name)
    keys = machine.load()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise FormatError("has no list of storages", where=blob.name)
    return StridedSource(tensors, _storages(blob, keys, machine.storages, machine.position), owner=blob, format="torch")


def _storages(blob: Blob, keys: list[str], known: dict[str, Storage], position: int) -> dict[str, Blob]:
    storages: dict[str, Blob] = {}
    for key in keys:
        count = int.from_bytes(read_bytes(blob, position, 8), "little")
        storage = known.get(key)
        if storage is None:
            raise UnsupportedFormatError("holds a storage that its pickle does not describe", where=blob.name)
        length = count * STORAGE[storage.dtype].itemsize
        storages[key] = WindowBlob(blob, position + 8, length, name=f"{blob.name}: storage {key[:40]}")
        position += 8 + length
    return storages
