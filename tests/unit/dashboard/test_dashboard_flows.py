"""The main flows of the page, run by Streamlit's own test harness on a real store."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from graph_schema.graph import Rows
from modellake import Lake
from tests.unit.dashboard.opening import opened_on
from tests.unit.dashboard.sample_lake import FINE_TUNES, HOSTILE, fill, version_id
from tests.unit.modellake.small_models import trained, weights, write_model

APP = Path(__file__).parents[3] / "dashboard" / "app.py"


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    return fill(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def opened(sample):
    with opened_on(sample):
        yield


def page(**address: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    return well(app.run())


def well(app: AppTest) -> AppTest:
    assert not app.exception
    return app


def data(app: AppTest, key: str) -> dict:
    (found,) = (item.proto for item in app.get("bidi_component") if item.proto.id.endswith(f"-{key}"))
    return json.loads(found.json)


def drawing(app: AppTest) -> dict[str, dict]:
    return {node["title"]: node for node in data(app, "lineage_graph")["nodes"]}


def texts(block: dict) -> str:
    return " ".join([block.get("text", ""), *(texts(child) for child in block.get("children", ()))])


def test_it_opens_on_a_search_box_and_an_overview(opened) -> None:
    app = page()
    assert [box.placeholder for box in app.text_input] == ["Search models and versions by name or id"]
    assert "20 versions" in " ".join(texts(data(app, "counts")).split())
    assert any(button.key == "root ghost:upstream/giant" for button in app.button)
    assert any("stray" in button.label for button in app.button)


def test_searching_and_choosing_draws_one_hop_each_way(opened) -> None:
    app = page()
    well(app.text_input[0].set_value("org/ba").run())
    (result,) = (button for button in app.button if button.key.startswith("result"))
    well(result.click().run())
    assert app.query_params["model"] == version_id("org/base")
    assert {"giant", "base", "chat", "adapter", f"{FINE_TUNES} fine-tuned"} <= drawing(app).keys()
    assert "merge" not in drawing(app)
    assert app.text_input[0].value == ""


def test_nothing_found_says_so(opened) -> None:
    app = page()
    well(app.text_input[0].set_value("no-such-model").run())
    assert any("Nothing is called" in item.value for item in app.markdown)


def test_expanding_keeps_every_place_and_collapsing_undoes_it(opened) -> None:
    app = page(model="org/base", at=f"node:{version_id('org/chat')}")
    before = drawing(app)
    well(app.button(key="expand").click().run())
    after = drawing(app)
    assert {"merge", "chat-q4"} <= after.keys() - before.keys()
    assert all(
        (after[name]["x"], after[name]["y"]) == (node["x"], node["y"]) for name, node in before.items() if name in after
    )
    assert app.query_params["open"] == version_id("org/chat")
    well(app.button(key="collapse").click().run())
    assert drawing(app).keys() == before.keys()


def test_a_permalink_shows_the_same_again(opened) -> None:
    first = page(model="org/base", at=f"node:{version_id('org/chat')}")
    well(first.button(key="expand").click().run())
    again = page(**first.query_params)
    assert drawing(again).keys() == drawing(first).keys()


def test_a_group_opens_and_folds(opened) -> None:
    group = f"FINE_TUNED_FROM:{version_id('org/base')}"
    app = page(model="org/base", group=group, at=f"node:{version_id('org/tune-03')}")
    assert "tune-11" in drawing(app)
    well(app.button(key="fold").click().run())
    assert "tune-11" not in drawing(app)


def test_filters_narrow_what_is_drawn_and_say_how_much(opened) -> None:
    app = page(model="org/base")
    well(app.slider(key="confidence_choice").set_value(90).run())
    assert "17 versions drawn" in texts(data(app, "legend"))
    edges = data(app, "lineage_graph")["edges"]
    assert all(edge["strength"] >= 0.9 for edge in edges)
    assert app.query_params["confidence"] == "0.90"
    well(app.button(key="reset").click().run())
    well(app.button_group(key="basis_choice").set_value("declared").run())
    assert all(edge["declared"] for edge in data(app, "lineage_graph")["edges"])
    well(app.button(key="reset").click().run())
    well(app.button_group(key="relation_choice").set_value(["adapter"]).run())
    assert drawing(app).keys() == {"base", "adapter"}


def test_an_edge_shows_its_evidence_and_the_contradiction(opened) -> None:
    app = page(model="lab/stray")
    choice = app.selectbox(key="edge_choice")
    well(choice.select(next(option for option in choice.options if "declared" in option)).run())
    text = texts(data(app, "evidence_panel"))
    assert "Claim contradicted by the weights" in text
    assert "README.md · base_model" in text
    assert "org/chat" in text


def test_hostile_names_are_nowhere_markup(opened) -> None:
    app = page(model=HOSTILE)
    assert HOSTILE in texts(data(app, "evidence_panel"))
    for item in (*app.markdown, *app.button):
        shown = item.label if item.type == "button" else item.value
        assert not re.search(r"(?<!\\)(<img|\]\(https|:red\[x)", shown)
    assert not any("hostile" in str(item.proto) for item in app.get("html"))


def test_cypher_is_run_and_refused_in_one_line(opened) -> None:
    app = page(screen="cypher")
    well(app.text_area[0].set_value("MATCH (v:Version) RETURN v.name AS name ORDER BY name LIMIT 3").run())
    well(app.button(key="run_query").click().run())
    assert len(app.dataframe[0].value) == 3
    for bad in ("MATCH (v:Version) DETACH DELETE v", "MATCH (v RETURN v"):
        app.text_area[0].set_value(bad).run()
        well(app.button(key="run_query").click().run())
        (error,) = app.error
        assert "\n" not in error.value
        assert not app.dataframe
    well(app.selectbox(key="query_example").select("parents").run())
    assert "$version" in app.text_area[0].value
    assert json.loads(app.text_area[1].value).keys() == {"version", "min_confidence"}


def test_findings_lead_to_the_graph(opened) -> None:
    app = page(screen="findings")
    first = app.button(key=f"finding {version_id('lab/stray')} open")
    well(first.click().run())
    assert "stray" in drawing(app)


def test_findings_are_searched_and_paged(opened, monkeypatch) -> None:
    monkeypatch.setattr("dashboard.screens.findings._SHOWN", 5)
    app = page(screen="findings")

    def shown() -> set[str]:
        return {button.key for button in app.button if re.fullmatch(r"finding \w+ open", button.key or "")}

    first = shown()
    assert len(first) == 5
    well(app.button(key="findings_pager on").click().run())
    assert shown()
    assert not first & shown()
    well(app.text_input(key="findings_text").set_value("STRAY").run())
    assert shown() == {f"finding {version_id('lab/stray')} open"}
    well(app.text_input(key="findings_text").set_value("nothing like it").run())
    assert any("No finding passes" in item.value for item in app.info)


@pytest.mark.parametrize("address", [{"model": "no/such"}, {"model": "org/base", "at": "edge:x:y", "open": ["gone"]}])
def test_a_stale_permalink_is_no_accident(opened, address) -> None:
    app = page(**address)
    assert app.warning or drawing(app)


def test_an_empty_lake_says_what_to_do(tmp_path, monkeypatch) -> None:
    fill(tmp_path, Rows())
    monkeypatch.setenv("MODELLAKE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("MODELLAKE_STORE", raising=False)
    from dashboard.session import open_lake

    st.cache_resource.clear()
    try:
        app = page()
        assert any("modellake ingest" in item.value for item in app.code)
        open_lake().close()
    finally:
        st.cache_resource.clear()


def test_a_hidden_parent_and_what_is_open_are_explained(tmp_path, monkeypatch) -> None:
    base = weights(1, layers=3, width=48)
    for seed, name in ((1, "zoo/one"), (2, "zoo/two")):
        write_model(tmp_path / "lake" / name, trained(base, seed))
    write_model(tmp_path / "lake/solo/alone", weights(9, layers=3, width=48))
    with Lake(tmp_path / "data") as lake:
        lake.ingest([tmp_path / "lake"], isolated=False)
        lake.infer()
        (hidden,) = (node for node in lake.whole_lineage().nodes if node.implied)
    monkeypatch.setenv("MODELLAKE_DIRECTORY", str(tmp_path / "data"))
    monkeypatch.delenv("MODELLAKE_STORE", raising=False)
    from dashboard.session import open_lake

    st.cache_resource.clear()
    st.cache_data.clear()
    try:
        app = page()
        assert any(button.key == f"root {hidden.id}" for button in app.button)
        app = page(model=hidden.id)
        assert drawing(app).keys() == {"hidden parent", "one", "two"}
        assert "the weights of its children imply it" in texts(data(app, "evidence_panel"))
        (edge, _) = data(app, "lineage_graph")["edges"]
        said = " ".join(texts(data(page(model=hidden.id, at=edge["id"]), "evidence_panel")).split())
        assert "What would change this The missing version itself" in said
        assert re.search(r"neither this version nor zoo/(one|two) was made from the other", said)
        assert "No kin; none of the 2 others" in texts(data(page(model="solo/alone"), "evidence_panel"))
        open_lake().close()
    finally:
        st.cache_resource.clear()
        st.cache_data.clear()


def test_a_store_that_does_not_answer_is_one_line(monkeypatch) -> None:
    monkeypatch.setenv("MODELLAKE_STORE", "bolt://user:secret@127.0.0.1:1")
    st.cache_resource.clear()
    try:
        app = page()
    finally:
        st.cache_resource.clear()
    (error,) = app.error
    assert "\n" not in error.value
    assert "secret" not in error.value
