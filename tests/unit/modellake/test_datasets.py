"""Data sets beside models: ingest, relations, claims, and the command that shows them."""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from graph_schema.errors import NameConflictError, UnknownNameError
from graph_schema.labels import Relation
from modellake.dataset_resolution import dataset_resolver
from tests.unit.modellake.small_models import card, weights, write_model, write_rows


def table(start: int, stop: int) -> pa.Table:
    places = range(start, stop)
    return pa.table({"id": list(places), "text": [f"row {place}" for place in places]})


def ingest(data, lake, **more):
    return data.ingest([lake], isolated=False, **more)


def links(data, name: str) -> set[tuple[str, bool, str]]:
    return {(link.relation, link.forward, link.name) for link in data.dataset(name).links}


def test_data_and_models_are_read_together_and_once(data, lake):
    write_rows(lake / "data/words.csv", range(0, 50))
    write_model(lake / "acme/base", weights(1), card(license="mit"))
    first = ingest(data, lake)
    assert (first.datasets, first.models, first.problems) == (["data/words"], ["acme/base"], [])
    again = ingest(data, lake)
    assert (again.datasets, again.models, sorted(again.unchanged)) == ([], [], ["acme/base", "data/words"])


def test_what_has_not_changed_is_not_opened_again(data, lake, monkeypatch):
    write_rows(lake / "words.csv", range(0, 50))
    ingest(data, lake)
    monkeypatch.setattr("ingest.datasets.reading.read_dataset", None)
    assert ingest(data, lake).unchanged == ["words"]


def test_a_moved_lake_is_the_same_data(data, lake, tmp_path):
    write_rows(lake / "words.csv", range(0, 50))
    ingest(data, lake)
    lake.rename(tmp_path / "moved")
    assert ingest(data, tmp_path / "moved").unchanged == ["words"]


def test_a_lake_of_data_alone_is_no_empty_lake(data, lake):
    write_rows(lake / "words.csv", range(0, 50))
    assert ingest(data, lake).datasets == ["words"]


def test_a_changed_file_is_the_next_state_of_its_data_set(data, lake):
    write_rows(lake / "words.csv", range(0, 50))
    ingest(data, lake)
    write_rows(lake / "words.csv", range(0, 60))
    ingest(data, lake)
    detail = data.dataset("words")
    assert [(state.number, state.rows) for state in detail.states] == [(2, 60), (1, 50)]
    (revision,) = (link for link in detail.links if link.relation is Relation.REVISED_FROM and link.forward)
    assert (revision.summary, revision.share) == ("10 rows added", pytest.approx(50 / 60))
    assert any(link.relation is Relation.SUBSET_OF and not link.forward for link in detail.links)
    evidence = {item.kind for item in data.edit(revision.edit).evidence}
    assert {"succession", "containment", "reverse_containment", "similarity", "key"} <= evidence


def test_relations_between_data_sets(data, lake):
    write_rows(lake / "whole.csv", range(0, 100))
    parquet.write_table(table(0, 100), lake / "copy.parquet")
    write_rows(lake / "part.csv", range(10, 30))
    write_rows(lake / "other.csv", range(90, 150))
    ingest(data, lake)
    assert links(data, "whole") == {
        ("SAME_ROWS_AS", False, "copy")
        if data.dataset("whole").entry.version < data.dataset("copy").entry.version
        else ("SAME_ROWS_AS", True, "copy"),
        ("SUBSET_OF", False, "part"),
        ("OVERLAPS_WITH", False, "other"),
    }
    assert ("SUBSET_OF", False, "part") in links(data, "copy")


def test_relations_are_replaced_not_added_to(data, lake):
    write_rows(lake / "whole.csv", range(0, 100))
    write_rows(lake / "part.csv", range(10, 30))
    ingest(data, lake)
    write_rows(lake / "stranger.csv", range(900, 999))
    before = {row["name"]: row["count"] for row in data.statistics() if row["what"] == "relationship"}
    ingest(data, lake)
    after = {row["name"]: row["count"] for row in data.statistics() if row["what"] == "relationship"}
    assert before["SUBSET_OF"] == after["SUBSET_OF"] == 1
    assert before["SUPPORTED_BY"] == after["SUPPORTED_BY"]


