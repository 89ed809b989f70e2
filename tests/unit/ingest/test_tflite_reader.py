"""TFLite models: their constants come back as their library wrote them, and no offset is trusted."""

import struct
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
import tflite

from graph_schema.errors import FormatError, ModelLakeError
from ingest.discovery import discover
from ingest.model_source import ModelSource
from ingest.readers import open_tensors

KINDS = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "int8": 9, "bool": 6}
ARRAYS = {
    "net/dense/MatMul": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32),
    "net/dense/bias": np.arange(5, dtype=np.float16),
    "net/conv": np.arange(24, dtype=np.int8).reshape(2, 3, 4, 1),
    "net/shape": np.array([1, -1], np.int32),
    "net/scalar": np.array(3, np.int64),
}


def vector(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def table(builder: flatbuffers.Builder, name: str, **fields: int) -> int:
    getattr(tflite, f"{name}Start")(builder)
    for field, value in fields.items():
        getattr(tflite, f"{name}Add{field}")(builder, value)
    return int(getattr(tflite, f"{name}End")(builder))


def model(
    graphs: list[dict[str, np.ndarray]], *, kind: int | None = None, trailing: bool = False, sparse: bool = False
) -> bytes:
    """A model of some subgraphs of constants, each with one tensor that has no value of its own."""
    builder = flatbuffers.Builder(1024)
    buffers = [table(builder, "Buffer")]
    behind: list[tuple[str, bytes]] = []
    subgraphs = []
    for arrays in graphs:
        tensors = []
        for name, values in [*arrays.items(), ("input", None)]:
            shape = builder.CreateNumpyVector(np.array((1,) if values is None else values.shape, np.int32))
            shown = builder.CreateString(name)
            place = 0
            if values is not None:
                place = len(buffers)
                if trailing:
                    behind.append((name, values.tobytes()))
                    buffers.append(table(builder, "Buffer", Offset=7, Size=values.nbytes))
                else:
                    data = builder.CreateByteVector(values.tobytes())
                    buffers.append(table(builder, "Buffer", Data=data))
            stated = KINDS[values.dtype.name] if values is not None and kind is None else kind or 0
            fields = {"Sparsity": table(builder, "SparsityParameters")} if sparse else {}
            tensors.append(table(builder, "Tensor", Shape=shape, Type=stated, Buffer=place, Name=shown, **fields))
        subgraphs.append(table(builder, "SubGraph", Tensors=vector(builder, tensors)))
    graphs_place, buffers_place = vector(builder, subgraphs), vector(builder, buffers)
    root = table(builder, "Model", Version=3, Subgraphs=graphs_place, Buffers=buffers_place)
    builder.Finish(root, b"TFL3")
    content = bytearray(builder.Output())
    if trailing:
        read = tflite.Model.GetRootAsModel(bytes(content), 0)
        for number, (_, values) in enumerate(behind, 1):
            buffer = read.Buffers(number)
            place = buffer._tab.Pos + buffer._tab.Offset(6)
            struct.pack_into("<Q", content, place, len(content))
            content += values
    return bytes(content)


def values(folder: Path) -> dict[str, np.ndarray]:
    (source,) = (item for item in discover([folder]) if isinstance(item, ModelSource))
    with open_tensors(source.weights[0].files) as opened:
        assert opened.format == "tflite"
        return {info.name: opened.read(info, 0, info.size).reshape(info.shape) for info in opened.tensors}


@pytest.mark.parametrize("trailing", [False, True])
def test_constants_come_back(tmp_path: Path, trailing: bool) -> None:
    (tmp_path / "m.tflite").write_bytes(model([ARRAYS], trailing=trailing))
    read = values(tmp_path)
    assert read.keys() == ARRAYS.keys()
    for name, expected in ARRAYS.items():
        np.testing.assert_array_equal(read[name], expected)
        assert read[name].dtype == expected.dtype


def test_subgraphs_and_names_used_twice_are_told_apart(tmp_path: Path) -> None:
    ones = {"w": np.ones(3, np.float32)}
    (tmp_path / "m.tflite").write_bytes(model([ones, ones]))
    assert set(values(tmp_path)) == {"w", "subgraph1/w"}


def test_types_that_are_not_known_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(model([{"w": np.ones(4, np.float32)}], kind=17))
    with pytest.raises(FormatError, match="type 17"):
        values(tmp_path)


def test_sparse_tensors_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(model([{"w": np.ones(4, np.float32)}], sparse=True))
    with pytest.raises(FormatError, match="sparsely"):
        values(tmp_path)


def test_a_model_cut_or_overwritten_anywhere_is_an_error_or_another_model(tmp_path: Path) -> None:
    content = model([ARRAYS])
    for place in range(8, len(content), 3):
        for damage in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"):
            (tmp_path / "m.tflite").write_bytes(content[:place] + damage + content[place + 4 :])
            try:
                values(tmp_path)
            except ModelLakeError:
                continue
    for cut in range(8, len(content), 17):
        (tmp_path / "m.tflite").write_bytes(content[:cut])
        try:
            values(tmp_path)
        except ModelLakeError:
            continue


def test_one_buffer_that_is_named_a_thousand_times_is_refused(tmp_path: Path) -> None:
    content = model([{f"w{number:03}": np.full(50_000 if number == 0 else 1, 7, np.int8) for number in range(300)}])
    read = tflite.Model.GetRootAsModel(content, 0).Subgraphs(0)
    shared = bytearray(content)
    first = read.Tensors(0)
    for number in range(1, 300):
        item = read.Tensors(number)
        struct.pack_into("<I", shared, item._tab.Pos + item._tab.Offset(8), first.Buffer())
        shape = item._tab.Vector(item._tab.Offset(4))
        struct.pack_into("<i", shared, shape, 50_000)
    (tmp_path / "m.tflite").write_bytes(shared)
    with pytest.raises(FormatError, match="too often"):
        values(tmp_path)
