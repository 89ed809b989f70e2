"""The safetensors reader: what is stored comes back to the bit, and a header that lies is an error."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from graph_schema.errors import FormatError, UnsafeFileError, UnsupportedFormatError
from ingest.blobs import MemoryBlob
from ingest.discovery import discover
from ingest.readers import open_tensors
from ingest.readers.safetensors import SafetensorsSource

DTYPES = ["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "i1", "u1", "<u2", "<u4"]


def open_bytes(content: bytes) -> SafetensorsSource:
    return SafetensorsSource(MemoryBlob(content, name="test.safetensors"))


def forged(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__" and name.isprintable()),
        st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0))),
        max_size=4,
    ),
    st.data(),
)
def test_what_is_stored_comes_back_to_the_bit(tensors: dict[str, np.ndarray], data: st.DataObject) -> None:
    with open_bytes(save(tensors)) as source:
        assert [info.name for info in source.tensors] == sorted(tensors)
        for info in source.tensors:
            values = tensors[info.name]
            assert info.shape == values.shape
            stop = data.draw(st.integers(0, values.size))
            start = data.draw(st.integers(0, stop))
            assert source.read(info, start, stop).tobytes() == values.ravel()[start:stop].tobytes()


@given(st.integers(0, 200))
def test_a_file_cut_anywhere_is_an_error(cut: int) -> None:
    whole = save({"a": np.arange(12, dtype=np.float32), "b": np.zeros((2, 2), np.int64)})
    if cut < len(whole):
        with pytest.raises(FormatError):
            open_bytes(whole[:cut])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "too few"),
        (forged({}, length=1 << 62), "longer than the file"),
        (forged(b"{not json}"), "no valid JSON"),
        (forged(b"[" * 200_000), "no valid JSON"),
        (forged(b"[]"), "no JSON object"),
        (forged(b'{"a":1,"a":2}'), "occurs twice"),
        (forged({"a": 1}), "lacks dtype"),
        (forged({"a": entry("F32", [1], 0, 8)}, bytes(8)), "said to fill 8 bytes"),
        (forged({"a": entry("F32", [-1], 0, 4)}, bytes(4)), "no valid shape"),
        (forged({"a": entry("F32", [True], 0, 4)}, bytes(4)), "no valid shape"),
        (forged({"a": entry("F32", [1 << 40, 1 << 40], 0, 4)}, bytes(4)), "said to fill"),
        (forged({"a": entry("F32", [1], 4, 0)}, bytes(4)), "no valid data_offsets"),
        (forged({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 2, 6)}, bytes(6)), "overlaps"),
        (forged({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 8, 12)}, bytes(12)), "hole"),
        (forged({"a": entry("F32", [4], 0, 16)}, bytes(8)), "8 bytes short"),
        (forged({"a": entry("F32", [1], 0, 4)}, bytes(9)), "stray"),
        (forged({"__metadata__": {"a": 1}}), "__metadata__"),
    ],
)
def test_a_header_that_lies_is_an_error(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        open_bytes(content)


def test_an_absurd_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", 1 << 33) + b"{")
        stream.truncate((1 << 33) + 8)
    (source,) = discover([file])
    with pytest.raises(UnsafeFileError, match="exceeds the limit"):
        open_tensors(source.weights[0].files)


def test_an_unknown_dtype_is_named() -> None:
    with pytest.raises(UnsupportedFormatError, match="C64"):
        open_bytes(forged({"a": entry("C64", [1], 0, 8)}, bytes(8)))


def test_bfloat16_keeps_its_bits() -> None:
    bits = np.array([0x3F80, 0xC000], dtype="<u2")
    source = open_bytes(forged({"a": entry("BF16", [2], 0, 4)}, bits.tobytes()))
    assert source.read(source.tensors[0], 0, 2).tolist() == bits.tolist()


def test_a_file_cut_while_it_is_read_is_an_error_and_no_crash(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(save({"a": np.zeros(100_000, np.float32)}))
    (model,) = discover([file])
    with open_tensors(model.weights[0].files) as source:
        with file.open("rb+") as stream:
            stream.truncate(1000)
        with pytest.raises(FormatError, match="early"):
            source.read(source.tensors[0], 0, 100_000)


def shards(folder: Path, weight_map: dict[str, str]) -> list:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (model,) = discover([folder])
    return model.weights[0].files


def test_shards_read_as_one(tmp_path: Path) -> None:
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    for seed, (tensor, file) in enumerate(names.items()):
        (tmp_path / file).write_bytes(save({tensor: np.full(3, seed, np.float32)}))
    with open_tensors(shards(tmp_path, names)) as source:
        assert [source.read(info, 0, 3).tolist() for info in source.tensors] == [[0, 0, 0], [1, 1, 1]]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / names["a"]).write_bytes(save({"a": np.zeros(1)}))
    with pytest.raises(FormatError, match=r"model-00002-of-00002\.safetensors.*missing"):
        open_tensors(shards(tmp_path, names))


def test_numbered_shards_without_an_index_must_be_complete(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(save({"a": np.zeros(1)}))
    (model,) = discover([tmp_path])
    with pytest.raises(FormatError, match="shard 2 of 2"):
        open_tensors(model.weights[0].files)


def test_a_tensor_in_two_shards_is_an_error(tmp_path: Path) -> None:
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    for file in names.values():
        (tmp_path / file).write_bytes(save({"a": np.zeros(1), "b": np.zeros(1)}))
    with pytest.raises(FormatError, match="two shards"):
        open_tensors(shards(tmp_path, names))


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "C:\\x", ""])
def test_an_index_cannot_name_files_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.safetensors").write_bytes(save({"a": np.zeros(1)}))
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model-00001-of-00001.safetensors").write_bytes(save({"b": np.zeros(1)}))
    with pytest.raises(UnsafeFileError, match="outside its own directory"):
        open_tensors(shards(folder, {"a": name}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"hello world, no weights here", "known formats"),
    ],
)
def test_what_is_no_weights_is_said_plainly(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    (model,) = discover([tmp_path / "m.safetensors"])
    with pytest.raises(FormatError) as caught:
        open_tensors(model.weights[0].files)
    assert message in str(caught.value)
