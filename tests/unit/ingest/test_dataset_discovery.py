"""What is data in a lake, what belongs to a model, and which files are one data set."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from graph_schema.errors import NameConflictError
from ingest.datasets.dataset_source import DatasetSource, Form
from ingest.datasets.discovery import IMAGES, TEXTS, discover_datasets
from ingest.model_source import Rejected

TABLE = "a,b\n1,2\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def write(root: Path, *names: str, content: str | bytes = TABLE) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def write_model(folder: Path) -> None:
    """What a trainer and a hub leave in the folder of a model."""
    folder.mkdir(parents=True)
    save_file({"w": np.zeros((2, 2), np.float32)}, folder / "model.safetensors")
    documents = {
        "config.json": {"model_type": "bert"},
        "tokenizer.json": {"version": "1.0"},
        "tokenizer_config.json": {},
        "special_tokens_map.json": {},
        "added_tokens.json": [{"id": 1, "content": "<x>"}],
        "trainer_state.json": {"log_history": [{"loss": 1.0}]},
        "all_results.json": {"accuracy": 1.0},
        "generation_config.json": {},
    }
    for name, value in documents.items():
        (folder / name).write_text(json.dumps(value))
    write(folder, "README.md", content="---\nlicense: mit\ndatasets: [imdb]\n---\n# A model")
    write(folder, "vocab.txt", "merges.txt", "requirements.txt", content="a\nb\n")
    write(folder, "training_log.csv", "runs/metrics.csv", "eval/predictions.csv", "checkpoint-10/log.csv")
    write(folder, "eval/samples.jsonl", "log.jsonl", content='{"a": 1}\n{"a": 2}\n')
    write(folder, *(f"assets/picture{number}.png" for number in range(IMAGES + 2)), content=PNG)
    write(folder, *(f"logs/{number}.txt" for number in range(TEXTS + 2)), content="x\n")


def found(root: Path) -> dict[str, list[str]]:
    sources = [item for item in discover_datasets([root]) if isinstance(item, DatasetSource)]
    return {item.id: [item.inner_name(file) for file in item.files] for item in sources}


def test_nothing_in_the_folder_of_a_model_is_data(tmp_path):
    write_model(tmp_path / "lake/acme/model")
    assert found(tmp_path / "lake") == {}
    assert found(tmp_path / "lake/acme/model") == {}


def test_data_that_a_model_brings_lies_in_a_folder_called_so(tmp_path):
    write_model(tmp_path / "model")
    write(tmp_path / "model", "data/train.csv", "data/test.csv")
    assert found(tmp_path) == {"model/data": ["test.csv", "train.csv"]}


def test_the_folder_of_a_model_without_weights_is_one(tmp_path):
    write(tmp_path, "tokenizer/tokenizer.json", content="{}")
    write(tmp_path, "tokenizer/vocab.csv", "tokenizer/table.csv")
    assert found(tmp_path) == {}


def test_files_beside_loose_weights_are_data(tmp_path):
    save_file({"w": np.zeros((2, 2), np.float32)}, tmp_path / "lyra.safetensors")
    write(tmp_path, "iris.csv")
    assert found(tmp_path) == {"iris": ["iris.csv"]}


def test_every_file_is_a_data_set_by_itself(tmp_path):
    write(tmp_path, "tables/iris.csv", "tables/wine.csv.gz", "sales_2019.csv", "sales_2020.csv")
    assert sorted(found(tmp_path)) == ["sales_2019", "sales_2020", "tables/iris", "tables/wine"]


def test_two_forms_of_one_name_keep_their_suffix(tmp_path):
    write(tmp_path, "iris.csv", "iris.parquet")
    assert sorted(found(tmp_path)) == ["iris.csv", "iris.parquet"]


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "test.csv", "validation.csv"),
        ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"),
        ("part-00000-3f2a.snappy.parquet", "part-00001-3f2a.snappy.parquet"),
        ("train/a.csv", "test/b.csv"),
        ("data.jsonl",),
    ],
)
def test_splits_and_shards_are_one_data_set(tmp_path, names):
    write(tmp_path, *(f"words/{name}" for name in names))
    assert found(tmp_path) == {"words": sorted(names)}


def test_shards_beside_other_files_are_one_data_set(tmp_path):
    write(tmp_path, "d/big-00000-of-00002.csv", "d/big-00001-of-00002.csv", "d/iris.csv")
    assert sorted(found(tmp_path)) == ["d/big", "d/iris"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("croissant.json", '{"name": "Words"}'),
        ("dataset_infos.json", "{}"),
        ("dataset_info.json", "{}"),
        ("README.md", "---\ntask_categories: [text-classification]\n---\n"),
    ],
)
def test_a_folder_that_says_so_is_one_data_set(tmp_path, name, content):
    write(tmp_path, "words/a.csv", "words/more/b.csv")
    write(tmp_path, f"words/{name}", content=content)
    write(tmp_path, "words/notes.json", content='{"not": "rows"}')
    write(tmp_path, "words/LICENSE.txt", content="free")
    assert found(tmp_path) == {"words": ["a.csv", "more/b.csv"]}


def test_a_hub_cache_names_its_data_sets(tmp_path):
    snapshot = tmp_path / "datasets--acme--words/snapshots/abc"
    blob = tmp_path / "datasets--acme--words/blobs/123"
    write(tmp_path, "datasets--acme--words/blobs/123")
    (snapshot / "data").mkdir(parents=True)
    (snapshot / "data/train.csv").symlink_to(blob)
    assert found(tmp_path) == {"acme/words": ["data/train.csv"]}
    assert found(snapshot) == {"acme/words": ["data/train.csv"]}


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ('[{"a": 1}, {"a": 2}]', True),
        ('{"a": 1}\n{"a": 2}\n', True),
        ("[1, 2, 3]", False),
        ('{"a": 1}', False),
        ('{\n "a": {"b": 1}\n}\n', False),
        ("no json", False),
    ],
)
def test_json_is_data_where_it_holds_rows(tmp_path, content, data):
    write(tmp_path, "some.json", content=content)
    assert bool(found(tmp_path)) is data


def test_texts_need_the_name_of_a_split_or_company(tmp_path):
    write(tmp_path, "one/notes.txt", "two/requirements.txt", *(f"few/{i}.txt" for i in range(TEXTS - 1)))
    write(tmp_path, "wiki/train.txt", "wiki/valid.txt", *(f"corpus/{c}/{i}.txt" for c in "ab" for i in range(TEXTS)))
    assert {name: len(files) for name, files in found(tmp_path).items()} == {"wiki": 2, "corpus": 2 * TEXTS}


def test_images_need_company_and_nothing_else_beside_them(tmp_path):
    write(tmp_path, *(f"pets/{kind}/{i}.png" for kind in ("cat", "dog") for i in range(IMAGES)), content=PNG)
    write(tmp_path, "pets/README.md", "pets/metadata.csv")
    write(tmp_path, *(f"site/{i}.png" for i in range(IMAGES)), "site/index.html", content=PNG)
    write(tmp_path, "few/a.png", content=PNG)
    (source,) = discover_datasets([tmp_path])
    assert (source.id, set(source.forms), len(source.files)) == ("pets", {Form.IMAGE}, 2 * IMAGES)


def test_dumps_of_a_hubs_metadata_are_no_data(tmp_path):
    write(tmp_path, "edges.csv", content="parent,child,relation\na,b,finetune\n")
    cards = json.dumps({"id": "org/name", "card": "---\nlicense: mit\n---\n"}) + "\n"
    write(tmp_path, "deep/cards.jsonl", content=cards)
    write(tmp_path, "packed.jsonl.gz", content=gzip.compress(cards.encode()))
    assert found(tmp_path) == {}


def test_one_file_may_be_given(tmp_path):
    write(tmp_path, "iris.csv", "wine.csv")
    assert found(tmp_path / "iris.csv") == {"iris": ["iris.csv"]}


def test_a_second_data_set_of_a_name_is_rejected_unless_it_is_the_same(tmp_path):
    write(tmp_path, "one/iris.csv", "two/iris.csv")
    first, second = discover_datasets([tmp_path / "one", tmp_path / "two"])
    assert isinstance(first, DatasetSource)
    assert isinstance(second, Rejected)
    assert isinstance(second.error, NameConflictError)
    assert len(list(discover_datasets([tmp_path / "one", tmp_path / "one"]))) == 1


def test_moving_the_lake_changes_no_id_and_no_signature(tmp_path):
    write(tmp_path, "lake/data/iris.csv")
    (before,) = discover_datasets([tmp_path / "lake"])
    (tmp_path / "lake").rename(tmp_path / "moved")
    (after,) = discover_datasets([tmp_path / "moved"])
    assert (before.id, before.signature) == (after.id, after.signature)
