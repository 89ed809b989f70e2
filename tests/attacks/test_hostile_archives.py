"""Zip files that hide a pickle from a scanner or swell, offsets that lie, and indexes that point elsewhere."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from graph_schema.errors import FormatError, ModelLakeError, UnsafeFileError
from ingest.blobs import MemoryBlob
from ingest.discovery import discover
from ingest.model_source import ModelSource, Rejected
from ingest.readers import open_tensors
from ingest.readers.gguf_file import GgufSource
from ingest.readers.pickle_machine import PickleMachine
from ingest.readers.safetensors import SafetensorsSource
from ingest.zip_members import zip_directory

TRIPWIRE = "MODELLAKE_TRIPWIRE"


class Runs:
    """Pickles to a call that would show."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (f"import os; os.environ[{TRIPWIRE!r}] = '1'",)


CALL = pickle.dumps(Runs(), protocol=2)


def read_all(folder: Path) -> list[object]:
    """Everything that discovery finds, read; the problems it names."""
    problems: list[object] = []
    for item in discover([folder]):
        if isinstance(item, Rejected):
            problems.append(item.error)
            continue
        for weights in item.weights:
            try:
                with open_tensors(weights.files) as opened:
                    for info in opened.tensors:
                        opened.read(info, 0, info.size)
            except ModelLakeError as error:
                problems.append(error)
    return problems


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


MEMO_TRICKS = {
    "names from the memo": b"\x80\x04"
    + text("exec")
    + b"\x94"
    + text("builtins")
    + b"\x94h\x01h\x00\x93"
    + text("1")
    + b"\x85R.",
    "names from a tuple in the memo": b"\x80\x04" + text("os") + text("system") + b"\x86\x940h\x00\x93.",
    "a name overwritten in the memo": b"\x80\x04"
    + text("torch")
    + b"q\x00"
    + text("os")
    + b"q\x00h\x00"
    + text("system")
    + b"\x93.",
    "a dotted walk": b"\x80\x04" + text("torch") + text("os.system") + b"\x93.",
    "__import__ through getattr": b"\x80\x04"
    + text("builtins")
    + text("getattr")
    + b"\x93"
    + text("x")
    + text("__import__")
    + b"\x86R.",
    "__import__": b"\x80\x04" + text("builtins") + text("__import__") + b"\x93" + text("os") + b"\x85R.",
    "an allowed name from elsewhere": b"\x80\x04" + text("collections.abc") + text("OrderedDict") + b"\x93.",
    "loads of a nested pickle": b"\x80\x04"
    + text("pickle")
    + text("loads")
    + b"\x93C"
    + bytes([len(CALL)])
    + CALL
    + b"\x85R.",
    "an attribute set by build": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x04\x00\x00\x00codeNsb.",
    "marshal": b"\x80\x04" + text("marshal") + text("loads") + b"\x93.",
    "ctypes": b"\x80\x04" + text("ctypes") + text("CDLL") + b"\x93.",
    "a name that is no text": b"\x80\x04" + text("os") + b"K\x01\x93.",
}


@pytest.mark.parametrize("content", MEMO_TRICKS.values(), ids=MEMO_TRICKS.keys())
def test_no_trick_with_names_gets_a_call_through(content: bytes) -> None:
    with pytest.raises(FormatError):
        PickleMachine(content, where="file").load()
    assert TRIPWIRE not in os.environ


def test_a_pickle_within_a_pickle_stays_bytes() -> None:
    assert PickleMachine(pickle.dumps({"inner": CALL}), where="file").load() == {"inner": CALL}


def checkpoint(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "names",
    [("data.pkl",), ("evil/data.pkl",), ("archive/DATA.PKL",), ("archive/data.pkl.bak",), ("a/data.pkl", "b/data.pkl")],
)
@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.zip", "model.ckpt", "model.safetensors", "x.7z"])
def test_a_pickle_under_another_name_does_not_run(tmp_path: Path, names: tuple[str, ...], file: str) -> None:
    (tmp_path / file).write_bytes(checkpoint(dict.fromkeys(names, CALL)))
    (tmp_path / "other.safetensors").write_bytes(save({"w": np.zeros(2, np.float32)}))
    read_all(tmp_path)
    assert TRIPWIRE not in os.environ


