"""Discovery: what counts as a model, what it is called, and what is refused."""

import json
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from graph_schema.errors import EmptyLakeError, NameConflictError, PathNotFoundError, UnsafeFileError
from ingest.discovery import discover
from ingest.model_source import ModelSource, Rejected

TENSORS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}


def found(*paths: Path) -> dict[str, ModelSource]:
    return {item.id: item for item in discover(paths) if isinstance(item, ModelSource)}


def rejected(*paths: Path) -> list[Rejected]:
    return [item for item in discover(paths) if isinstance(item, Rejected)]


def cached(hub: Path, name: str, revisions: dict[str, int], *, main: str) -> Path:
    """A hub cache repository whose revisions link blobs by the seed of their weights."""
    repository = hub / f"models--{name.replace('/', '--')}"
    (repository / "blobs").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(main)
    for revision, seed in revisions.items():
        snapshot = repository / "snapshots" / revision
        snapshot.mkdir(parents=True)
        save_file({"w": np.full((2, 2), seed, np.float32)}, repository / "blobs" / f"w{seed}")
        (repository / "blobs" / f"card{revision}").write_text(f"---\nlicense: {revision}\n---\n")
        (snapshot / "model.safetensors").symlink_to(f"../../blobs/w{seed}")
        (snapshot / "README.md").symlink_to(f"../../blobs/card{revision}")
    return repository


def test_a_model_is_named_by_its_path_within_the_lake(tmp_path: Path, write_model) -> None:
    write_model(tmp_path / "team" / "model", config={"architectures": ["X"]}, card="hello")
    source = found(tmp_path)["team/model"]
    assert (source.name, source.organization) == ("model", "team")
    assert [item.base for item in source.documents] == ["README.md", "config.json"]
    assert source.weights[0].config is not None
    assert source.weights[0].format == "safetensors"


def test_a_directory_that_is_the_model_lends_it_its_name(tmp_path: Path, write_model) -> None:
    assert set(found(write_model(tmp_path / "solo", config={}))) == {"solo"}


def test_files_that_bear_names_and_share_no_config_are_models_of_their_own(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "one.safetensors")
    save_file(TENSORS, tmp_path / "two.safetensors")
    (tmp_path / "README.md").write_text("about the lake")
    assert set(found(tmp_path)) == {"one", "two"}


def test_variants_in_one_folder_are_one_model(tmp_path: Path, write_model) -> None:
    write_model(tmp_path / "m", config={})
    save_file(TENSORS, tmp_path / "m" / "model.fp16.safetensors")
    assert [item.component for item in found(tmp_path)["m"].weights] == ["", "fp16"]


def test_a_format_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    save_file(TENSORS, tmp_path / "m" / "pytorch_model.bin")
    assert found(tmp_path)["m"].weights[0].format == "safetensors"


def test_training_state_is_not_weights(tmp_path: Path, write_model) -> None:
    folder = write_model(tmp_path / "m", config={})
    (folder / "optimizer.pt").write_bytes(b"\x80\x02.")
    (folder / "training_args.bin").write_bytes(b"\x80\x02.")
    assert len(found(tmp_path)["m"].weights) == 1


def test_a_hub_cache_gives_names_and_revisions_and_reads_shared_blobs_once(tmp_path: Path) -> None:
    cached(tmp_path, "org/name", {"aaa": 1, "bbb": 2, "ccc": 1}, main="bbb")
    cached(tmp_path, "plain", {"aaa": 3}, main="aaa")
    models = found(tmp_path)
    assert set(models) == {"org/name", "plain"}
    assert models["org/name"].revision == "bbb"
    assert [item.revision for item in models["org/name"].weights] == ["bbb", "aaa"]


@pytest.mark.parametrize("given", ["", "snapshots/aaa", "snapshots/aaa/model.safetensors"])
def test_any_part_of_a_hub_cache_can_be_given(tmp_path: Path, given: str) -> None:
    repository = cached(tmp_path / "hub", "org/name", {"aaa": 1}, main="aaa")
    source = found(repository / given)["org/name"]
    assert source.weights[0].format == "safetensors"
    assert [item.base for item in source.documents] == ["README.md"]


