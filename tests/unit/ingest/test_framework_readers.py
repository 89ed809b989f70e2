"""Flax and Keras files: the same network as its PyTorch original, and what their libraries wrote comes back."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ingest.blobs import MemoryBlob
from ingest.discovery import discover
from ingest.model_source import ModelSource
from ingest.readers import open_tensors
from ingest.readers.flax_file import looks_like, open_flax
from ingest.readers.framework_names import flax_tensor, keras_tensor
from ingest.reading import ModelReading, read_model
from ingest.tensors import TensorSource

Weights = dict[str, np.ndarray]


def bert(seed: int = 0, *, width: int = 24, layers: int = 2) -> Weights:
    """A small random BERT under the names of its PyTorch checkpoint."""
    generator = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, rows in {"word": 60, "position": 16, "token_type": 2}.items():
        shapes[f"bert.embeddings.{name}_embeddings.weight"] = (rows, width)
    norms = ["bert.embeddings.LayerNorm"]
    dense = {"bert.pooler.dense": (width, width)}
    for layer in range(layers):
        at = f"bert.encoder.layer.{layer}"
        dense |= {f"{at}.attention.self.{part}": (width, width) for part in ("query", "key", "value")}
        dense |= {f"{at}.attention.output.dense": (width, width)}
        dense |= {f"{at}.intermediate.dense": (2 * width, width), f"{at}.output.dense": (width, 2 * width)}
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    for name, shape in dense.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return {name: generator.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}


def packed(value: object) -> object:
    """An array as flax.serialization packs it."""
    assert isinstance(value, np.ndarray)
    content = (value.shape, value.dtype.name, value.tobytes())
    return msgpack.ExtType(1, msgpack.packb(content, use_bin_type=True))


def flax_tree(weights: Weights) -> dict:
    """The tree that transformers' Flax class of the same model holds."""
    tree: dict = {}
    for name, values in weights.items():
        *parts, last = name.split(".")
        if last == "weight":
            embedding, norm = parts[-1].endswith("_embeddings"), parts[-1] == "LayerNorm"
            last = "embedding" if embedding else "scale" if norm else "kernel"
            values = values.T if last == "kernel" else values
        node = tree
        for part in parts:
            node = node.setdefault(part, {})
        node[last] = np.ascontiguousarray(values)
    return tree


def write_flax(file: Path, tree: Mapping[str, object]) -> None:
    file.write_bytes(msgpack.packb(tree, default=packed, strict_types=True))


def write_tensorflow(file: Path, weights: Weights, **options: object) -> None:
    """As transformers' TensorFlow class of the same model saves it."""
    with h5py.File(file, "w") as saved:
        saved.attrs["layer_names"] = ["bert"]
        saved.attrs["keras_version"] = "2.15.0"
        for name, values in weights.items():
            *parts, last = name.split(".")
            matrix = last == "weight" and not parts[-1].endswith("_embeddings") and parts[-1] != "LayerNorm"
            if parts[-1] == "LayerNorm":
                last = {"weight": "gamma", "bias": "beta"}[last]
            elif parts[-1] == "position_embeddings" or parts[-1] == "token_type_embeddings":
                last = "embeddings"
            elif matrix:
                last = "kernel"
            path = "/".join((*parts, last)).replace("layer/", "layer_._")
            saved.create_dataset(f"bert/tf_bert_model/{path}:0", data=values.T if matrix else values, **options)


def read(path: Path) -> ModelReading:
    (source,) = (item for item in discover([path]) if isinstance(item, ModelSource))
    return read_model(source)


def opened(path: Path) -> TensorSource:
    (source,) = (item for item in discover([path]) if isinstance(item, ModelSource))
    return open_tensors(source.weights[0].files)


def values(path: Path) -> Weights:
    with opened(path) as source:
        return {info.name: source.read(info, 0, info.size).reshape(info.shape) for info in source.tensors}


def test_a_bert_in_three_frameworks_is_one_version(tmp_path: Path) -> None:
    weights = bert()
    folder = tmp_path / "org" / "bert"
    folder.mkdir(parents=True)
    save_file(weights, folder / "model.safetensors")
    write_flax(folder / "flax_model.msgpack", flax_tree(weights))
    write_tensorflow(folder / "tf_model.h5", weights)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    reading = read(tmp_path)
    assert reading.problems == ()
    (entry,) = reading.versions
    assert entry.version.formats == ("flax", "keras", "safetensors")
    assert entry.fingerprint.architecture == "bert"