def test_relations_that_an_interruption_left_out_are_made_the_next_time(data, lake, monkeypatch):
    write_rows(lake / "whole.csv", range(100))
    write_rows(lake / "part.csv", range(10, 30))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lineage.dataset_relations.relate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest(data, lake)
    assert links(data, "part") == set()
    assert ingest(data, lake).datasets == []
    assert links(data, "part") == {("SUBSET_OF", True, "whole")}
    monkeypatch.setattr("lineage.dataset_relations.relate", interrupted)
    ingest(data, lake)


def test_snapshots_of_a_hub_cache_follow_one_another(data, lake):
    for number, (revision, last) in enumerate((("fff", 50), ("aaa", 60))):
        file = write_rows(lake / f"datasets--acme--words/snapshots/{revision}/train.csv", range(last))
        os.utime(file, (1_000_000 + number, 1_000_000 + number))
    assert ingest(data, lake).datasets == ["acme/words", "acme/words"]
    detail = data.dataset("acme/words")
    assert [(state.number, state.rows) for state in detail.states] == [(2, 60), (1, 50)]
    assert ("REVISED_FROM", True, "acme/words") in links(data, "acme/words")


def test_the_same_bytes_twice_are_one_state_of_two_data_sets(data, lake):
    write_rows(lake / "a/words.csv", range(0, 50))
    write_rows(lake / "b/words.csv", range(0, 50))
    ingest(data, lake)
    assert data.dataset("a/words").states[0].datasets == ("a/words", "b/words")
    with pytest.raises(NameConflictError, match="a/words, b/words"):
        data.dataset("words")


def test_a_claim_leads_to_the_data_whichever_came_first(data, lake):
    write_model(lake / "models/early", weights(1), card(datasets=["acme/words", "imdb"]))
    ingest(data, lake)
    assert data.dataset("acme/words").entry.ghost
    write_rows(lake / "acme/words/train.csv", range(0, 50))
    write_model(lake / "models/late", weights(2), card(datasets=["acme/words"]))
    ingest(data, lake)
    detail = data.dataset("acme/words")
    assert not detail.entry.ghost
    assert [use.models for use in detail.uses] == [("models/early",), ("models/late",)]
    assert detail.entry.location is not None
    assert [(entry.id, entry.ghost) for entry in data.datasets()] == [("acme/words", False), ("imdb", True)]
    ghosts = [row["count"] for row in data.statistics() if row["name"] == "DatasetVersion"]
    assert ghosts == [2]


def test_a_claim_keeps_its_evidence_when_its_data_arrives(data, lake):
    write_model(lake / "models/one", weights(1), card(datasets=["words"]))
    ingest(data, lake)
    write_rows(lake / "data/words.csv", range(0, 50))
    ingest(data, lake)
    (use,) = data.dataset("data/words").uses
    (seen,) = data.edit(use.edit).evidence
    assert (seen.kind, seen.file, seen.field) == ("card_datasets", "README.md", "datasets")


def test_names_that_models_claim(data, lake):
    write_rows(lake / "data/words/train.csv", range(0, 50))
    write_rows(lake / "one/same.csv", range(0, 51))
    write_rows(lake / "two/same.csv", range(0, 52))
    (lake / "named").mkdir()
    write_rows(lake / "named/rows.csv", range(0, 53))
    described = {"name": "Good Rows", "url": "https://example.org/datasets/acme/good-rows"}
    (lake / "named/croissant.json").write_text(json.dumps(described))
    ingest(data, lake)
    resolve = dataset_resolver(data._store)
    found = {entry.id: entry.version for entry in data.datasets()}
    assert resolve("data/words") == resolve("words") == resolve("DATA/Words") == found["data/words"]
    assert resolve("Good Rows") == resolve("acme/good-rows") == resolve("named") == found["named"]
    assert resolve("one/same.csv") == resolve("./one/same") == found["one/same"]
    assert resolve("same") is None
    assert resolve("other/words") is None