def test_shards_belong_to_their_index(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    names = {f"w{number}": f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
    for tensor, file in names.items():
        save_file({tensor: TENSORS["w"]}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    (weights,) = found(tmp_path)["m"].weights
    assert [item.base for item in weights.files] == ["model.safetensors.index.json", *names.values()]


def test_the_parts_of_a_pipeline_are_components_of_one_model(tmp_path: Path) -> None:
    folder = tmp_path / "org" / "pipeline"
    for part in ("unet", "vae"):
        (folder / part).mkdir(parents=True)
        save_file(TENSORS, folder / part / "diffusion_pytorch_model.safetensors")
        (folder / part / "config.json").write_text("{}")
    (folder / "model_index.json").write_text("{}")
    weights = found(tmp_path)["org/pipeline"].weights
    assert [(item.component, item.is_part) for item in weights] == [("unet", True), ("vae", True)]


def test_two_models_of_one_name_are_a_conflict_and_the_first_stays(tmp_path: Path, write_model) -> None:
    write_model(tmp_path / "one" / "team" / "m", seed=1, config={})
    write_model(tmp_path / "two" / "team" / "m", seed=2, config={})
    items = list(discover([tmp_path / "one", tmp_path / "two"]))
    assert [type(item) for item in items] == [ModelSource, Rejected]
    assert isinstance(items[1].error, NameConflictError)


def test_the_same_files_given_twice_are_one_model(tmp_path: Path, write_model) -> None:
    write_model(tmp_path / "m", config={})
    assert len(list(discover([tmp_path, tmp_path]))) == 1


def test_links_out_of_the_lake_and_special_files_are_refused_aloud(tmp_path: Path, write_model) -> None:
    lake = tmp_path / "lake"
    write_model(lake / "m", config={})
    outside = write_model(tmp_path / "secret")
    (lake / "m" / "extra.safetensors").symlink_to(outside / "model.safetensors")
    (lake / "loop").symlink_to(lake)
    os.mkfifo(lake / "pipe.safetensors")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(lake / "socket"))
    faults = {item.location: item.error for item in rejected(lake)}
    assert set(faults) == {"loop", "m/extra.safetensors", "pipe.safetensors", "socket"}
    assert all(isinstance(error, UnsafeFileError) for error in faults.values())
    assert [item.base for item in found(lake)["m"].weights[0].files] == ["model.safetensors"]


def test_hostile_names_are_cleaned(tmp_path: Path) -> None:
    for name in ("a\nb", "c\x1b[31m", os.fsdecode(b"d\xff")):
        (tmp_path / name).mkdir()
        save_file(TENSORS, tmp_path / "plain.safetensors")
        shutil.move(tmp_path / "plain.safetensors", tmp_path / name / "model.safetensors")
    names = set(found(tmp_path))
    assert names == {"a\ufffdb", "c\ufffd[31m", "d?"}


def test_discovery_is_deterministic(tmp_path: Path, write_model) -> None:
    for name in ("b/x", "a/y", "c"):
        write_model(tmp_path / name, config={})
    assert list(discover([tmp_path])) == list(discover([tmp_path]))
    assert list(found(tmp_path)) == ["a/y", "b/x", "c"]


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PathNotFoundError):
        list(discover([tmp_path / "nowhere"]))


def test_a_lake_without_models_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(EmptyLakeError):
        list(discover([tmp_path]))


def test_the_signature_changes_with_the_files(tmp_path: Path, write_model) -> None:
    folder = write_model(tmp_path / "m", config={})
    before = found(tmp_path)["m"].signature
    assert before == found(tmp_path)["m"].signature
    (folder / "README.md").write_text("new")
    assert found(tmp_path)["m"].signature != before
