"""What every store does, on every database."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cypher.library import load_query, query_names
from cypher.migrations import migrate
from cypher.store import Store
from graph_schema.derivation import Observation
from graph_schema.errors import (
    InputError,
    QueryError,
    QueryRefusedError,
    QueryTimeoutError,
    SchemaVersionError,
    UnknownNameError,
)
from graph_schema.graph import Edge, Node, Rows
from graph_schema.labels import Basis, Label, Relation, VersionKind
from graph_schema.records import Agent, Dataset, DatasetVersion, Model, Version
from graph_schema.schema import SCHEMA_VERSION
from tests.contract.small_graphs import data_rows, derivation, lineage, version

SLOW = "UNWIND range(1, 30000) AS a UNWIND range(1, 30000) AS b WITH a, b WHERE a * b = -1 RETURN count(*) AS n"


def everything(store: Store) -> list[str]:
    nodes = store.cypher("MATCH (n) WHERE NOT n:Schema RETURN n")
    edges = store.cypher("MATCH (a)-[r]->(b) RETURN a.id, type(r), b.id, properties(r)")
    return sorted(json.dumps(row, sort_keys=True) for row in (*nodes.rows, *edges.rows))


def counts(store: Store) -> dict[str, int]:
    return {row["name"] + row["basis"]: row["count"] for row in store.query("statistics")}


# Writing


def test_writing_twice_is_writing_once(store):
    rows = lineage(
        derivation("b", "a", observations=(Observation(kind="k", statement="s", method="m", log_odds=1.0),)),
        derivation("b", "a", basis=Basis.DECLARED, claimed_by=Agent(id="org", name="org")),
        derivation("m", "a", "b", relation=Relation.MERGED_FROM),
    )
    first = store.write(rows)
    once = everything(store)
    assert store.write(rows) == first
    assert everything(store) == once
    assert (first.nodes, first.edges) == (8, 13)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz"), st.sampled_from(Basis), st.floats(0, 1)),
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_order_and_repetition_do_not_matter(store, pairs, random):
    parts = [lineage(derivation(child, parent, basis=basis)) for child, parent, basis, _ in pairs]
    for part in parts:
        store.write(part)
    forward = everything(store)
    random.shuffle(parts)
    for part in [*parts, *parts]:
        store.write(part)
    assert everything(store) == forward


def test_a_claim_and_an_inference_stand_side_by_side(store):
    store.write(lineage(derivation("b", "a"), derivation("b", "a", basis=Basis.DECLARED, confidence=1.0)))
    assert [(row["basis"], row["confidence"]) for row in store.query("parents", version="b", min_confidence=0.0)] == [
        ("declared", 1.0),
        ("inferred", 0.9),
    ]


def test_a_property_that_is_left_out_is_removed(store):
    store.write(Rows.of([Model(id="m", name="M", license="mit", tags=("x",))]))
    store.write(Rows.of([Model(id="m", name="M2")]))
    assert store.cypher("MATCH (m:Model) RETURN m.name, m.license, m.tags").rows == (("M2", None, []),)


def test_values_come_back_as_they_went_in(store):
    name = "naïve 模型 \U0001f600 ' \" \\ ` $x }"
    store.write(Rows.of([Version(id="v", name=name, parameters=2**62, bytes=-1, formats=("a", "b"))]))
    row = store.query("version", version="v")[0]
    assert (row["name"], row["parameters"], row["bytes"], row["formats"]) == (name, 2**62, -1, ["a", "b"])


def test_a_ghost_carries_a_second_label(store):
    store.write(Rows.of([Version(id="ghost:g", name="g", kind=VersionKind.GHOST), version("a")]))
    store.write(Rows.of([Version(id="ghost:g", name="g", kind=VersionKind.GHOST)]))
    assert [row["version"] for row in store.query("ghosts")] == ["ghost:g"]
    assert store.cypher("MATCH (v:Version) RETURN v.id AS id, v:Ghost AS ghost ORDER BY id").rows == (
        ("a", False),
        ("ghost:g", True),
    )


HAS = {"relation": Relation.HAS_VERSION, "target": (Label.VERSION, "a")}


@pytest.mark.parametrize(
    "bad",
    [
        Rows(nodes=(Node(labels=("Nope",), id="x", properties={}),)),
        Rows(nodes=(Node(labels=("Version) DETACH DELETE (n",), id="x", properties={}),)),
        Rows(nodes=(Node(labels=("Model", "Ghost"), id="x", properties={"name": "x", "tags": ()}),)),
        Rows(nodes=(Node(labels=("Agent",), id="x", properties={"name": "x"}),)),
        Rows(nodes=(Node(labels=("Agent",), id="", properties={"name": "x", "kind": "person"}),)),
        Rows(nodes=(Node(labels=("Agent",), id="x", properties={"name": "x", "kind": "person", "n": 1}),)),
        Rows(nodes=(Node(labels=("Agent",), id="x", properties={"name": 3, "kind": "person"}),)),
        Rows(nodes=(Node(labels=("Agent",), id="x", properties={"name": "\ud800", "kind": "person"}),)),
        Rows.of([Version(id="a", name="a", parameters=2**63)]),
        Rows.of([Version(id="a", name="a", parameters=True)]),
        Rows.of([Version(id="a", name="a", kind=VersionKind.GHOST)]),
        Rows.of([Version(id="ghost:a", name="a")]),
        Rows.of([version("a")], [Edge(source=(Label.AGENT, "m"), properties={}, **HAS)]),
        Rows.of([version("a")], [Edge(source=(Label.MODEL, "absent"), properties={}, **HAS)]),
        Rows.of([Model(id="m", name="m"), version("a")], [Edge(source=(Label.MODEL, "m"), properties={"q": 1}, **HAS)]),
        lineage(derivation("a", "b", confidence=float("nan"))),
    ],
)
def test_rows_that_do_not_fit_leave_nothing_behind(store, bad):
    with pytest.raises(InputError) as caught:
        store.write(bad)
    assert "\n" not in str(caught.value)
    assert everything(store) == []


def test_concurrent_writers_of_the_same_rows(store):
    rows = [lineage(*(derivation(f"c{index}", "root") for index in range(12))) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.write, rows))
    assert counts(store)["FINE_TUNED_FROMinferred"] == 12
    assert counts(store)["Version"] == 13


def test_replace_forgets_an_edit_with_all_that_stands_on_it(store):
    observation = Observation(kind="k", statement="s", method="m")
    old = derivation("b", "ghost:g", observations=(observation,))
    kept = derivation("b", "a", basis=Basis.DECLARED, observations=(observation,))
    ghost = Version(id="ghost:g", name="g", kind=VersionKind.GHOST)
    store.write(Rows.of([version("a"), version("b"), ghost]) + old.rows() + kept.rows())
    store.replace([old.id, "unknown"], derivation("b", "a").rows())
    found = counts(store)
    assert "Ghost" not in found
    assert (found["Edit"], found["Evidence"], found["Version"]) == (2, 1, 2)
    assert (found["FINE_TUNED_FROMdeclared"], found["FINE_TUNED_FROMinferred"]) == (1, 1)


def test_a_replacement_that_fails_changes_nothing(store):
    edit = derivation("b", "a")
    store.write(lineage(edit))
    before = everything(store)
    with pytest.raises(InputError):
        store.replace([edit.id], derivation("b", "absent").rows())
    assert everything(store) == before


# Migrations


def test_migrating_twice_is_migrating_once(store):
    kind = "embedded" if store.backend.name == "embedded" else "neo4j"
    if kind == "neo4j":
        assert migrate(store._execute, kind, where="here") == 0
    assert store.cypher("MATCH (s:Schema) RETURN s.version").rows == ((SCHEMA_VERSION,),)


def test_a_newer_schema_is_refused(store):
    store._execute("cypher", "MATCH (s:Schema) SET s.version = 999")
    try:
        with pytest.raises(SchemaVersionError):
            store._prepare()
    finally:
        store._execute("cypher", f"MATCH (s:Schema) SET s.version = {SCHEMA_VERSION}")


# The query library


@pytest.mark.parametrize("name", query_names())
def test_every_query_runs_and_returns_its_columns(store, name):
    store.write(
        lineage(
            derivation("b", "a"),
            derivation("m", "a", "b", relation=Relation.MERGED_FROM),
            derivation("m", "b", basis=Basis.DECLARED),
        )
        + Rows.of(
            [Model(id="o/b", name="b", license="mit"), Dataset(id="d", name="d"), DatasetVersion(id="dv", name="dv")]
        )
        + derivation("b", "dv", relation=Relation.TRAINED_ON).rows()
        + Rows.of(
            [], [Edge(relation=Relation.HAS_VERSION, source=("Model", "o/b"), target=("Version", "b"), properties={})]
        )
        + data_rows()
    )
    query = load_query(name)
    given = {
        "version": "b",
        "model": "o/b",
        "dataset": "words",
        "state": "words-1",
        "edit": derivation("b", "a").id,
        "versions": ["a", "b"],
        "text": "b",
        "limit": 10,
        "min_confidence": 0.5,
    }
    rows = store.query(name, **{key: given[key] for key in query.parameters})
    assert all(list(row) == list(query.columns) for row in rows)
    assert rows or name in ("ghosts", "evidence")


def test_parameters_are_checked(store):
    for wrong in ({}, {"version": 3}, {"version": "a", "other": 1}):
        with pytest.raises(QueryError):
            store.query("version", **wrong)
    with pytest.raises(UnknownNameError):
        store.query("no_such_query")


def test_contradictions(store):
    store.write(
        lineage(
            derivation("agreed", "a"),
            derivation("agreed", "a", basis=Basis.DECLARED),
            derivation("other", "a"),
            derivation("other", "z", basis=Basis.DECLARED),
            derivation("undocumented", "a"),
            derivation("claimed", "a", basis=Basis.DECLARED),
            derivation("unsure", "a", confidence=0.1),
        )
    )
    rows = {
        row["child"]: (row["declared"], row["inferred"]) for row in store.query("contradictions", min_confidence=0.5)
    }
    one, other = "FINE_TUNED_FROM a", "FINE_TUNED_FROM z"
    assert rows == {"other": ([other], [one]), "undocumented": ([], [one]), "claimed": ([one], [])}


# The user's own Cypher

HIDDEN = "UNWIND [1] AS n RETURN CASE WHEN n = 1 THEN COLLECT { %s } END AS x"


@pytest.mark.parametrize(
    "text",
    [
        "CREATE (n:Model {id: 'x'}) RETURN n",
        "MATCH (n:Version) SET n.name = 'x'",
        "MATCH (n) DETACH DELETE n",
        "MERGE (n:Version {id: 'x'}) RETURN n",
        "CREATE INDEX mine FOR (n:Version) ON (n.bytes)",
        "EXPLAIN CREATE INDEX mine FOR (n:Version) ON (n.bytes)",
        "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line",
        "LOAD CSV FROM 'http://127.0.0.1:9/' AS line RETURN line",
        "RETURN COLLECT { LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line } AS x",
        HIDDEN % "LOAD CSV FROM 'file:///etc/passwd' AS l RETURN l",
        HIDDEN % "CALL dbms.listConfig() YIELD value RETURN value",
        "SHOW USERS",
        "SHOW SETTINGS",
        "CALL dbms.listConfig() YIELD name RETURN name",
        "CREATE USER mallory SET PASSWORD 'longenough'",
        "DROP CONSTRAINT version_id",
        "MATCH (n) CALL (n) { SET n.x = 1 } IN TRANSACTIONS",
        "MATCH (n) RETURN n; MATCH (n) DETACH DELETE n",
    ],
)
def test_reading_is_all_that_is_allowed(store, text):
    store.write(Rows.of([version("a")]))
    before = everything(store)
    indexes = store.cypher("SHOW INDEXES").rows
    with pytest.raises(QueryError) as caught:  # refused, or not even known to the embedded engine
        store.cypher(text)
    assert "\n" not in str(caught.value)
    assert everything(store) == before
    assert len(store.cypher("SHOW INDEXES").rows) == len(indexes)


def test_what_is_refused_says_so(store):
    for text in ("CREATE (n:Model {id: 'x'})", "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line", "SHOW USERS"):
        with pytest.raises(QueryRefusedError):
            store.cypher(text)


def test_malformed_queries_and_missing_parameters(store):
    for text in ("MATCH (n", "RETURN $absent", "", "RETURN nothing"):
        with pytest.raises((QueryError, InputError)):
            store.cypher(text)
    assert store.cypher("RETURN $x AS x", {"x": [1, {"a": None}]}).rows == (([1, {"a": None}],),)


def test_a_query_is_stopped_in_time(store):
    with pytest.raises(QueryTimeoutError):
        store.cypher(SLOW, timeout_s=0.3)
    assert store.cypher("RETURN 1 AS one").rows == ((1,),)


def test_rows_are_limited_and_json(store):
    store.write(lineage(derivation("b", "a")))
    table = store.cypher("UNWIND range(1, 50) AS n RETURN n", limit=20)
    assert (len(table.rows), table.truncated, table.columns) == (20, True, ("n",))
    assert not store.cypher("UNWIND range(1, 20) AS n RETURN n", limit=20).truncated
    table = store.cypher(
        "MATCH p = (b:Version {id: 'b'})-[r:FINE_TUNED_FROM]->(a) "
        "RETURN p, r, a, date('2020-01-02') AS d, datetime('2020-01-02T03:04:05+01:00') AS t, duration('P1D') AS u"
    )
    row = json.loads(json.dumps(table.rows[0]))
    assert row[1]["start"] == "b"
    assert row[1]["end"] == "a"
    assert row[2]["labels"] == ["Version"]
    assert row[0]["nodes"][0]["properties"]["id"] == "b"
    assert row[3] == "2020-01-02"