# Scanners trip over these while a lenient loader goes on: (place behind the record's signature, new bytes).
BROKEN = {
    "checksum": [(b"PK\x01\x02", 16, b"\0\0\0\0"), (b"PK\x03\x04", 14, b"\0\0\0\0")],
    "encrypted flag": [(b"PK\x01\x02", 8, b"\x01\0")],
    "encrypted flag in one place": [(b"PK\x03\x04", 6, b"\x01\0")],
    "unknown method": [(b"PK\x01\x02", 10, b"\x63\0")],
    "sizes that differ": [(b"PK\x01\x02", 24, b"\xff\xff\0\0")],
    "name that differs": [(b"PK\x03\x04", 30, b"x")],
    "a disk that is not there": [(b"PK\x01\x02", 34, b"\x07\0")],
    "version of the future": [(b"PK\x01\x02", 6, b"\xff\0")],
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_file_broken_to_evade_scanners_still_runs_nothing(tmp_path: Path, changes, method: int) -> None:
    content = bytearray(checkpoint({"archive/data.pkl": CALL}, method))
    for signature, place, value in changes:
        start = content.find(signature) + place
        content[start : start + len(value)] = value
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    assert read_all(tmp_path)
    assert TRIPWIRE not in os.environ


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    content = checkpoint({"a.npy": bytes(5000), "b.npy": bytes(100)})
    second = content.rfind(b"PK\x01\x02")
    overlapping = bytearray(content)
    struct.pack_into("<I", overlapping, second + 42, 0)
    with pytest.raises(UnsafeFileError, match="overlap"):
        zip_directory(MemoryBlob(bytes(overlapping), name="file"))
    assert set(zip_directory(MemoryBlob(content, name="file"))) == {"a.npy", "b.npy"}


def test_bombs_within_archives_end(tmp_path: Path) -> None:
    inner = checkpoint({f"{number}.bin": bytes(1 << 20) for number in range(16)}, zipfile.ZIP_DEFLATED)
    for _ in range(6):
        inner = checkpoint({f"{number}.zip": inner for number in range(4)}, zipfile.ZIP_DEFLATED)
    (tmp_path / "bomb.zip").write_bytes(inner)
    (tmp_path / "model.safetensors").write_bytes(save({"w": np.zeros(2, np.float32)}))
    assert any(isinstance(problem, UnsafeFileError) for problem in read_all(tmp_path))


def safetensors(header: object, data: bytes = bytes(8)) -> MemoryBlob:
    encoded = json.dumps(header).encode()
    return MemoryBlob(struct.pack("<Q", len(encoded)) + encoded + data, name="file")


@pytest.mark.parametrize(
    "offsets",
    [[0, 1 << 63], [-8, 0], [1 << 62, (1 << 62) + 8], [8, 0], [4, 12], [0, 8.0], ["0", "8"], [0, True], [0, 8, 8]],
    ids=str,
)
def test_offsets_that_lie_are_refused(offsets: list[object]) -> None:
    with pytest.raises(FormatError):
        SafetensorsSource(safetensors({"w": {"dtype": "F32", "shape": [2], "data_offsets": offsets}}))


@pytest.mark.parametrize(
    "shape",
    [[1 << 62, 4], [-1, -2], [1 << 64], [2.0], [0, 1 << 62, 1 << 62], [True, 2], [1] * 10_000],
    ids=lambda s: str(s)[:20],
)
def test_shapes_that_lie_are_refused_or_empty(shape: list[object]) -> None:
    try:
        source = SafetensorsSource(safetensors({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}, b""))
    except FormatError:
        return
    assert source.tensors[0].size == 0


def test_overlapping_tensors_are_refused() -> None:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    with pytest.raises(FormatError, match="overlaps"):
        SafetensorsSource(safetensors({"a": entry, "b": entry}))


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "a/../../x", "..", "C:\\x", "x\0y", "\\\\host\\x", ""]
)
def test_an_index_cannot_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    (tmp_path / "secret.safetensors").write_bytes(save({"w": np.zeros(2, np.float32)}))
    (lake / "model.safetensors").write_bytes(save({"v": np.zeros(2, np.float32)}))
    (lake / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    found = [item for item in discover([lake]) if isinstance(item, ModelSource)]
    names = {file.name for item in found for weights in item.weights for file in weights.files}
    assert not any("secret" in item or "passwd" in item for item in names)
    assert read_all(lake)


def gguf(tensors: int, fields: int, rest: bytes = b"") -> MemoryBlob:
    return MemoryBlob(b"GGUF" + struct.pack("<IQQ", 3, tensors, fields) + rest, name="file")


def gguf_key(name: str, kind: int) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind)


@pytest.mark.parametrize(
    "blob",
    [
        gguf(1 << 63, 0),
        gguf(0, 1 << 63),
        gguf((1 << 64) - 1, (1 << 64) - 1),
        gguf(0, 1, gguf_key("a", 9) + struct.pack("<IQ", 4, 1 << 60)),
        gguf(0, 1, gguf_key("a", 8) + struct.pack("<Q", 1 << 60)),
        gguf(0, 1, struct.pack("<Q", 1 << 60)),
        gguf(0, 1, gguf_key("a", 9) + struct.pack("<IQ", 9, 1) * 5000),
        gguf(0, 1, gguf_key("a", 9) + struct.pack("<IQ", 9, 1 << 20) + bytes(64)),
        gguf(0, 1, gguf_key("a", 99)),
        gguf(1, 0, struct.pack("<Q", 1) + b"w" + struct.pack("<I", 1 << 31)),
        gguf(1, 0, struct.pack("<Q", 1) + b"w" + struct.pack("<IQQQQIQ", 4, *[1 << 32] * 4, 0, 0)),
    ],
    ids=lambda blob: f"{blob.size} bytes",
)
def test_gguf_counts_that_lie_are_refused(blob: MemoryBlob) -> None:
    with pytest.raises(FormatError):
        GgufSource(blob)
