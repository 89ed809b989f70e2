"""Every parser of what a lake may hold, with a small valid input to start from: what `make fuzz` and the tests attack.

A target takes bytes and returns; the project's own errors (`ModelLakeError`) are answers, anything else is a finding.
To add a parser, add an entry to `TARGETS`; a test fails where a format of the registry has none.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf
import h5py
import msgpack
import numpy as np
import onnx
import torch
from safetensors.numpy import save

from graph_schema.errors import ModelLakeError
from ingest.blobs import MemoryBlob
from ingest.claims.configs import lora_scale, read_adapter_config, read_mergekit
from ingest.claims.documents import read_card
from ingest.claims.safe_yaml import load_yaml
from ingest.fingerprint import take_fingerprint
from ingest.fingerprint.file import from_bytes, to_bytes
from ingest.hub_metadata import is_hub_metadata, read_hub_metadata
from ingest.readers.onnx_file import OnnxSource
from ingest.readers.pickle_machine import PickleMachine
from ingest.readers.registry import sniff
from ingest.readers.safetensors import SafetensorsSource
from tests.attacks import repositories
from tests.attacks.reading import read_lake, read_tensors
from tests.unit.ingest.test_tflite_reader import model as tflite_model

"""Tensors above this size, in bytes, are not read: a header may promise what a sparse file keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parser.

    Attributes
    ----------
    name : str
    seeds : callable () -> tuple of bytes
        Small valid inputs, made when asked for.
    parse : callable (bytes) -> None
    native : bool
        Whether a library in C does the reading, which may crash: the product reads in processes of their own, and so
        does the suite.
    slow : bool
        Whether a run starts programs; the suite can afford few of them.
    """

    name: str
    seeds: Callable[[], tuple[bytes, ...]]
    parse: Callable[[bytes], None]
    native: bool = False
    slow: bool = False

    def attack(self, content: bytes) -> None:
        """Parse, taking the project's own errors as answers; they are one line, without control characters."""
        try:
            self.parse(content)
        except ModelLakeError as error:
            if any(map(_forges, str(error))):
                raise AssertionError(f"not one plain line: {str(error)!r}") from error


def _forges(character: str) -> bool:
    """Whether a character ends a line, moves a cursor, turns the reading order round or cannot be written."""
    turns = unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return turns or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def tensors(content: bytes) -> None:
    """Open as whatever format it is, and read all that is small."""
    blob = MemoryBlob(content, name="file")
    known = sniff(blob)
    if known is None:
        return
    with known.open(blob) as source:
        read_tensors(source)


def onnx_beside(content: bytes) -> None:
    """An ONNX model whose values lie in a file beside it, of which it says where."""
    beside = {"m.onnx_data": MemoryBlob(bytes(range(96)), name="m.onnx_data")}
    with OnnxSource(MemoryBlob(content, name="m.onnx"), beside) as source:
        read_tensors(source)


def lake(name: str) -> Callable[[bytes], None]:
    """From a directory with a file of this name beside a model, through discovery, documents and weights."""

    def parse(content: bytes) -> None:
        with TemporaryDirectory() as folder:
            model = Path(folder) / "model"
            model.mkdir()
            (model / "model.safetensors").write_bytes(_safetensors()[0])
            (model / name).write_bytes(content)
            read_lake(Path(folder), documents=True)

    return parse