def test_a_bad_file_is_one_line_and_the_rest_is_read(run, lake):
    write_rows(lake / "good.csv", range(0, 50))
    (lake / "bad\n\x1b[31m.parquet").write_bytes(b"PAR1 no table PAR1")
    done = run("ingest", lake)
    assert done.code == 0
    assert "1 datasets read" in done.out
    (line,) = (line for line in done.err.splitlines() if "left out" in line)
    assert "bad" in line
    assert "\x1b" not in done.err
    assert run("ingest", "--strict", lake).code == 1


def test_the_command_lists_and_shows(shared, data, lake):
    write_rows(lake / "data/words.csv", range(0, 1500))
    write_rows(lake / "data/part.csv", range(0, 300))
    write_model(lake / "acme/base", weights(1), card(datasets=["data/words", "imdb"]))
    ingest(data, lake)
    listed = shared("datasets")
    assert "data/words" in listed.out
    assert "1,500" in listed.out
    assert "only named" in listed.out
    rows = {row["id"]: row for row in shared("datasets", "--json").json}
    assert (rows["data/words"]["rows"], rows["data/words"]["models"], rows["imdb"]["ghost"]) == (1500, 1, True)
    shown = shared("datasets", "words").out
    claimed = "acme/base: README.md (datasets) names data/words"
    for said in ("1,500 rows", "id: int64", "superset of data/part", claimed):
        assert said in shown
    detail = shared("datasets", "data/words", "--json").json
    assert detail["relations"][0]["relation"] == "SUBSET_OF"
    assert detail["trained"][0]["models"] == ["acme/base"]
    assert shared("datasets", "imdb").out.startswith("imdb")
    missing = shared("datasets", "nothing")
    assert (missing.code, len(missing.err.splitlines())) == (1, 1)


def test_splits_that_documents_state_otherwise_are_said(shared, data, lake):
    write_rows(lake / "words/train.csv", range(90))
    info = {"splits": {"train": {"name": "train", "num_examples": 100}, "test": {"name": "test", "num_examples": 1}}}
    (lake / "words/dataset_info.json").write_text(json.dumps(info))
    ingest(data, lake)
    shown = shared("datasets", "words").out
    assert "declared splits: train: 100, test: 1" in shown
    assert "the documents state 100 rows of train, 90 were counted" in shown


def test_rows_of_a_test_that_are_trained_on_are_said(shared, data, lake):
    write_rows(lake / "words/train.csv", range(100))
    write_rows(lake / "words/test.csv", range(95, 115))
    write_rows(lake / "clean/train.csv", range(500, 600))
    write_rows(lake / "clean/test.csv", range(600, 610))
    write_rows(lake / "leak.csv", range(600, 700))
    ingest(data, lake)
    assert data.dataset("words").states[0].shared_splits == ("test in train: 25.0%",)
    assert "rows in two splits: test in train: 25.0%" in shared("datasets", "words").out
    assert data.dataset("clean").states[0].shared_splits == ()
    (link,) = data.dataset("leak").links
    said = [item.statement for item in data.edit(link.edit).evidence if item.kind.startswith("split")]
    assert said == ["100.0% of the other's split test (10 rows) are here"]


def test_an_empty_lake_lists_nothing(shared, data):
    assert shared("datasets").out == ""
    assert shared("datasets", "--json").json == []
    with pytest.raises(UnknownNameError):
        data.dataset("any")


def test_exports_and_lineage_do_not_mind_data(data, lake):
    write_rows(lake / "words.csv", range(0, 50))
    write_model(lake / "acme/base", weights(1), card(datasets=["words"]))
    ingest(data, lake)
    data.infer()
    for form in ("bibtex", "dot", "json", "mermaid"):
        assert "acme/base" in data.export("acme/base", form)
    assert [use.models for use in data.dataset("words").uses] == [("acme/base",)]
