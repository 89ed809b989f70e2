"""PyTorch, GGUF and NumPy files: the same tensors come back, and none of their headers is trusted."""

import struct
from collections import OrderedDict
from pathlib import Path

import gguf
import numpy as np
import pytest

from graph_schema.errors import FormatError, ModelLakeError, UnsafeFileError
from ingest.discovery import discover
from ingest.readers import open_tensors
from ingest.readers.gguf_file import GgufSource
from ingest.tensors import TensorSource

torch = pytest.importorskip("torch")


def opened(file: Path) -> TensorSource:
    (model,) = discover([file])
    return open_tensors(model.weights[0].files)


def values(source: TensorSource) -> dict[str, np.ndarray]:
    with source:
        return {info.name: source.read(info, 0, info.size).reshape(info.shape) for info in source.tensors}


STATE = OrderedDict(
    a=torch.arange(12, dtype=torch.float32).reshape(3, 4),
    b=torch.arange(6, dtype=torch.int64),
    transposed=torch.arange(12, dtype=torch.float64).reshape(3, 4).t(),
    part=torch.arange(20, dtype=torch.float16).reshape(4, 5)[1:3, 2:4],
    scalar=torch.tensor(3.0),
    empty=torch.zeros(0, 3),
)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_checkpoint_reads_as_torch_reads_it(tmp_path: Path, legacy: bool, wrapped: bool) -> None:
    file = tmp_path / "pytorch_model.bin"
    state = {"epoch": 3, "state_dict": STATE, "optimizer": {"state": [torch.ones(2)]}} if wrapped else STATE
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)
    read = values(opened(file))
    assert set(read) == set(STATE)
    for name, tensor in STATE.items():
        np.testing.assert_array_equal(read[name], tensor.numpy())
        assert read[name].dtype == tensor.numpy().dtype


@pytest.mark.parametrize("legacy", [False, True])
def test_bfloat16_parameters_keep_their_bits(tmp_path: Path, legacy: bool) -> None:
    file = tmp_path / "m.pt"
    tensor = torch.nn.Parameter(torch.randn(5, 3).to(torch.bfloat16))
    torch.save({"w": tensor, "again": tensor}, file, _use_new_zipfile_serialization=not legacy)
    with opened(file) as source:
        assert [info.dtype for info in source.tensors] == ["BF16", "BF16"]
    np.testing.assert_array_equal(values(opened(file))["w"], tensor.detach().view(torch.int16).numpy().view(np.uint16))


def test_slices_of_a_transposed_tensor_are_in_row_major_order(tmp_path: Path) -> None:
    torch.save({"w": STATE["transposed"]}, tmp_path / "m.pt")
    with opened(tmp_path / "m.pt") as source:
        (info,) = source.tensors
        whole = STATE["transposed"].contiguous().numpy().ravel()
        for start in range(12):
            assert source.read(info, start, 12).tolist() == whole[start:].tolist()


def test_an_expanded_tensor_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(1 << 40)}, tmp_path / "m.pt")
    with pytest.raises(UnsafeFileError, match="storage of 1"):
        opened(tmp_path / "m.pt")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_cut_checkpoint_is_an_error(tmp_path: Path, legacy: bool) -> None:
    whole = tmp_path / "m.pt"
    torch.save(STATE, whole, _use_new_zipfile_serialization=not legacy)
    content = whole.read_bytes()
    for cut in range(0, len(content) - 1, max(len(content) // 40, 1)):
        whole.write_bytes(content[:cut])
        with pytest.raises(FormatError):
            opened(whole)


def test_a_whole_model_pickled_as_an_object_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "m.pt")
    with pytest.raises(UnsafeFileError, match="safetensors"):
        opened(tmp_path / "m.pt")


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "F16", "F32", "BF16"])
def test_gguf_reads_as_its_own_library_reads_it(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "tiny.gguf"
    weights = np.random.default_rng(0).standard_normal((6, 64)).astype(np.float32)
    quantized = gguf.GGMLQuantizationType[kind]
    packed = gguf.quants.quantize(weights, quantized)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name("Tiny")
    writer.add_token_list([f"t{number}" for number in range(500)])
    writer.add_tensor("w", packed, raw_dtype=quantized)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with opened(file) as source:
        assert isinstance(source, GgufSource)
        assert source.fields["general.name"] == "Tiny"
        assert source.tensors[0].shape == (6, 64)
        read = source.read(source.tensors[0], 0, 384)
        assert source.read(source.tensors[0], 37, 101).tolist() == read[37:101].tolist()
        if source.tensors[0].dtype == "BF16":
            read = (read.astype(np.uint32) << 16).view(np.float32)
    expected = gguf.quants.dequantize(packed, quantized).reshape(-1)
    np.testing.assert_array_equal(read.astype(np.float32), expected)


def gguf_bytes(tensors: int, fields: int, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, fields) + rest


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


@pytest.mark.parametrize(
    "content",
    [
        gguf_bytes(1 << 60, 0),
        gguf_bytes(0, 1 << 60),
        gguf_bytes(1, 0),
        gguf_bytes(0, 1, text(b"k", 1 << 62)),
        gguf_bytes(0, 1, text(b"k") + struct.pack("<IIQ", 9, 4, 1 << 60)),
        gguf_bytes(0, 1, text(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 1000),
        gguf_bytes(0, 1, text(b"k") + struct.pack("<I", 77)),
        gguf_bytes(1, 0, text(b"w") + struct.pack("<IQIQ", 1, 1 << 61, 0, 0)),
        gguf_bytes(1, 0, text(b"w") + struct.pack("<IQIQ", 1, 4, 999, 0)),
        gguf_bytes(1, 0, text(b"w") + struct.pack("<I", 1 << 31)),
        gguf_bytes(1, 0, text(b"w") + struct.pack("<IQIQ", 1, 33, 2, 0)),
        b"GGUF",
    ],
)
def test_gguf_headers_that_lie_are_errors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(FormatError):
        opened(tmp_path / "m.gguf")


def test_numpy_files_read_as_numpy_reads_them(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        "flag": np.array([True, False]),
        "scalar": np.float64(2.0),
    }
    np.savez(tmp_path / "stored.npz", **arrays)
    np.savez_compressed(tmp_path / "packed.npz", **arrays)
    for name in ("stored", "packed"):
        read = values(opened(tmp_path / f"{name}.npz"))
        for key, array in arrays.items():
            np.testing.assert_array_equal(read[key], array)
    np.save(tmp_path / "one.npy", arrays["a"])
    np.testing.assert_array_equal(values(opened(tmp_path / "one.npy"))["array"], arrays["a"])


@pytest.mark.parametrize("array", [np.array([{"a": 1}], dtype=object), np.array(["text"]), np.array([1j])])
def test_numpy_files_of_other_things_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "m.npy", array, allow_pickle=True)
    with pytest.raises(ModelLakeError):
        opened(tmp_path / "m.npy")