def hub_dump(content: bytes) -> None:
    """A dump of a hub's metadata."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "dump.jsonl"
        path.write_bytes(content)
        is_hub_metadata(path)
        read_hub_metadata([path])


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _lora(content: bytes) -> None:
    value = load_yaml(_text(content), where="file")
    if isinstance(value, dict):
        lora_scale(value)
        read_adapter_config(value, subject="a/b", file="file")


@cache
def _safetensors() -> tuple[bytes, ...]:
    arrays = {"a.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.zeros(2, np.int64)}
    return (save(arrays, metadata={"format": "pt"}), save({"w": np.zeros((0, 3), np.float16)}))


@cache
def _torch(*, legacy: bool) -> tuple[bytes, ...]:
    tensor = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    state = {"state_dict": {"w": tensor, "t": tensor.t(), "p": torch.nn.Parameter(tensor.bfloat16())}, "epoch": 3}
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
    return (buffer.getvalue(),)


@cache
def _gguf() -> tuple[bytes, ...]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        writer = gguf.GGUFWriter(str(path), "llama")
        writer.add_name("name")
        writer.add_block_count(1)
        writer.add_array("tokens", ["a", "b"])
        writer.add_array("numbers", [1, 2, 3])
        writer.add_tensor("a", np.ones((2, 32), np.float32))
        writer.add_tensor("q", np.zeros(34 * 2, np.uint8).reshape(2, 34), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return (path.read_bytes(),)


@cache
def _onnx() -> tuple[bytes, ...]:
    arrays = {"a": np.ones((2, 3), np.float32), "b": np.ones(3, np.int64)}
    initializers = [onnx.numpy_helper.from_array(value, name) for name, value in arrays.items()]
    typed = onnx.helper.make_tensor("t", onnx.TensorProto.FLOAT, [2], [1.0, 2.0])
    graph = onnx.helper.make_graph([], "g", [], [], initializer=[*initializers, typed])
    return (onnx.helper.make_model(graph).SerializeToString(),)


@cache
def _onnx_beside() -> tuple[bytes, ...]:
    initializers = []
    for name, offset, kind, shape in (
        ("a", 0, np.float32, (2, 3)),
        ("b", 24, np.int8, (8,)),
        ("c", 32, np.int64, (8,)),
    ):
        tensor = onnx.numpy_helper.from_array(np.zeros(shape, kind), name)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        length = np.zeros(shape, kind).nbytes
        for key, value in (("location", "m.onnx_data"), ("offset", str(offset)), ("length", str(length))):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        initializers.append(tensor)
    graph = onnx.helper.make_graph([], "g", [], [], initializer=initializers)
    return (onnx.helper.make_model(graph).SerializeToString(),)


@cache
def _numpy(*, archive: bool) -> tuple[bytes, ...]:
    buffer = io.BytesIO()
    if archive:
        np.savez_compressed(buffer, a=np.ones((2, 3), np.float32), b=np.zeros(3, np.int8))
    else:
        np.save(buffer, np.asfortranarray(np.ones((2, 3), np.float32)))
    return (buffer.getvalue(),)


@cache
def _flax() -> tuple[bytes, ...]:
    tree = {"params": {"dense": {"kernel": _packed((2, 3)), "bias": _packed((3,))}, "step": 3}, "list": [1, "a"]}
    return (msgpack.packb(tree),)


def _packed(shape: tuple[int, ...]) -> msgpack.ExtType:
    values = np.ones(shape, np.float32)
    return msgpack.ExtType(1, msgpack.packb((shape, "float32", values.tobytes()), use_bin_type=True))


@cache
def _keras() -> tuple[bytes, ...]:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="earliest") as file:
        file.attrs["layer_names"] = ["dense"]
        file.attrs["keras_version"] = "2.15.0"
        group = file.create_group("dense")
        group.attrs["weight_names"] = ["dense/kernel:0", "dense/bias:0"]
        group.create_dataset("dense/kernel:0", data=np.ones((2, 3), np.float32))
        group.create_dataset("dense/bias:0", data=np.ones(3, np.float32), compression="gzip")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": []}}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.writestr("model.weights.h5", buffer.getvalue())
    return (buffer.getvalue(), zipped.getvalue())


@cache
def _tflite() -> tuple[bytes, ...]:
    arrays = {"net/bias": np.arange(3, dtype=np.float32), "net/scalar": np.array(3, np.int64)}
    return (tflite_model([arrays]), tflite_model([arrays], trailing=True))


@cache
def _tar() -> tuple[bytes, ...]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in (("n/README.md", CARD), ("n/ü/model.safetensors", _safetensors()[0])):
            item = tarfile.TarInfo(name)
            item.size = len(content)
            archive.addfile(item, io.BytesIO(content))
    plain = buffer.getvalue()
    return (plain, gzip.compress(plain, mtime=0), bz2.compress(plain), lzma.compress(plain))


@cache
def _fingerprint() -> tuple[bytes, ...]:
    with SafetensorsSource(MemoryBlob(_safetensors()[0], name="file")) as source:
        return (to_bytes(take_fingerprint(source, workers=1)),)


@cache
def _archive() -> tuple[bytes, ...]:
    outer, inner = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/model.safetensors", _safetensors()[0])
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("n/README.md", CARD)
        archive.writestr("n/model.safetensors", _safetensors()[0])
        archive.writestr("inner.zip", inner.getvalue())
    return (outer.getvalue(),)


CARD = b"""---
license: [mit, other]
base_model: [org/base, {name: org/other}]
base_model_relation: merge
datasets: [a/b]
tags: &tags [x, "arxiv:2401.00001"]
model-index: [{name: m, results: [{dataset: {name: d}, metrics: [{type: acc, value: 0.5}]}]}]
again: *tags
---
# Model

