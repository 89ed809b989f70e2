"""ONNX initialisers: as the library reads them; external data from beside the model alone."""

from pathlib import Path

import numpy as np
import pytest

from graph_schema.errors import FormatError, UnsafeFileError
from ingest.discovery import discover
from ingest.readers import open_tensors
from ingest.tensors import TensorSource

onnx = pytest.importorskip("onnx")

ARRAYS = {
    "float": np.arange(6, dtype=np.float32).reshape(2, 3),
    "int8": np.array([[-1, 2], [3, -4]], np.int8),
    "int64": np.array([1, -2, 3], np.int64),
    "half": np.ones((2, 2), np.float16),
}


def model_of(tensors: list) -> object:
    graph = onnx.helper.make_graph([], "g", [], [], initializer=tensors)
    return onnx.helper.make_model(graph)


def opened(file: Path) -> TensorSource:
    (model,) = discover([file.parent])
    return open_tensors(model.weights[0].files)


def check(file: Path, arrays: dict[str, np.ndarray]) -> None:
    with opened(file) as source:
        assert source.format == "onnx"
        assert {info.name for info in source.tensors} == set(arrays)
        for info in source.tensors:
            np.testing.assert_array_equal(source.read(info, 0, info.size).reshape(info.shape), arrays[info.name])
            assert source.read(info, 1, 2).tolist() == arrays[info.name].ravel()[1:2].tolist()


@pytest.mark.parametrize("raw", [True, False])
def test_values_within_the_file(tmp_path: Path, raw: bool) -> None:
    arrays = ARRAYS if raw else {name: ARRAYS[name] for name in ("float", "int64")}
    tensors = [
        onnx.numpy_helper.from_array(array, name)
        if raw
        else onnx.helper.make_tensor(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.ravel()
        )
        for name, array in arrays.items()
    ]
    onnx.save(model_of(tensors), tmp_path / "model.onnx")
    check(tmp_path / "model.onnx", arrays)


def test_values_beside_the_file(tmp_path: Path) -> None:
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in ARRAYS.items()]
    file = tmp_path / "model.onnx"
    onnx.save(model_of(tensors), file, save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    check(file, ARRAYS)
    (tmp_path / "model.onnx_data").unlink()
    with pytest.raises(FormatError, match="missing"):
        opened(file)


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "a/b", ""])
def test_values_elsewhere_are_refused(tmp_path: Path, place: str) -> None:
    tensor = onnx.numpy_helper.from_array(ARRAYS["float"], "w")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place
    (tmp_path / "model.onnx").write_bytes(model_of([tensor]).SerializeToString())
    with pytest.raises(UnsafeFileError, match="outside"):
        opened(tmp_path / "model.onnx")


def test_a_cut_file_is_an_error(tmp_path: Path) -> None:
    content = model_of(
        [onnx.numpy_helper.from_array(array, name) for name, array in ARRAYS.items()]
    ).SerializeToString()
    for cut in range(1, len(content) - 20, 7):
        (tmp_path / "model.onnx").write_bytes(content[:cut])
        with pytest.raises(FormatError):
            opened(tmp_path / "model.onnx")
