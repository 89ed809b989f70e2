"""The commands on a small lake that has been read: what they print, where, and with which exit code."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from pybtex.database import parse_string

from cypher.embedded import read_endpoint
from cypher.store import Store
from modellake.remembering import recall
from tests.unit.modellake.small_models import card, halved, weights, write_model


def test_the_copy_in_half_precision_is_found(ready):
    edges = ready("lineage", "acme/half", "--up", 1, "--down", 0, "--format", "json").json["edges"]
    said = {(edge["basis"], edge["relation"]) for edge in edges}
    assert said == {("declared", "QUANTIZED_FROM"), ("inferred", "QUANTIZED_FROM")}


def test_claims_are_held_against_the_weights(ready):
    findings = {item["verdict"]: item["statement"] for item in ready("claims", "--json").json}
    assert "zoo/liar names acme/base, but the weights say zoo/liars-base" in findings["contradicted"]
    assert "gone/away" in findings["absent"]
    assert "acme/half" in findings["confirmed"]
    assert [item["verdict"] for item in ready("claims", "zoo/orphan", "--json").json] == ["absent"]


def test_the_tree_names_every_version_and_marks_what_is_absent(ready):
    out = ready("lineage").out
    assert "acme/base" in out
    assert "gone/away (not in the lake)" in out


def test_text_formats(ready, tmp_path):
    assert ready("lineage", "acme/half", "--format", "mermaid").out.startswith("flowchart TD\n")
    assert ready("lineage", "acme/half", "--format", "dot").out.startswith("digraph lineage {")
    keys = parse_string(ready("export", "acme/half").out, "bibtex").entries
    assert set(keys) == {"acme-half", "acme-base"}
    assert ready("export", "acme/half", "--format", "nonsense").code == 1
    outcome = ready("export", "acme/half", "-o", tmp_path / "missing/half.bib")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)


def test_a_picture(ready, tmp_path):
    picture = tmp_path / "lineage.png"
    assert ready("lineage", "--format", "png", "-o", picture).code == 0
    first = picture.read_bytes()
    assert first.startswith(b"\x89PNG")
    ready("lineage", "--format", "png", "-o", picture)
    assert picture.read_bytes() == first
    assert ready("lineage", "--format", "png").code == 1


def test_query_with_parameters(ready):
    rows = ready(
        "query", "MATCH (v:Version {name: $name}) RETURN v.name AS name", "-p", "name=acme/half", "--json"
    ).json
    assert rows == [{"name": "acme/half"}]
    assert "only the first 1 rows" in ready("query", "MATCH (v:Version) RETURN v.id", "--limit", 1).err


@pytest.mark.parametrize(
    "cypher",
    [
        "CREATE (:Model {id: 'x'})",
        "MATCH (v:Version) DETACH DELETE v",
        "MATCH (v:Version) SET v.name = 'x'",
        "LOAD CSV FROM 'file:///etc/passwd' AS row RETURN row",
        "MATCH (v:Version RETURN v",
        "MATCH (v:Version {id: $missing}) RETURN v",
        "",
    ],
)
def test_a_query_that_writes_or_is_malformed_is_refused_in_one_line(ready, cypher):
    outcome = ready("query", cypher)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert ready("query", "MATCH (v:Version) RETURN count(v) AS n", "--json").json == [{"n": 6}]


@pytest.mark.parametrize("pair", ["novalue", "=x", "a b=1"])
def test_a_parameter_is_a_name_and_a_value(ready, pair):
    assert ready("query", "RETURN 1", "-p", pair).code == 1


def test_find_and_resolve(ready):
    out = ready("find", "half").out
    assert "acme/half" in out
    identity = out.split()[0]
    assert ready("lineage", identity).code == 0
    outcome = ready("lineage", "nothing-like-it")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)


def test_explain_says_why_and_what_the_card_says(ready):
    out = ready("infer", "--explain", "acme/half").out
    assert "quantized from acme/base, confidence" in out
    assert "declared: quantized from acme/base" in out
    assert "the most probable root of its family of 2 versions" in ready("infer", "--explain", "acme/base").out


def test_inferring_again_changes_nothing(ready):
    count = "MATCH ()-[r]->() RETURN type(r) AS type, count(r) AS n ORDER BY type"
    before = ready("query", count, "--json").json
    report = ready("infer", "--json").json
    assert report["versions"] == 5
    assert {item["relation"] for item in report["derivations"]} == {"QUANTIZED_FROM"}
    assert ready("query", count, "--json").json == before


def test_doctor_is_well(ready):
    checks = {item["name"]: item["well"] for item in ready("doctor", "--json").json}
    assert checks["store"] is True
    assert all(checks[name] for name in ("graph_schema", "ingest", "lineage", "cypher", "modellake"))
    assert "store" in ready("doctor").out


def test_a_ghost_becomes_the_model_that_arrives(shared, data, lake, tmp_path):
    base = weights(1)
    write_model(lake / "acme/half", halved(base), card(base_model="acme/base"))
    data.ingest([lake], isolated=False)
    assert "acme/base (not in the lake)" in shared("lineage").out
    write_model(lake / "acme/base", base)
    data.ingest([lake], isolated=False)
    data.infer()
    assert "not in the lake" not in shared("lineage").out
    assert [item["verdict"] for item in shared("claims", "--json").json] == ["confirmed"]


def test_weights_only_leaves_claims_out(shared, data, lake):
    base = weights(1)
    write_model(lake / "acme/half", halved(base), card(base_model="acme/base"))
    data.ingest([lake], isolated=False)
    write_model(lake / "acme/base", base)
    data.ingest([lake], isolated=False)
    shared("infer", "--weights-only")
    edges = shared("lineage", "acme/half", "--format", "json").json["edges"]
    assert {edge["basis"] for edge in edges if not edge["parent"].startswith("ghost:")} == {"inferred"}


def test_an_interrupted_inference_keeps_what_was_done(data, lake):
    def interrupted(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    base = weights(1)
    write_model(lake / "acme/base", base)
    write_model(lake / "acme/half", halved(base))
    data.ingest([lake], isolated=False)
    with pytest.raises(KeyboardInterrupt):
        data.infer(progress=interrupted)
    assert len(recall(data.settings.memory).families) == 1
    assert len(data.infer().inference.derivations) == 1


def test_a_circle_of_claims_ends(shared, data, lake, tmp_path):
    write_model(lake / "a/hen", weights(1), card(base_model="a/egg"))
    write_model(lake / "a/egg", weights(2), card(base_model="a/hen"))
    data.ingest([lake], isolated=False)
    data.infer()
    assert shared("lineage").code == 0
    assert shared("lineage", "--format", "png", "-o", tmp_path / "circle.png").code == 0
    assert set(parse_string(shared("export", "a/hen").out, "bibtex").entries) == {"a-hen", "a-egg"}


def test_a_name_of_two_versions_is_not_guessed(shared, data, lake):
    write_model(lake / "a/same", weights(1))
    write_model(lake / "b/same", weights(2))
    data.ingest([lake], isolated=False)
    outcome = shared("lineage", "same")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert "2 versions" in outcome.err


def test_markup_in_a_name_stays_text(shared, data, lake):
    write_model(lake / "a/[red]x[-red]", weights(1))

    data.ingest([lake], isolated=False)
    out = shared("lineage").out
    assert "[red]x[-red]" in out


def test_a_damaged_store_is_one_line(run, lake, tmp_path):
    write_model(lake / "a/one", weights(1))
    run("ingest", lake)
    for file in (tmp_path / "data/store/databases/modellake").iterdir():
        file.write_bytes(b"\0" * 100)
    outcome = run("lineage")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)


def test_a_server_that_is_down_is_one_line(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = run("find", "x", store=f"bolt://user:secret@127.0.0.1:{taken.getsockname()[1]}")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert "secret" not in outcome.err


def test_a_wrong_password_is_one_line_that_does_not_tell_it(run, tmp_path):
    with Store.open(None, directory=tmp_path / "served"):
        endpoint = read_endpoint(tmp_path / "served")
        assert endpoint is not None
        host = f"127.0.0.1:{endpoint.port}"
        outcome = run("find", "x", store=f"bolt://reader:not-the-password@{host}")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert "not-the-password" not in outcome.err


def test_json_of_an_error_is_still_nothing_on_stdout(run, tmp_path):
    outcome = run("ingest", tmp_path / "nowhere", "--json")
    assert outcome.out == ""
    with pytest.raises(json.JSONDecodeError):
        outcome.json  # noqa: B018


def test_the_queries_of_the_readme_find_something(ready):
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    queries = re.findall(r"```cypher\n(.*?)```", readme, flags=re.DOTALL)
    assert len(queries) == 4
    parameters = ["-p", "root=acme/base", "-p", "name=acme/half"]
    answers = [ready("query", text, *parameters, "--json").json for text in queries]
    assert answers[0] == [{"descendant": "acme/half", "steps": 1}]
    assert answers[1][0]["claimed"] == "acme/base"
    (shared,) = answers[2]
    assert (shared["v.name"], shared["data.name"], shared["other.name"]) == ("acme/base", "acme/words", "held/out")
    assert answers[3]


def test_an_answer_without_rows_says_so(ready):
    outcome = ready("query", "MATCH (v:Version {name: 'nobody'}) RETURN v.name")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "no rows\n")