A fine-tuned version of [org/base](https://huggingface.co/org/base) on `a/b`. It is a merge of:
* [x/y](https://huggingface.co/x/y)

```bibtex
@misc{a, title={B {C}}, year=2024, eprint={2401.00001}}
```
"""
_CONFIG = json.dumps({"_name_or_path": "org/base", "model_type": "llama", "architectures": ["A"], "num_labels": 3})
_ADAPTER = json.dumps({"base_model_name_or_path": "org/base", "r": 8, "lora_alpha": 16, "peft_type": "LORA"})
_MERGEKIT = (
    b"merge_method: linear\nmodels:\n- model: a/b\n  parameters: {weight: 0.5}\n- model: {model: c/d}\nslices: []\n"
)
_INDEX = json.dumps({"metadata": {"total_size": 64}, "weight_map": {"a.weight": "model.safetensors", "b": "x.bin"}})
_DUMP = b"\n".join(
    json.dumps(row).encode()
    for row in (
        {"id": "a/b", "card": CARD.decode()},
        {"id": "c/d", "metadata": {"card_data": "base_model: a/b", "tags": ["base_model:finetune:a/b"]}},
        {"modelId": "e/f", "id": "e/f", "cardData": {"license": "mit"}, "created_at": "2024-01-01"},
    )
)
_PICKLE = pickle.dumps({"a": [1, 2.5, None, True, b"x", "y", (1, 2)], 3: {"n": []}}, protocol=4)

TARGETS = {
    target.name: target
    for target in (
        Target(name="safetensors", seeds=_safetensors, parse=tensors),
        Target(name="torch", seeds=lambda: _torch(legacy=False), parse=tensors),
        Target(name="torch, legacy", seeds=lambda: _torch(legacy=True), parse=tensors),
        Target(name="pickle", seeds=lambda: (_PICKLE,), parse=lambda c: void(PickleMachine(c, where="file").load())),
        Target(name="gguf", seeds=_gguf, parse=tensors),
        Target(name="onnx", seeds=_onnx, parse=tensors),
        Target(name="onnx, external data", seeds=_onnx_beside, parse=onnx_beside),
        Target(name="numpy", seeds=lambda: _numpy(archive=False), parse=tensors),
        Target(name="numpy, archive", seeds=lambda: _numpy(archive=True), parse=tensors),
        Target(name="flax", seeds=_flax, parse=tensors),
        Target(name="keras", seeds=_keras, parse=tensors, native=True),
        Target(name="tflite", seeds=_tflite, parse=tensors),
        Target(name="fingerprint", seeds=_fingerprint, parse=lambda c: void(from_bytes(c))),
        Target(name="archive", seeds=_archive, parse=lake("more.zip")),
        *(
            Target(name=f"archive, {suffix}", seeds=lambda kind=kind: (_tar()[kind],), parse=lake(f"more.{suffix}"))
            for kind, suffix in enumerate(("tar", "tar.gz", "tar.bz2", "tar.xz"))
        ),
        Target(
            name="yaml", seeds=lambda: (CARD.split(b"---")[1],), parse=lambda c: void(load_yaml(_text(c), where="f"))
        ),
        Target(
            name="card",
            seeds=lambda: (CARD,),
            parse=lambda c: void(read_card(_text(c), subject="a/b", file="README.md")),
        ),
        Target(
            name="mergekit",
            seeds=lambda: (_MERGEKIT,),
            parse=lambda c: void(read_mergekit(_text(c), subject="a", file="f")),
        ),
        Target(name="adapter", seeds=lambda: (_ADAPTER.encode(),), parse=_lora),
        Target(name="config in a lake", seeds=lambda: (_CONFIG.encode(),), parse=lake("config.json")),
        Target(name="card in a lake", seeds=lambda: (CARD,), parse=lake("README.md")),
        Target(name="adapter in a lake", seeds=lambda: (_ADAPTER.encode(),), parse=lake("adapter_config.json")),
        Target(name="index in a lake", seeds=lambda: (_INDEX.encode(),), parse=lake("model.safetensors.index.json")),
        Target(name="gguf in a lake", seeds=_gguf, parse=lake("m.gguf")),
        *(
            Target(
                name=f"git, {part}",
                seeds=lambda part=part: (repositories.parts(_safetensors()[0])[part],),
                parse=lambda c, part=part: repositories.repository(part, _safetensors()[0])(c),
                slow=True,
            )
            for part in ("tree", "commit", "references", "index", "pointer")
        ),
        Target(name="hub metadata", seeds=lambda: (_DUMP, gzip.compress(_DUMP, mtime=0), _EDGES), parse=hub_dump),
    )
}
_EDGES = b"parent,child,relation\na/b,c/d,finetune\nc/d,e/f,merge\n"


def void(value: object) -> None:
    """Drop an outcome: only errors are looked at."""
