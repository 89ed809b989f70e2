"""The data sets' screen in use, run by Streamlit's own test harness on a real store."""

from __future__ import annotations

import re

import pytest
import streamlit as st

from graph_schema.graph import Edge, Rows
from graph_schema.labels import Label, Relation
from graph_schema.records import Dataset, DatasetVersion
from tests.unit.dashboard.opening import opened_on
from tests.unit.dashboard.sample_data import MANY, data_rows
from tests.unit.dashboard.sample_lake import HOSTILE, fill, sample_rows, version_id
from tests.unit.dashboard.test_dashboard_flows import data, drawing, page, texts, well


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with opened_on(fill(tmp_path_factory.mktemp("sample-data"), sample_rows() + data_rows())):
        yield


def listed(app) -> list[str]:
    found = (re.fullmatch(r"dataset (.*) open", button.key or "") for button in app.button)
    return [match[1] for match in found if match]


def test_the_list_is_searched_narrowed_and_paged(opened) -> None:
    app = page(screen="datasets")
    first = listed(app)
    assert len(first) < MANY
    well(app.button(key="datasets_pager on").click().run())
    assert not set(first) & set(listed(app))
    assert app.query_params["page"] == "2"
    well(app.text_input(key="data_text").set_value("score").run())
    assert listed(app) == ["acme/reviews"]
    assert app.query_params["find"] == "score"
    well(app.text_input(key="data_text").set_value("nothing like it").run())
    assert any("No data set passes" in item.value for item in app.info)


def test_a_data_set_leads_to_its_relations_evidence_and_models(opened) -> None:
    app = page(screen="datasets", find="reviews")
    well(app.button(key="dataset acme/reviews open").click().run())
    assert app.query_params["dataset"] == "acme/reviews"
    evidence = [button for button in app.button if button.key.endswith(" evidence")]
    assert len(evidence) == 2
    (overlap,) = (item for item in evidence if "acme/reviews-1" in item.key)
    well(overlap.click().run())
    assert "300 of 1,000 rows seen" in texts(data(app, f"{overlap.key.removesuffix(' evidence')} seen"))
    again = page(**app.query_params)
    assert any(button.label == "Hide the evidence" for button in again.button)
    well(app.button(key="all_datasets").click().run())
    assert listed(app) == ["acme/reviews"]
    assert app.text_input(key="data_text").value == "reviews"
    well(app.button(key="dataset acme/reviews open").click().run())
    well(app.button(key=f"use {version_id('org/chat')} open").click().run())
    assert "chat" in drawing(app)
    assert "screen" not in app.query_params


def test_a_model_leads_to_its_data(opened) -> None:
    app = page(model="org/chat")
    assert "asks for no commercial use" in texts(data(app, "trained_on acme/reviews licence"))
    well(app.button(key="trained_on acme/reviews").click().run())
    assert app.query_params["dataset"] == "acme/reviews"
    well(app.button_group(key="screen_choice").set_value("Lineage").run())
    assert "chat" in drawing(app)


def test_hostile_data_sets_are_nowhere_markup(opened) -> None:
    for app in (page(screen="datasets", find="bold"), page(screen="datasets", dataset=HOSTILE)):
        assert not app.warning
        for item in (*app.markdown, *app.button):
            shown = item.label if item.type == "button" else item.value
            assert not re.search(r"(?<!\\)(<img|\]\(https|:red\[x)", shown)


@pytest.mark.parametrize("address", [{"dataset": "no/such"}, {"page": "999"}, {"kept": "x", "order": "y"}])
def test_a_stale_permalink_is_no_accident(opened, address) -> None:
    app = page(screen="datasets", **address)
    assert app.warning or listed(app)


def test_a_lake_of_data_alone_is_not_called_empty(tmp_path, monkeypatch) -> None:
    states = [Dataset(id="words", name="words"), DatasetVersion(id="words-1", name="words", rows=7)]
    has = Edge(
        relation=Relation.HAS_VERSION,
        source=(Label.DATASET, "words"),
        target=(Label.DATASET_VERSION, "words-1"),
        properties={"number": 1, "path": "words.csv"},
    )
    fill(tmp_path, Rows.of(states, [has]))
    monkeypatch.setenv("MODELLAKE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("MODELLAKE_STORE", raising=False)
    from dashboard.session import open_lake

    st.cache_resource.clear()
    try:
        assert not page().code
        assert listed(page(screen="datasets")) == ["words"]
        open_lake().close()
    finally:
        st.cache_resource.clear()


def test_a_lake_without_data_says_what_to_do(tmp_path, monkeypatch) -> None:
    fill(tmp_path, Rows())
    monkeypatch.setenv("MODELLAKE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("MODELLAKE_STORE", raising=False)
    from dashboard.session import open_lake

    st.cache_resource.clear()
    try:
        assert any("modellake ingest" in item.value for item in page(screen="datasets").code)
        open_lake().close()
    finally:
        st.cache_resource.clear()