def test_compressed_values_are_the_same(tmp_path: Path) -> None:
    weights = bert()
    write_tensorflow(tmp_path / "plain.h5", weights)
    write_tensorflow(tmp_path / "packed.h5", weights, chunks=True, compression="gzip", shuffle=True)
    plain, compressed = values(tmp_path / "plain.h5"), values(tmp_path / "packed.h5")
    assert plain.keys() == compressed.keys() == weights.keys()
    for name, expected in weights.items():
        np.testing.assert_array_equal(plain[name], expected)
        np.testing.assert_array_equal(compressed[name], expected)


@pytest.mark.parametrize("name", ["flax_model.msgpack", "plain.h5", "packed.h5"])
def test_slices_are_slices_of_the_whole(tmp_path: Path, name: str) -> None:
    generator = np.random.default_rng(0)
    matrix, filters = (generator.normal(size=shape).astype(np.float32) for shape in ((7, 5), (3, 2, 4, 6)))
    if name.endswith(".msgpack"):
        write_flax(tmp_path / name, {"a": {"kernel": matrix}, "b": {"kernel": filters}})
    else:
        with h5py.File(tmp_path / name, "w") as saved:
            saved.attrs["keras_version"] = "3"
            options = {"compression": "gzip"} if name == "packed.h5" else {}
            saved.create_dataset("a/a/kernel", data=matrix, **options)
            saved.create_dataset("b/b/kernel", data=filters, **options)
    with opened(tmp_path / name) as source:
        assert {info.name: info.shape for info in source.tensors} == {"a.weight": (5, 7), "b.weight": (6, 4, 3, 2)}
        for info, whole in zip(source.tensors, (matrix.T, filters.transpose(3, 2, 0, 1)), strict=True):
            flat = np.ascontiguousarray(whole).reshape(-1)
            for start in range(0, flat.size, 3):
                for stop in range(start, flat.size + 1, 5):
                    np.testing.assert_array_equal(source.read(info, start, stop), flat[start:stop])


def test_shards_of_flax_and_their_index(tmp_path: Path) -> None:
    weights = bert(layers=1)
    tree = flax_tree(weights)["bert"]
    parts = {"embeddings": {"bert": {"embeddings": tree.pop("embeddings")}}, "rest": {"bert": tree}}
    weight_map = {}
    for number, part in enumerate(parts.values(), 1):
        shard = f"flax_model-0000{number}-of-00002.msgpack"
        write_flax(tmp_path / shard, part)
        weight_map |= dict.fromkeys(paths(part), shard)
    (tmp_path / "flax_model.msgpack.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert values(tmp_path).keys() == weights.keys()


def paths(tree: Mapping[str, object], before: str = "") -> list[str]:
    found = []
    for key, value in tree.items():
        found += paths(value, f"{before}{key}/") if isinstance(value, dict) else [before + key]
    return found


def test_a_training_state_gives_its_parameters_and_statistics_alone(tmp_path: Path) -> None:
    norm = {"bn": {"mean": np.zeros(3, np.float32), "var": np.ones(3, np.float32)}}
    state = {
        "step": 7,
        "params": {"bn": {"scale": np.ones(3, np.float32)}, "x": {"kernel": np.ones((2, 2), np.float16)}},
        "batch_stats": norm,
        "opt_state": {"0": {"mu": {"x": {"kernel": np.ones((2, 2), np.float32)}}}},
    }
    write_flax(tmp_path / "m.msgpack", state)
    assert set(values(tmp_path / "m.msgpack")) == {"bn.weight", "bn.running_mean", "bn.running_var", "x.weight"}


def test_an_array_in_pieces_is_whole(tmp_path: Path) -> None:
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    pieces = {str(number): part for number, part in enumerate(np.array_split(whole.reshape(-1), 5))}
    node = {"__msgpack_chunked_array__": True, "shape": {"0": 4, "1": 6}, "chunks": pieces}
    write_flax(tmp_path / "m.msgpack", {"params": {"a": {"bias": node, "kernel": node}}})
    read = values(tmp_path / "m.msgpack")
    np.testing.assert_array_equal(read["a.bias"], whole)
    np.testing.assert_array_equal(read["a.weight"], whole.T)


@given(
    st.recursive(
        st.integers(0, 2**63) | st.none() | st.floats() | st.text(max_size=300) | st.binary(max_size=300),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=40), inner, max_size=4)
        ),
    )
)
def test_whatever_msgpack_writes_is_walked_over(other: object) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = msgpack.packb({"a": other, "z": {"bias": array}}, default=packed)
    with open_flax(MemoryBlob(content, name="m")) as source:
        found = next(info for info in source.tensors if info.name == "z.bias")
        assert source.read(found, 0, 6).tolist() == list(range(6))


