"""Data sets in archives: found as if the archive were a folder, read in place, the same data as outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph_schema.errors import NameConflictError
from ingest.datasets.dataset_source import DatasetSource
from ingest.datasets.discovery import IMAGES, discover_datasets
from ingest.datasets.reading import read_dataset
from ingest.model_source import Rejected
from tests.unit.ingest.test_archives import MODEL, tarred, zipped
from tests.unit.ingest.test_dataset_discovery import PNG, found, write

ROWS = "id,text\n" + "".join(f"{number},row {number}\n" for number in range(200))
SPLITS = {"train.csv": ROWS.encode(), "test.csv": b"id,text\n900,another\n"}
CARD = b"---\ntask_categories: [text-classification]\nlicense: mit\n---\n"


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".zip", zipped),
        (".tar", tarred),
        (".tar.gz", lambda members: tarred(members, "w:gz")),
        ("-1.0-py3-none-any.whl", zipped),
        (".zip", lambda members: zipped({"more/inner.zip": zipped(members)})),
    ],
    ids=["zip", "tar", "tar.gz", "wheel", "nested"],
)
def test_an_archive_of_splits_is_the_data_set_that_its_folder_would_be(tmp_path: Path, suffix: str, pack) -> None:
    for name, content in SPLITS.items():
        write(tmp_path / "plain", f"words/{name}", content=content)
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / f"words{suffix}").write_bytes(pack({f"words/{name}": item for name, item in SPLITS.items()}))
    (outside,) = discover_datasets([tmp_path / "plain"])
    (inside,) = discover_datasets([tmp_path / "lake"])
    assert isinstance(outside, DatasetSource)
    assert isinstance(inside, DatasetSource)
    assert inside.id == ("words-1.0" if suffix.endswith(".whl") else "words")
    one, two = read_dataset(outside), read_dataset(inside)
    assert (one.version.id, one.version.rows, one.version.splits) == (two.version.id, 201, two.version.splits)
    given = [item.id for item in discover_datasets([tmp_path / "lake" / f"words{suffix}"])]
    assert given == [inside.id]


def test_an_archive_with_a_card_says_so_and_several_data_sets_keep_their_places(tmp_path: Path) -> None:
    (tmp_path / "said.zip").write_bytes(zipped({"README.md": CARD, "a.csv": b"x\n1\n", "b/c.csv": b"x\n2\n"}))
    (tmp_path / "two.zip").write_bytes(zipped({"people.csv": b"x\n1\n", "places.csv": b"y\n2\n"}))
    assert found(tmp_path) == {
        "said": ["a.csv", "b/c.csv"],
        "two/people": ["people.csv"],
        "two/places": ["places.csv"],
    }


def test_archives_of_two_splits_are_one_data_set(tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    for split in ("train", "test"):
        (tmp_path / "words" / f"{split}.zip").write_bytes(zipped({"rows.csv": ROWS.encode()}))
    assert found(tmp_path) == {"words": ["test/rows.csv", "train/rows.csv"]}


def test_pictures_in_a_compressed_archive_are_a_data_set(tmp_path: Path) -> None:
    members = {f"cat/{number}.png": PNG for number in range(IMAGES)}
    (tmp_path / "cats.tar.gz").write_bytes(tarred(members, "w:gz"))
    write(tmp_path, "rows.csv")
    assert list(found(tmp_path)) == ["cats", "rows"]


def test_a_model_in_an_archive_keeps_its_files_and_so_does_the_model_around_one(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(zipped(MODEL | {"m/log.csv": ROWS.encode(), "m/data/rows.csv": ROWS.encode()}))
    write(tmp_path, "other/config.json", content="{}")
    (tmp_path / "other/results.zip").write_bytes(zipped({"metrics.csv": ROWS.encode()}))
    # It was unpacked beside itself.
    write(tmp_path, "other/results/metrics.csv", content=ROWS)
    assert found(tmp_path) == {"model": ["rows.csv"]}


def test_an_archive_beside_its_own_folder_is_a_second_of_its_name(tmp_path: Path) -> None:
    write(tmp_path, "words/train.csv", content=ROWS)
    (tmp_path / "words.zip").write_bytes(zipped(SPLITS))
    first, second = discover_datasets([tmp_path])
    assert (first.id, [item.members for item in first.files]) == ("words", [()])
    assert isinstance(second, Rejected)
    assert isinstance(second.error, NameConflictError)


def test_members_named_as_if_they_lay_outside_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "rows.zip").write_bytes(zipped({"../../out.csv": ROWS.encode(), "in.csv": ROWS.encode()}))
    (source,) = discover_datasets([tmp_path])
    assert isinstance(source, DatasetSource)
    assert (source.id, [item.name for item in source.files]) == ("rows", ["rows/in.csv"])


def test_a_changed_archive_is_another_state(tmp_path: Path) -> None:
    (tmp_path / "rows.zip").write_bytes(zipped({"in.csv": ROWS.encode()}))
    (before,) = discover_datasets([tmp_path])
    (tmp_path / "rows.zip").write_bytes(zipped({"in.csv": ROWS.encode() + b"777,new\n"}))
    (after,) = discover_datasets([tmp_path])
    assert isinstance(before, DatasetSource)
    assert isinstance(after, DatasetSource)
    assert before.signature != after.signature
    assert read_dataset(after).version.rows == 201
