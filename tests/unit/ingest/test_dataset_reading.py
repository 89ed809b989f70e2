"""One data set, read: its id, its schema, its rows, what its documents say, and the file of its sketch."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
import pytest
from matplotlib.image import imsave

from graph_schema.errors import FingerprintError, FormatError, PathNotFoundError
from ingest.datasets.descriptions import read_croissant
from ingest.datasets.discovery import discover_datasets
from ingest.datasets.reading import DatasetReading, read_dataset
from ingest.datasets.sketch_file import read_sketch, sketch_bytes, write_sketch

ROWS = pa.table({"id": list(range(100)), "text": [f"row {place}" for place in range(100)]})


def read(root: Path) -> DatasetReading:
    (source,) = discover_datasets([root])
    return read_dataset(source)


def test_the_id_is_of_the_content_not_of_the_name(tmp_path):
    for name in ("one/a.csv", "two/b.csv", "three/c.csv"):
        (tmp_path / name).parent.mkdir()
        arrow_csv.write_csv(ROWS.slice(0, 50 if "three" in name else 100), tmp_path / name)
    one, two, three = (read(tmp_path / name) for name in ("one", "two", "three"))
    assert one.version.id == two.version.id != three.version.id


def test_the_id_of_several_files_knows_their_names_but_not_their_place(tmp_path):
    for folder, names in (("a", ("train", "test")), ("deep/er/b", ("train", "test")), ("c", ("test", "train"))):
        (tmp_path / folder).mkdir(parents=True)
        for name, start in zip(names, (0, 50), strict=True):
            arrow_csv.write_csv(ROWS.slice(start, 50), tmp_path / folder / f"{name}.csv")
    a, b, c = (read(tmp_path / name) for name in ("a", "deep/er/b", "c"))
    assert a.version.id == b.version.id != c.version.id
    assert a.sketch.multiset == c.sketch.multiset
    assert a.version.splits == ("test: 50", "train: 50")


def test_what_is_kept_of_a_table(tmp_path):
    parquet.write_table(ROWS, tmp_path / "words.parquet")
    found = read(tmp_path)
    assert (found.dataset.id, found.version.name, found.version.format) == ("words", "words", "parquet")
    assert (found.version.rows, found.version.files) == (100, 1)
    assert found.version.bytes == (tmp_path / "words.parquet").stat().st_size
    assert found.version.columns == ("id: int64", "text: string")
    assert [(item.name, item.values) for item in found.sketch.columns] == [("id", 100), ("text", 100)]


def test_gzip_changes_the_id_and_no_row(tmp_path):
    for folder in ("plain", "packed"):
        (tmp_path / folder).mkdir()
    arrow_csv.write_csv(ROWS, tmp_path / "plain/a.csv")
    (tmp_path / "packed/a.csv.gz").write_bytes(gzip.compress((tmp_path / "plain/a.csv").read_bytes()))
    plain, packed = read(tmp_path / "plain"), read(tmp_path / "packed")
    assert plain.version.id != packed.version.id
    assert plain.sketch.multiset == packed.sketch.multiset


def test_texts_are_rows_of_lines(tmp_path):
    (tmp_path / "train.txt").write_text("one\n\ntwo\r\nthree", encoding="utf-8")
    (tmp_path / "valid.txt").write_text("four\n", encoding="utf-8")
    found = read(tmp_path)
    assert (found.version.rows, found.version.splits) == (4, ("train: 3", "validation: 1"))


def test_images_are_rows_and_what_is_none_is_left_out(tmp_path):
    for place in range(9):
        (tmp_path / "pets" / str(place % 2)).mkdir(parents=True, exist_ok=True)
        imsave(tmp_path / "pets" / str(place % 2) / f"{place}.png", np.full((4, 4), place / 9))
    (tmp_path / "pets/fake.png").write_text("no picture")
    found = read(tmp_path / "pets")
    assert (found.version.rows, found.version.format, len(found.problems)) == (9, "image", 1)


def test_documents_are_read_croissant_first(tmp_path):
    croissant = {
        "@context": {
            "@vocab": "https://schema.org/",
            "cr": "http://mlcommons.org/croissant/",
            "sc": "https://schema.org/",
        },
        "@type": "sc:Dataset",
        "name": "Words",
        "license": "https://spdx.org/licenses/MIT.html",
        "url": "https://example.org/datasets/acme/words",
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "dataType": "cr:Split",
                "data": [{"default_splits/split_name": "train"}, {"default_splits/split_name": "test"}],
            }
        ],
    }
    card = "---\nlicense: apache-2.0\npretty_name: Other\n---\n```bibtex\n@misc{words,\n  title={Words}\n}\n```\n"
    (tmp_path / "croissant.json").write_text(json.dumps(croissant))
    (tmp_path / "README.md").write_text(card)
    arrow_csv.write_csv(ROWS, tmp_path / "train.csv")
    found = read(tmp_path).dataset
    assert (found.name, found.license) == ("Words", "https://spdx.org/licenses/MIT.html")
    assert (found.url, found.splits) == ("https://example.org/datasets/acme/words", ("train", "test"))
    assert found.citation == "@misc{words,\n  title={Words}\n}"


def test_dataset_infos_state_splits(tmp_path):
    infos = {
        "default": {"license": "mit", "citation": "@x{y}", "splits": {"train": {"name": "train", "num_examples": 9}}}
    }
    (tmp_path / "dataset_infos.json").write_text(json.dumps(infos))
    arrow_csv.write_csv(ROWS, tmp_path / "train.csv")
    found = read(tmp_path).dataset
    assert (found.license, found.splits, found.citation) == ("mit", ("train: 9",), "@x{y}")


def test_a_damaged_document_costs_a_line_and_not_the_data(tmp_path):
    (tmp_path / "croissant.json").write_text("{")
    arrow_csv.write_csv(ROWS, tmp_path / "train.csv")
    found = read(tmp_path)
    assert (found.version.rows, len(found.problems)) == (100, 1)


@pytest.mark.parametrize("value", [7, [], {}, [[]], {"@id": 3}, None])
def test_croissant_of_odd_types_is_no_error(value):
    odd = dict.fromkeys(("name", "license", "url", "citeAs", "recordSet"), value)
    assert read_croissant(odd)["citation"] is None


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.csv", "x.jsonl", "x.json", "x.csv.gz", "x.feather"])
@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"PAR1junkPAR1", b"ARROW1\0\0junk", b'[{"a": 1}, ', b"\xff\xfe"])
def test_a_damaged_file_is_one_clear_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    for source in discover_datasets([tmp_path]):
        with pytest.raises(FormatError) as caught:
            read_dataset(source)
        assert name in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def test_a_table_that_is_mostly_ragged_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1\n2\n3,4\n")
    with pytest.raises(FormatError, match="2 of 3"):
        read(tmp_path)


def test_the_file_of_a_sketch(tmp_path):
    parquet.write_table(ROWS, tmp_path / "words.parquet")
    sketch = read(tmp_path).sketch
    path = tmp_path / "x.sketch"
    write_sketch(path, sketch)
    again = read_sketch(path)
    assert sketch_bytes(again) == path.read_bytes() == sketch_bytes(sketch)
    assert (again.version, again.rows, again.multiset) == (sketch.version, 100, sketch.multiset)
    assert np.array_equal(again.distinct.hashes, sketch.distinct.hashes)
    assert b"row 7" not in path.read_bytes()


def test_the_file_of_a_sketch_holds_its_splits(tmp_path):
    for name, start in (("train", 0), ("test", 80)):
        arrow_csv.write_csv(ROWS.slice(start, 80), tmp_path / f"{name}.csv")
    sketch = read(tmp_path).sketch
    write_sketch(tmp_path / "x.sketch", sketch)
    again = read_sketch(tmp_path / "x.sketch")
    assert [(split.name, split.rows) for split in again.splits] == [("test", 20), ("train", 80)]
    assert sketch_bytes(again) == sketch_bytes(sketch)


def test_a_damaged_sketch_is_an_error(tmp_path):
    parquet.write_table(ROWS, tmp_path / "words.parquet")
    content = sketch_bytes(read(tmp_path).sketch)
    path = tmp_path / "x.sketch"
    for damaged in (b"", content[:100], content[:-8], content[:-1] + b"\xff", b"\xff" * 40):
        path.write_bytes(damaged)
        with pytest.raises(FingerprintError):
            read_sketch(path)
    with pytest.raises(PathNotFoundError):
        read_sketch(tmp_path / "none.sketch")
