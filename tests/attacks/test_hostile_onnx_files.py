"""ONNX models that say their values lie elsewhere, nowhere, or in one place for all: an error of one line."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from graph_schema.errors import FormatError, ModelLakeError, UnsafeFileError
from ingest.discovery import discover
from ingest.model_source import ModelSource, Rejected
from ingest.readers import open_tensors

onnx = pytest.importorskip("onnx")

DATA = bytes(range(256))


def referring(folder: Path, *entries: dict[str, str], shape: tuple[int, ...] = (8,)) -> Path:
    """A model of one tensor for each of the entries, and the file that they refer to."""
    tensors = []
    for number, given in enumerate(entries):
        tensor = onnx.numpy_helper.from_array(np.zeros(1, np.float32), f"w{number}")
        tensor.ClearField("raw_data")
        tensor.ClearField("dims")
        tensor.dims.extend(shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in given.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        tensors.append(tensor)
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], initializer=tensors))
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "model.onnx_data").write_bytes(DATA)
    return folder


def opened(folder: Path) -> dict[str, list[float]]:
    (source,) = (item for item in discover([folder]) if isinstance(item, ModelSource))
    with open_tensors(source.weights[0].files) as tensors:
        return {info.name: tensors.read(info, 0, info.size).tolist() for info in tensors.tensors}


HERE = {"location": "model.onnx_data"}


@pytest.mark.parametrize(
    "entry",
    [
        {"offset": "-4"},
        {"offset": "-4", "length": "32"},
        {"offset": "228"},
        {"offset": "99999999999999999999999"},
        {"offset": "0", "length": "-32"},
        {"length": "33"},
        {"offset": "0x10"},
        {"offset": "1\n2"},
        {"length": "\u202e23"},
        {"offset": "9" * 5000},
    ],
)
def test_places_that_are_none_are_an_error(tmp_path: Path, entry: dict[str, str]) -> None:
    with pytest.raises(ModelLakeError) as caught:
        opened(referring(tmp_path, HERE | entry))
    assert len(str(caught.value).splitlines()) == 1
    assert "\u202e" not in str(caught.value)


def test_a_shape_larger_than_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        opened(referring(tmp_path, HERE, shape=(1 << 40, 1 << 20)))
    with pytest.raises(FormatError):
        opened(referring(tmp_path, HERE, shape=(-8,)))


def test_tensors_may_share_their_values_but_not_without_end(tmp_path: Path) -> None:
    tied = opened(referring(tmp_path, *[HERE | {"offset": "64"}] * 3, shape=(16,)))
    assert tied["w0"] == tied["w2"] == list(struct.unpack_from("<16f", DATA, 64))
    with pytest.raises(UnsafeFileError, match="share their values too often"):
        opened(referring(tmp_path, *[HERE] * 17, shape=(64,)))


def test_a_link_or_a_pipe_in_the_place_of_the_data_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(DATA)
    lake = tmp_path / "lake"
    lake.mkdir()
    referring(lake, HERE)
    for replace in (lambda file: file.symlink_to(tmp_path / "secret"), os.mkfifo):
        (lake / "model.onnx_data").unlink()
        replace(lake / "model.onnx_data")
        assert [item.location for item in discover([lake]) if isinstance(item, Rejected)] == ["model.onnx_data"]
        with pytest.raises(FormatError, match="missing"):
            opened(lake)
