"""The schema and the records are one; ids depend on content alone; a derivation is what the schema allows."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.errors import InputError
from graph_schema.graph import Node, Rows
from graph_schema.identity import clean_name, digest, edit_id, evidence_id, ghost_id, version_id
from graph_schema.labels import GHOST, LINEAGE, Basis, Label, Relation, VersionKind
from graph_schema.records import Agent, Model, Version
from graph_schema.schema import EDGES, NODES, Kind, edge_type, node_type

HEX = st.text("0123456789abcdef", min_size=40, max_size=40)
TENSORS = st.lists(
    st.tuples(
        st.text(max_size=12), st.sampled_from(["F32", "BF16"]), st.lists(st.integers(0, 9), max_size=3).map(tuple), HEX
    ),
    min_size=1,
    max_size=6,
)
PARENTS = st.lists(HEX, min_size=1, max_size=4, unique=True).map(
    lambda ids: tuple(Parent(id=item, weight=1 / len(ids) if len(ids) > 1 else None) for item in ids)
)
OBSERVATIONS = st.lists(
    st.builds(
        Observation,
        kind=st.text(min_size=1, max_size=9),
        statement=st.text(max_size=20),
        method=st.text(min_size=1, max_size=9),
        value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        log_odds=st.floats(-50, 50),
        file=st.none() | st.text(max_size=9),
        tensor=st.none() | st.text(max_size=9),
    ),
    max_size=4,
).map(tuple)


@st.composite
def derivations(draw):
    parents = draw(PARENTS)
    relation = draw(st.sampled_from([*LINEAGE, Relation.TRAINED_ON]))
    return Derivation(
        child=draw(HEX),
        parents=parents,
        relation=relation,
        basis=draw(st.sampled_from(Basis)),
        confidence=draw(st.floats(0, 1)),
        method="a method",
        parameters=draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)),
        observations=draw(OBSERVATIONS),
        claimed_by=draw(st.none() | st.just(Agent(id="org", name="org"))),
    )


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.label)
def test_properties_are_the_fields_of_the_record(node):
    assert [item.name for item in node.properties] == [item.name for item in fields(node.record)]
    assert node.record.LABEL is node.label
    assert node.key == "id"
    assert set(node.indexed) | set(node.searched) <= {item.name for item in node.properties}
    assert node.record.__doc__
    optional = {item.name for item in fields(node.record) if "None" in str(item.type)}
    assert {item.name for item in node.properties if not item.required} == optional


def test_every_label_and_every_relation_has_a_type():
    assert {node.label for node in NODES} == set(Label)
    assert {edge.relation for edge in EDGES} == set(Relation)
    ends = {(edge.relation, edge.source, edge.target) for edge in EDGES}
    assert len(ends) == len(EDGES)


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: f"{edge.source}-{edge.relation}-{edge.target}")
def test_keys_of_relationships_are_required_properties(edge):
    required = {item.name for item in edge.properties if item.required}
    assert set(edge.key) <= required
    assert edge_type(edge.relation, edge.source, edge.target) is edge


def test_what_the_graph_has_not_is_a_key_error():
    with pytest.raises(KeyError):
        node_type("Nothing")
    with pytest.raises(KeyError):
        edge_type("FINE_TUNED_FROM", "Model", "Model")


@given(derivations())
def test_a_derivation_becomes_rows_that_the_schema_knows(derivation):
    rows = derivation.rows()
    ids = {(node.labels[0], node.id) for node in rows.nodes}
    for node in rows.nodes:
        known = {item.name: item for item in node_type(node.labels[0]).properties}
        assert set(node.properties) <= set(known)
        assert {name for name, item in known.items() if item.required} <= {"id", *node.properties}
    for edge in rows.edges:
        kind = edge_type(edge.relation, edge.source[0], edge.target[0])
        known = {item.name for item in kind.properties}
        assert set(edge.properties) <= known
        assert {item.name for item in kind.properties if item.required} <= set(edge.properties)
        for end in (edge.source, edge.target):
            assert end in ids or end[0] in (Label.VERSION, Label.DATASET_VERSION)
    shortcuts = [edge for edge in rows.edges if edge.relation is derivation.relation]
    assert [edge.target[1] for edge in shortcuts] == [parent.id for parent in derivation.parents]
    assert all(edge.properties["edit"] == derivation.id for edge in shortcuts)
    (edit,) = (node for node in rows.nodes if node.labels[0] == Label.EDIT)
    assert json.loads(str(edit.properties["parameters"])) == derivation.parameters


@given(derivations())
def test_values_are_plain(derivation):
    for item in (*derivation.rows().nodes, *derivation.rows().edges):
        for value in item.properties.values():
            assert type(value) in (str, int, float, bool, tuple)


@given(TENSORS, st.randoms())
def test_a_version_is_its_tensors_in_any_order(tensors, random):
    shuffled = list(tensors)
    random.shuffle(shuffled)
    assert version_id(tensors) == version_id(shuffled)


@given(TENSORS, TENSORS)
def test_other_tensors_are_another_version(one, other):
    assert (version_id(one) == version_id(other)) == (sorted(one) == sorted(other))


def test_no_tensor_is_no_version():
    with pytest.raises(InputError):
        version_id([])


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_digests_do_not_collide_by_concatenation(one, other):
    assert (digest(*one) == digest(*other)) == (one == other)


@given(HEX, st.lists(HEX, min_size=1, max_size=4), st.randoms())
def test_an_edit_is_its_inputs_in_any_order(child, parents, random):
    shuffled = list(parents)
    random.shuffle(shuffled)
    assert edit_id("MERGED_FROM", "inferred", child, parents) == edit_id("MERGED_FROM", "inferred", child, shuffled)
    assert edit_id("MERGED_FROM", "inferred", child, parents) != edit_id("MERGED_FROM", "declared", child, parents)


def test_the_same_observation_from_two_files_is_two():
    assert evidence_id("e", "k", "a\0f\0", "m") != evidence_id("e", "k", "b\0f\0", "m")


@given(st.text())
def test_names_are_clean_once_and_for_all(name):
    cleaned = clean_name(name)
    assert len(cleaned) <= 512
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in cleaned)
    assert ghost_id(name) == "ghost:" + cleaned


def test_a_ghost_carries_both_labels():
    assert Node.of(Version(id="ghost:x", name="x", kind=VersionKind.GHOST)).labels == ("Version", GHOST)
    assert Node.of(Version(id="v", name="x")).labels == ("Version",)


def test_rows_add_up_and_absent_fields_are_left_out():
    rows = Rows.of([Model(id="a", name="a")]) + Rows.of([Agent(id="b", name="b")])
    assert [node.id for node in rows.nodes] == ["a", "b"]
    assert rows.nodes[0].properties == {"name": "a", "tags": ()}


def test_kinds_are_those_of_cypher():
    assert {item.kind for node in NODES for item in node.properties} <= set(Kind)