def test_flax_is_told_by_its_beginning() -> None:
    assert looks_like(msgpack.packb({"params": {"a" * 80: {"kernel": np.ones(3)}}}, default=packed)[:64])
    assert looks_like(msgpack.packb({"w": np.ones(3)}, default=packed)[:64])
    for other in (b"\x89PNG\r\n\x1a\n", b"\x82\xa1", b"", b"\x80\x02", b"\x81\xa1x\x01", b"# text", bytes(64)):
        assert not looks_like(other)


def test_names_of_duplicated_and_nested_parts() -> None:
    assert keras_tensor("tf_x/bert/a___b/kernel:0", 2) == ("bert.b.weight", (1, 0))
    assert keras_tensor("dense/bias", 1) == ("dense.bias", (0,))
    assert flax_tensor(["kernel"], 3) == ("weight", (2, 1, 0))


@pytest.fixture(scope="module")
def keras():  # type: ignore[no-untyped-def]
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m.h5"])
def test_what_keras_saved_comes_back(tmp_path: Path, keras, name: str) -> None:
    layers = keras.layers
    inner = keras.Sequential([layers.Input((4,)), layers.Dense(3)], name="inner")
    model = keras.Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.Lambda(lambda x: x * 2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, name="probe"),
            inner,
            layers.LayerNormalization(),
            layers.Dense(2, use_bias=False),
        ]
    )
    model.compile("adam", "mse")
    (model.save_weights if ".weights" in name else model.save)(tmp_path / name)
    read = values(tmp_path / name)
    convolution, _, _, _, probe, _, _, last = (layer for layer in model.layers)
    assert len(read) == len(model.weights)
    stored = {tuple(values.reshape(-1)[:2]): values for values in read.values() if values.ndim > 1}
    for layer in (convolution, probe, last, inner.layers[-1]):
        kernel = layer.get_weights()[0]
        expected = kernel.transpose((3, 2, 0, 1)) if kernel.ndim == 4 else kernel.T
        np.testing.assert_array_equal(stored[tuple(np.ascontiguousarray(expected).reshape(-1)[:2])], expected)
    assert sum(name.endswith("running_var") for name in read) == 1
    assert not any("vars" in name or "iteration" in name for name in read)


@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip"}, {"dtype": ">f4"}])
def test_other_dtypes_and_orders_of_bytes(tmp_path: Path, options: dict) -> None:
    bits = np.arange(6, dtype=np.uint16).reshape(2, 3)
    floats = np.arange(6, dtype=np.float32).reshape(2, 3)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["keras_version"] = "3"
        file.create_dataset("a/a/bias", data=floats, **options)
        if "dtype" not in options:
            half = file.create_dataset("b/b/bias", data=bits.view("V2"), **options)
            half.attrs["dtype"] = "bfloat16"
    with opened(tmp_path / "m.h5") as source:
        assert [info.dtype for info in source.tensors] == ["F32", "BF16"][: len(source.tensors)]
    read = values(tmp_path / "m.h5")
    np.testing.assert_array_equal(read["a.bias"], floats)
    if "b.bias" in read:
        np.testing.assert_array_equal(read["b.bias"], bits)


def test_hdf5_that_is_not_of_keras_is_passed_over(tmp_path: Path, write_model) -> None:
    write_model(tmp_path / "m", config={})
    with h5py.File(tmp_path / "m" / "data.h5", "w") as file:
        file["images"] = np.zeros((4, 4))
    reading = read(tmp_path)
    assert (len(reading.versions), reading.problems) == (1, ())
