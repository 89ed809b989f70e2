"""The fingerprint's file: whole or not at all, the same to the byte, and never believed when damaged."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.errors import FingerprintError, PathNotFoundError, ResourceError
from graph_schema.fingerprint import Fingerprint
from ingest.fingerprint import BlockPlan, read_fingerprint, take_fingerprint, write_fingerprint
from ingest.fingerprint.file import from_bytes, to_bytes
from ingest.fingerprint.values import decode, encode
from ingest.tensors import STORAGE, TensorInfo


class Tensors:
    format = location = "memory"

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.values = {f"layers.{i}.{dtype}": (dtype, self.draw(generator, dtype)) for i, dtype in enumerate(STORAGE)}
        self.tensors = [TensorInfo(name=n, dtype=d, shape=(40, 300)) for n, (d, _) in sorted(self.values.items())]

    @staticmethod
    def draw(generator: np.random.Generator, dtype: str) -> np.ndarray:
        width = STORAGE[dtype].itemsize
        noise = generator.integers(0, 256, 40 * 300 * width, np.uint8)
        return (noise & 1 if dtype == "BOOL" else noise).view(STORAGE[dtype])

    def read(self, tensor: TensorInfo, start: int, stop: int) -> np.ndarray:
        return self.values[tensor.name][1][start:stop]

    def close(self) -> None: ...

    def __enter__(self) -> Tensors:
        return self

    def __exit__(self, *exception: object) -> None: ...


@pytest.fixture(scope="module")
def taken() -> Fingerprint:
    return take_fingerprint(Tensors(), plan=BlockPlan(budget=80_000), kind="adapter", scale=0.5)


@pytest.fixture(scope="module")
def content(taken: Fingerprint) -> bytes:
    return to_bytes(taken)


def test_what_is_written_is_read(tmp_path: Path, taken: Fingerprint) -> None:
    path = tmp_path / "a.fingerprint"
    write_fingerprint(path, taken)
    found = read_fingerprint(path)
    assert (found.version, found.kind, found.scale, found.architecture) == (taken.version, "adapter", 0.5, "")
    for old, new in zip(taken.tensors, found.tensors, strict=True):
        for field in dataclasses.fields(old):
            left, right = getattr(old, field.name), getattr(new, field.name)
            if isinstance(left, np.ndarray):
                assert left.dtype == right.dtype
                np.testing.assert_array_equal(left, right)
            else:
                assert left == right, field.name
    assert to_bytes(found) == path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_samples_can_be_left_out(taken: Fingerprint, content: bytes) -> None:
    short = to_bytes(taken, samples=False)
    found = from_bytes(short)
    assert len(short) < len(content)
    assert all(not tensor.block.size and not tensor.rows.size for tensor in found.tensors)
    assert [t.content for t in found.tensors] == [t.content for t in taken.tensors]


def test_any_reader_of_safetensors_opens_it(content: bytes, tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "a.fingerprint"
    path.write_bytes(content)
    with safe_open(path, "numpy") as file:
        assert file.get_tensor("statistics").shape == (len(STORAGE), 8)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_is_an_error_and_never_a_wrong_fingerprint(content: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = from_bytes(bytes(flipped))
    except FingerprintError as error:
        message = str(error)
    else:
        # Only blanks that say nothing can change unseen.
        message = ""
        assert to_bytes(found) == content
    assert "\n" not in message


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_file_cut_short_is_an_error(content: bytes, data: st.DataObject) -> None:
    with pytest.raises(FingerprintError):
        from_bytes(content[: data.draw(st.integers(0, len(content) - 1))])


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_an_error(noise: bytes) -> None:
    with pytest.raises(FingerprintError):
        from_bytes(noise)


@pytest.mark.parametrize(("number", "word"), [(99, "newer version"), (1, "older version")])
def test_another_format_says_so(content: bytes, number: int, word: str) -> None:
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header["__metadata__"]["modellake.fingerprint"])
    header["__metadata__"]["modellake.fingerprint"] = json.dumps(description | {"format": number})
    text = json.dumps(header).encode()
    with pytest.raises(FingerprintError, match=word) as error:
        from_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :], where="a.fingerprint")
    assert str(error.value).startswith("a.fingerprint: ")


def test_a_missing_file_and_a_missing_folder(tmp_path: Path, taken: Fingerprint) -> None:
    with pytest.raises(PathNotFoundError):
        read_fingerprint(tmp_path / "none")
    with pytest.raises(ResourceError):
        write_fingerprint(tmp_path / "none" / "a.fingerprint", taken)


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F8_E4M3", "F8_E5M2"])
def test_small_floats_survive_decoding_and_encoding(dtype: str) -> None:
    width = STORAGE[dtype].itemsize
    codes = np.arange(1 << (8 * width), dtype=np.uint32).astype(f"u{width}").view(STORAGE[dtype])
    values = decode(dtype, codes)
    again = decode(dtype, encode(dtype, values))
    np.testing.assert_array_equal(values, again)
    np.testing.assert_array_equal(np.signbit(values[~np.isnan(values)]), np.signbit(again[~np.isnan(values)]))
