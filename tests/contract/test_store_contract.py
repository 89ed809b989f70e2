"""What every store does, on every database."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cypher.dataset_reading import list_datasets, read_dataset_detail
from cypher.library import load_query, query_names
from cypher.lineage_reading import find_versions, read_edit, read_lineage, read_versions, read_whole_lineage
from cypher.migrations import migrate
from cypher.store import Store
from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.errors import (
    InputError,
    QueryError,
    QueryRefusedError,
    QueryTimeoutError,
    SchemaVersionError,
    UnknownNameError,
)
from graph_schema.graph import Edge, Node, Rows
from graph_schema.identity import dataset_ghost_id
from graph_schema.labels import Basis, Label, Relation, VersionKind
from graph_schema.records import Agent, Dataset, DatasetVersion, Model, Version
from graph_schema.schema import SCHEMA_VERSION

SLOW = "UNWIND range(1, 30000) AS a UNWIND range(1, 30000) AS b WITH a, b WHERE a * b = -1 RETURN count(*) AS n"


def version(name: str) -> Version:
    return Version(id=name, name=name.upper(), parameters=7, formats=("safetensors",))


def derivation(child, *parents, relation=Relation.FINE_TUNED_FROM, basis=Basis.INFERRED, confidence=0.9, **more):
    return Derivation(
        child=child,
        parents=tuple(Parent(id=parent) for parent in parents),
        relation=relation,
        basis=basis,
        confidence=confidence,
        method="test",
        **more,
    )


def lineage(*derivations: Derivation) -> Rows:
    names = sorted({name for item in derivations for name in (item.child, *(parent.id for parent in item.parents))})
    rows = Rows.of([version(name) for name in names])
    for item in derivations:
        rows = rows + item.rows()
    return rows


def data_rows() -> Rows:
    """Two states of a dataset, the second a superset of the first; a model trained on the first and on a ghost."""
    ghost = dataset_ghost_id("gone")
    states = [DatasetVersion(id=f"words-{number}", name="words", rows=number) for number in (1, 2)]
    has = [
        Edge(
            relation=Relation.HAS_VERSION,
            source=(Label.DATASET, "words"),
            target=(Label.DATASET_VERSION, state.id),
            properties={"number": state.rows, "path": "words.csv"},
        )
        for state in states
    ]
    named = Edge(
        relation=Relation.HAS_VERSION,
        source=(Label.DATASET, "gone"),
        target=(Label.DATASET_VERSION, ghost),
        properties={},
    )
    nodes = [Dataset(id="words", name="Words", splits=("train: 1",)), Dataset(id="gone", name="gone"), *states]
    return (
        Rows.of([*nodes, DatasetVersion(id=ghost, name="gone"), version("b")], [*has, named])
        + derivation("words-1", "words-2", relation=Relation.SUBSET_OF, share=(1.0, 0.9, 1.0)).rows()
        + derivation("words-2", "words-1", relation=Relation.REVISED_FROM, summary="one row added").rows()
        + derivation("b", "words-1", relation=Relation.TRAINED_ON, basis=Basis.DECLARED).rows()
        + derivation("b", ghost, relation=Relation.TRAINED_ON, basis=Basis.DECLARED).rows()
    )


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
        + Rows.of([Model(id="o/b", name="b"), Dataset(id="d", name="d"), DatasetVersion(id="dv", name="dv")])
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


def test_a_dataset_with_its_states_relations_and_models(store):
    store.write(data_rows())
    assert [(entry.id, entry.version, entry.ghost, entry.models) for entry in list_datasets(store)] == [
        ("gone", "ghost:dataset:gone", True, 1),
        ("words", "words-2", False, 1),
    ]
    detail = read_dataset_detail(store, "words")
    assert [(state.version, state.number, state.datasets) for state in detail.states] == [
        ("words-2", 2, ("words",)),
        ("words-1", 1, ("words",)),
    ]
    assert {(link.version, link.relation, link.forward, link.other, link.share) for link in detail.links} == {
        ("words-2", Relation.REVISED_FROM, True, "words-1", None),
        ("words-2", Relation.SUBSET_OF, False, "words-1", 1.0),
        ("words-1", Relation.REVISED_FROM, False, "words-2", None),
        ("words-1", Relation.SUBSET_OF, True, "words-2", 1.0),
    }
    assert [(use.version, use.data, use.basis) for use in detail.uses] == [("b", "words-1", Basis.DECLARED)]
    with pytest.raises(UnknownNameError):
        read_dataset_detail(store, "nothing")


def test_an_edit_between_states_of_data_is_read_and_forgotten_whole(store):
    store.write(data_rows())
    subset = derivation("words-1", "words-2", relation=Relation.SUBSET_OF)
    assert (read_edit(store, subset.id).child, read_edit(store, subset.id).parents) == ("words-1", ("words-2",))
    before = counts(store)
    store.replace([subset.id], Rows())
    after = counts(store)
    gone = {name: count - after.get(name, 0) for name, count in before.items() if after.get(name, 0) != count}
    assert gone == {"SUBSET_OFinferred": 1, "Edit": 1, "INPUT": 1, "OUTPUT": 1}


def test_data_that_is_only_named_goes_with_the_last_claim_and_what_was_read_stays(store):
    store.write(data_rows())
    claim = derivation("b", dataset_ghost_id("gone"), relation=Relation.TRAINED_ON, basis=Basis.DECLARED)
    store.replace([claim.id], derivation("b", "words-2", relation=Relation.TRAINED_ON, basis=Basis.DECLARED).rows())
    assert [entry.id for entry in list_datasets(store)] == ["words"]
    assert store.query("dataset_ghosts") == []


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


# Lineage


def test_lineage_around_a_version(store):
    store.write(
        lineage(
            derivation("p", "g"),
            derivation("v", "p"),
            derivation("v", "p", basis=Basis.DECLARED),
            derivation("s", "p"),
            derivation("c", "v", relation=Relation.QUANTIZED_FROM),
            derivation("cc", "c", confidence=0.2),
            derivation("m", "v", "g", relation=Relation.MERGED_FROM),
        )
        + Rows.of(
            [Model(id="o/v", name="v", license="mit"), Model(id="o/w", name="w")],
            [
                Edge(relation=Relation.HAS_VERSION, source=("Model", name), target=("Version", "v"), properties={})
                for name in ("o/w", "o/v")
            ],
        )
    )

    def seen(**options):
        return "".join(sorted(node.id + " " for node in read_lineage(store, "v", **options).nodes)).split()

    assert seen(up=0, down=0) == ["v"]
    assert seen(up=1, down=0) == ["p", "v"]
    assert seen(up=2, down=1) == ["c", "g", "m", "p", "v"]
    assert seen(up=9, down=9) == ["c", "cc", "g", "m", "p", "v"]
    assert seen(up=9, down=9, min_confidence=0.5) == ["c", "g", "m", "p", "v"]
    assert seen(up=9, down=9, relations=[Relation.QUANTIZED_FROM]) == ["c", "v"]
    assert seen(up=9, down=9, basis=Basis.DECLARED) == ["p", "v"]
    graph = read_lineage(store, "v", up=2, down=1)
    node = graph.node("v")
    assert (node.models, node.license, node.parents, node.children) == (("o/v", "o/w"), "mit", 2, 2)
    assert {(edge.child, edge.parent, str(edge.basis)) for edge in graph.edges} == {
        ("p", "g", "inferred"),
        ("v", "p", "inferred"),
        ("v", "p", "declared"),
        ("c", "v", "inferred"),
        ("m", "v", "inferred"),
        ("m", "g", "inferred"),
    }
    assert len(read_whole_lineage(store, 100).edges) == 8
    assert len(read_whole_lineage(store, 2).nodes) == 2
    with pytest.raises(UnknownNameError):
        read_lineage(store, "absent", up=1, down=1)


def test_a_cycle_of_claims_ends(store):
    store.write(lineage(derivation("a", "b", basis=Basis.DECLARED), derivation("b", "a", basis=Basis.DECLARED)))
    assert len(read_lineage(store, "a", up=50, down=50).edges) == 2


def test_an_edit_comes_with_its_evidence_strongest_first(store):
    edit = derivation(
        "b",
        "a",
        summary="b is a fine-tune of a",
        parameters={"rank": 8},
        observations=tuple(
            Observation(kind=kind, statement="s", method="m", log_odds=odds, value=odds)
            for kind, odds in (("weak", 0.5), ("against", -3.0), ("strong", 4.0))
        ),
    )
    store.write(lineage(edit))
    detail = read_edit(store, edit.id)
    assert [item.kind for item in detail.evidence] == ["strong", "against", "weak"]
    assert (detail.child, detail.parents, detail.parameters) == ("b", ("a",), '{"rank": 8}')
    with pytest.raises(UnknownNameError):
        read_edit(store, "absent")


def test_finding_versions(store):
    store.write(
        Rows.of(
            [version(name) for name in ("bert", "bert-large", "my-bert", "gpt")]
            + [Model(id="Org/Other", name="Other")],
            [
                Edge(
                    relation=Relation.HAS_VERSION,
                    source=("Model", "Org/Other"),
                    target=("Version", "gpt"),
                    properties={},
                )
            ],
        )
    )
    assert [node.id for node in find_versions(store, "bert", 10)] == ["bert", "bert-large", "my-bert"]
    assert [node.id for node in find_versions(store, "BERT", 1)] == ["bert"]
    assert [node.id for node in find_versions(store, "org/oth", 10)] == ["gpt"]
    assert find_versions(store, "absent", 10) == ()
    assert len(find_versions(store, "", 10)) == 4


def test_what_is_in_the_lake_is_found_before_what_is_implied(store):
    hidden = Version(id="ghost: implied:1", name="hidden parent of a/gpt and z/gpt", kind=VersionKind.GHOST)
    store.write(Rows.of([hidden, version("z/gpt")], []))
    assert [node.id for node in find_versions(store, "gpt", 10)] == ["z/gpt", hidden.id]
    assert [node.id for node in read_versions(store, ["z/gpt", "nowhere"])] == ["z/gpt"]
