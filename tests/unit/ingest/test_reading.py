"""Reading a model: documents and weights together, and faults that stay with the file they are in."""

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file, save_file

from graph_schema.errors import FormatError, UnsafeFileError
from graph_schema.labels import Relation, VersionKind
from ingest.discovery import discover
from ingest.model_source import ModelSource
from ingest.reading import ModelReading, read_model


def read(folder: Path, **options: object) -> ModelReading:
    (source,) = (item for item in discover([folder]) if isinstance(item, ModelSource))
    return read_model(source, **options)  # type: ignore[arg-type]


def test_a_model_is_its_record_its_versions_and_its_claims(tmp_path: Path, write_model) -> None:
    seen: list[int] = []
    folder = write_model(
        tmp_path / "team" / "m", card="---\nbase_model: org/base\n---\n", config={"architectures": ["TinyModel"]}
    )
    reading = read(tmp_path, workers=1, progress=seen.append)
    (entry,) = reading.versions
    assert (entry.version.name, entry.version.kind) == ("team/m", VersionKind.FULL)
    assert (entry.version.architecture, entry.version.dtype) == ("TinyModel", "F32")
    assert (entry.version.parameters, entry.version.tensors, entry.version.bytes) == (48, 2, 192)
    assert entry.version.formats == ("safetensors",)
    assert entry.version.id == entry.fingerprint.version
    assert [claim.target for claim in reading.claims] == ["org/base"]
    assert reading.problems == ()
    assert sum(seen) == 192
    assert reading.source.size == (folder / "model.safetensors").stat().st_size


def test_the_same_weights_in_two_containers_are_one_version(tmp_path: Path, write_model) -> None:
    folder = write_model(tmp_path / "m", config={})
    np.savez(folder / "weights.npz", **load_file(folder / "model.safetensors"))
    (entry,) = read(folder).versions
    assert entry.version.formats == ("numpy", "safetensors")


def test_a_damaged_or_unsafe_file_is_a_problem_and_the_rest_is_read(tmp_path: Path, write_model) -> None:
    folder = write_model(tmp_path / "m", config={})
    save_file({"a": np.zeros(4)}, folder / "model.fp16.safetensors")
    whole = (folder / "model.fp16.safetensors").read_bytes()
    (folder / "model.fp16.safetensors").write_bytes(whole[:-1])
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02cos\nsystem\n.")
    reading = read(folder)
    assert len(reading.versions) == 1
    assert {type(problem) for problem in reading.problems} == {FormatError, UnsafeFileError}


def test_an_adapter_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    names = {f"base_model.model.layers.0.q.lora_{side}.weight": side for side in "AB"}
    save_file(
        {name: np.ones((2, 4) if side == "A" else (4, 2)) for name, side in names.items()},
        folder / "adapter_model.safetensors",
    )
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base", "r": 2, "lora_alpha": 8}')
    reading = read(folder)
    (entry,) = reading.versions
    assert entry.version.kind is VersionKind.ADAPTER
    assert (entry.fingerprint.kind, entry.fingerprint.scale) == ("adapter", 4.0)
    assert [(claim.relation, claim.target) for claim in reading.claims] == [(Relation.ADAPTED_FROM, "org/base")]


def test_a_pipeline_has_a_version_for_each_component(tmp_path: Path, write_model) -> None:
    folder = tmp_path / "p"
    for seed, part in enumerate(("unet", "vae")):
        write_model(folder / part, seed=seed, weights="diffusion_pytorch_model.safetensors", config={})
    (folder / "model_index.json").write_text('{"_class_name": "Pipeline"}')
    entries = read(folder).versions
    assert [(entry.component, entry.version.name, entry.version.kind) for entry in entries] == [
        ("unet", "p/unet", VersionKind.COMPONENT),
        ("vae", "p/vae", VersionKind.COMPONENT),
    ]


def test_sharded_components_of_a_pipeline_and_their_variants(tmp_path: Path) -> None:
    """As diffusers names them: an index has its variant behind, shards have theirs in front of the number."""
    weights = {f"down_blocks.{number}.weight": np.full((4, 4), number, np.float32) for number in range(4)}
    (tmp_path / "p" / "unet").mkdir(parents=True)
    (tmp_path / "p" / "model_index.json").write_text('{"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet"]}')
    (tmp_path / "p" / "unet" / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    for variant, dtype in {"": np.float32, ".fp16": np.float16}.items():
        weight_map = {}
        for number, name in enumerate(weights):
            shard = f"diffusion_pytorch_model{variant}-0000{number % 2 + 1}-of-00002.safetensors"
            weight_map[name] = shard
        for shard in set(weight_map.values()):
            held = {name: weights[name].astype(dtype) for name, place in weight_map.items() if place == shard}
            save_file(held, tmp_path / "p" / "unet" / shard)
        index = tmp_path / "p" / "unet" / f"diffusion_pytorch_model.safetensors.index{variant}.json"
        index.write_text(json.dumps({"weight_map": weight_map}))
    reading = read(tmp_path)
    assert reading.problems == ()
    assert reading.model.id == "p"
    assert {entry.version.architecture for entry in reading.versions} == {"UNet2DModel"}
    assert [(entry.component, entry.version.tensors, entry.version.dtype) for entry in reading.versions] == [
        ("unet", 4, "F32"),
        ("unet/fp16", 4, "F16"),
    ]


def test_a_gguf_header_claims_its_base(tmp_path: Path) -> None:
    file = tmp_path / "tiny.Q8_0.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_base_model_count(1)
    writer.add_base_model_repo_url(0, "https://huggingface.co/org/base")
    writer.add_array("general.datasets", ["imdb"])
    packed = gguf.quants.quantize(np.ones((2, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("w", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    reading = read(file)
    assert {(claim.relation, claim.target) for claim in reading.claims} == {
        (Relation.QUANTIZED_FROM, "org/base"),
        (Relation.TRAINED_ON, "imdb"),
    }
    assert reading.versions[0].version.formats == ("gguf",)
