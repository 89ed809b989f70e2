"""Exports: other tools read them, and no name in them can end its place or carry markup."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pybtex.database import parse_string

from graph_schema.errors import InputError
from graph_schema.formats import FORMATS, render
from graph_schema.identity import IMPLIED_PREFIX, UNKNOWN_BASE, ghost_id
from graph_schema.labels import LINEAGE, Basis, VersionKind
from graph_schema.lineage_graph import LineageEdge, LineageGraph, LineageNode

HOSTILE = [
    'org/"quoted"',
    "org/{brace",
    "org/}brace",
    "@article{x, title={y}}",
    "org/back\\slash",
    "a\nb\r\nc",
    "100% & #1_$x~^",
    "<script>alert(1)</script>",
    "]] --> n0[",
    "naïve/модель",
    "--",
    "",
    ",",
    "%",
    "a, b and c",
]
NAMES = st.sampled_from(HOSTILE) | st.text(max_size=20)


@st.composite
def graphs(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=5))
    nodes = tuple(
        LineageNode(
            id=f"{number:040x}",
            name=name,
            kind=draw(st.sampled_from(VersionKind)),
            models=tuple(sorted(draw(st.lists(NAMES, max_size=2)))),
            license=draw(st.none() | NAMES),
        )
        for number, name in enumerate(names)
    )
    ends = st.sampled_from(nodes).map(lambda node: node.id)
    edges = tuple(
        LineageEdge(
            child=draw(ends),
            parent=draw(ends),
            relation=draw(st.sampled_from(LINEAGE)),
            basis=draw(st.sampled_from(Basis)),
            confidence=draw(st.floats(0, 1)),
            edit="e",
            method="m",
            weight=draw(st.none() | st.floats(-2, 2)),
        )
        for _ in range(draw(st.integers(0, 4)))
    )
    return LineageGraph(focus=nodes[0].id, nodes=nodes, edges=edges)


def of(*names: str) -> LineageGraph:
    nodes = tuple(LineageNode(id=f"{number:040x}", name=name) for number, name in enumerate(names))
    return LineageGraph(focus=nodes[0].id, nodes=nodes, edges=())


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60, deadline=None)
@given(graphs())
def test_bibtex_parses_back(graph):
    entries = parse_string(render(graph, "bibtex"), "bibtex").entries
    assert len(entries) == len(graph.nodes)
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+", key) for key in entries)


@pytest.mark.parametrize("name", HOSTILE)
def test_bibtex_of_a_hostile_name_is_one_entry(name):
    (entry,) = parse_string(render(of(name), "bibtex"), "bibtex").entries.values()
    assert entry.type == "software"
    assert set(entry.fields) == {"title", "version", "note"}


def test_bibtex_keys_are_unique_whatever_the_case():
    keys = list(parse_string(render(of("a/b", "A/B", "a b", "a-b"), "bibtex"), "bibtex").entries)
    assert len({key.lower() for key in keys}) == 4


def test_bibtex_puts_the_focus_first_and_names_its_parents():
    nodes = (LineageNode(id="a" * 40, name="org/base"), LineageNode(id="b" * 40, name="org/tuned"))
    edge = LineageEdge(
        child="b" * 40,
        parent="a" * 40,
        relation=LINEAGE[0],
        basis=Basis.INFERRED,
        confidence=0.971,
        edit="e",
        method="m",
    )
    entries = parse_string(render(LineageGraph(focus="b" * 40, nodes=nodes, edges=(edge,)), "bibtex"), "bibtex").entries
    assert list(entries) == ["org-tuned", "org-base"]
    assert "fine tuned from org-base (inferred from the weights, 97\\%)" in entries["org-tuned"].fields["note"]


def test_bibtex_cites_no_parent_that_nothing_names():
    hidden = f"{IMPLIED_PREFIX}ab"
    nodes = (
        LineageNode(id="a" * 40, name="org/base"),
        LineageNode(id="b" * 40, name="org/tuned"),
        LineageNode(id=hidden, name="hidden parent of org/tuned and org/other", kind=VersionKind.GHOST),
    )
    more = {"relation": LINEAGE[0], "basis": Basis.INFERRED, "edit": "e", "method": "m"}
    edges = (
        LineageEdge(child="b" * 40, parent=hidden, confidence=0.75, **more),
        LineageEdge(child=hidden, parent="a" * 40, confidence=0.6, **more),
    )
    entries = parse_string(render(LineageGraph(focus="b" * 40, nodes=nodes, edges=edges), "bibtex"), "bibtex").entries
    assert list(entries) == ["org-tuned", "org-base"]
    assert (
        entries["org-tuned"]
        .fields["note"]
        .endswith(
            "fine tuned from a version that is not known (inferred from the weights, 75\\%), "
            "itself fine tuned from org-base (inferred from the weights, 60\\%)"
        )
    )


def test_bibtex_cites_no_parent_that_a_document_does_not_know():
    unknown = ghost_id(f"{UNKNOWN_BASE}org/tuned")
    nodes = (
        LineageNode(id="b" * 40, name="org/tuned"),
        LineageNode(id=unknown, name=f"{UNKNOWN_BASE}org/tuned", kind=VersionKind.GHOST),
    )
    edge = LineageEdge(
        child="b" * 40,
        parent=unknown,
        relation=LINEAGE[0],
        basis=Basis.DECLARED,
        confidence=1.0,
        edit="e",
        method="m",
    )
    entries = parse_string(render(LineageGraph(focus="b" * 40, nodes=nodes, edges=(edge,)), "bibtex"), "bibtex").entries
    assert list(entries) == ["org-tuned"]
    assert entries["org-tuned"].fields["note"].endswith("fine tuned from a version that is not known (declared)")


@given(graphs())
def test_json_holds_everything(graph):
    read = json.loads(render(graph, "json"))
    assert read["focus"] == graph.focus
    assert [node["name"] for node in read["nodes"]] == [node.name for node in graph.nodes]
    assert len(read["edges"]) == len(graph.edges)


@given(graphs())
def test_mermaid_is_a_line_each_and_names_cannot_leave_their_label(graph):
    first, *lines = render(graph, "mermaid").split("\n")
    assert first == "flowchart TD"
    styled = len(graph.nodes) > 1
    assert len(lines) == len(graph.nodes) + len(graph.edges) + styled
    for line in lines[: len(graph.nodes)]:
        matched = re.fullmatch(r'  n\d+(?:\["(.*)"\]|\(\["(.*)"\]\))', line, flags=re.DOTALL)
        assert matched
        assert not set('"<>`') & set(matched[1] or matched[2] or "")


@given(graphs())
def test_dot_quotes_end_where_they_should(graph):
    text = render(graph, "dot")
    statement = re.compile(
        r'  "(?:[^"\\]|\\.)*"(?: -> "(?:[^"\\]|\\.)*")? \[label="(?:[^"\\]|\\.)*"(?: style=\w+)?\];', re.DOTALL
    )
    body = text.removeprefix("digraph lineage {\n  node [shape=box];").removesuffix("\n}")
    for line in filter(None, body.split("\n")):
        assert statement.fullmatch(line), line


def test_an_unknown_format_names_the_known_ones():
    with pytest.raises(InputError, match="'rdf'") as caught:
        render(of("a"), "rdf")
    assert all(name in str(caught.value) for name in FORMATS)
