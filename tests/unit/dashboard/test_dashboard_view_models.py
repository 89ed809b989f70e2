"""What the pages show, without Streamlit."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dashboard.launching import command, environment
from dashboard.view_models.appearance import RELATIONS, count_in_words, relation_by_label, shortened
from dashboard.view_models.console import as_csv, as_json, as_shown, examples, read_parameters
from dashboard.view_models.document import Block, words
from dashboard.view_models.evidence import edge_panel, legend_block, node_panel
from dashboard.view_models.exploration import MOST_STEPS, Exploration
from dashboard.view_models.neighbourhood import FOLDED_ABOVE, extents, filtered, folded, union
from dashboard.view_models.observations import odds_in_words
from dashboard.view_models.overview import counts, families
from dashboard.view_models.plain_text import as_markdown, visible
from dashboard.view_models.scene import contradicted_edits, edge_key, scene
from graph_schema.errors import InputError, QueryError
from graph_schema.identity import IMPLIED_PREFIX
from graph_schema.labels import LINEAGE, Basis, Relation, VersionKind
from graph_schema.lineage_graph import EditDetail, LineageEdge, LineageGraph, LineageNode
from graph_schema.records import Evidence
from lineage.reconciliation import reconcile
from modellake.explanation import Explanation, Named, Outcome


def node(name: str, **more) -> LineageNode:
    return LineageNode(id=name, name=f"org/{name}", **more)


def edge(
    child: str, parent: str, relation=Relation.FINE_TUNED_FROM, basis=Basis.INFERRED, confidence=0.9
) -> LineageEdge:
    return LineageEdge(
        child=child,
        parent=parent,
        relation=relation,
        basis=basis,
        confidence=confidence,
        edit=f"{relation}-{basis}-{child}",
        method="m",
    )


def graph(*edges: LineageEdge, focus: str = "a", **kinds) -> LineageGraph:
    names = sorted({name for item in edges for name in (item.child, item.parent)} | {focus})
    nodes = tuple(
        node(
            name,
            parents=sum(item.child == name for item in edges),
            children=sum(item.parent == name for item in edges),
            kind=kinds.get(name, VersionKind.FULL),
        )
        for name in names
    )
    return LineageGraph(focus=focus, nodes=nodes, edges=edges)


def leaves(count: int, parent: str = "a", **more) -> list[LineageEdge]:
    return [edge(f"{parent}{index:02d}", parent, **more) for index in range(count)]


# Text


@given(st.text(max_size=60))
def test_escaped_text_is_one_paragraph_that_says_what_the_text_says(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse("x" + as_markdown(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    inline = tokens[1].children or []
    assert {token.type for token in inline} <= {"text", "text_special"}
    assert "".join(token.content for token in inline).replace("\u2060", "") == ("x" + visible(text)).rstrip()


def test_a_name_cannot_turn_its_direction_around() -> None:
    assert visible("org/\u202egnp.exe\n") == "org/�gnp.exe�"


@given(st.text(max_size=80), st.integers(1, 40))
def test_shortened_text_is_short(text: str, length: int) -> None:
    assert len(shortened(text, length)) <= length or len(text) <= length


def test_counts_in_words_round_up_to_the_next_unit() -> None:
    assert [count_in_words(count) for count in (0, 999, 1000, 7_241_732_096)] == ["0", "999", "1.0K", "7.2B"]


def test_every_relation_has_its_own_label_and_colour() -> None:
    assert set(RELATIONS) == set(LINEAGE)
    assert len({style.colour for style in RELATIONS.values()}) == len(LINEAGE)
    assert [relation_by_label(RELATIONS[item].label) for item in LINEAGE] == list(LINEAGE)


# The permalink


@given(
    st.builds(
        Exploration,
        model=st.text(min_size=1, max_size=20),
        up=st.integers(0, MOST_STEPS),
        down=st.integers(0, MOST_STEPS),
        expanded=st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=4).map(tuple),
        opened=st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=4).map(tuple),
        relations=st.sets(st.sampled_from(LINEAGE)).map(lambda found: tuple(sorted(found, key=LINEAGE.index))),
        basis=st.none() | st.sampled_from(Basis),
        min_confidence=st.integers(0, 100).map(lambda percent: percent / 100),
        selected=st.text(max_size=10),
    )
)
def test_a_permalink_leads_back(exploration: Exploration) -> None:
    parameters = exploration.query_parameters()
    given_back = {name: [value] if isinstance(value, str) else value for name, value in parameters.items()}
    assert Exploration.from_query_parameters(given_back) == exploration


@given(
    st.dictionaries(
        st.sampled_from(["model", "up", "down", "open", "relation", "basis", "confidence"]), st.lists(st.text())
    )
)
def test_no_permalink_is_an_error(given_parameters: dict[str, list[str]]) -> None:
    found = Exploration.from_query_parameters(given_parameters)
    assert 0 <= found.up <= MOST_STEPS
    assert 0 <= found.min_confidence <= 1


def test_clicking_twice_is_as_before() -> None:
    start = Exploration(model="m", expanded=("a",), opened=("g",))
    assert start.toggled("b").toggled("b") == start
    assert start.regrouped("h").regrouped("h") == start


# What is drawn


def test_a_filter_takes_away_what_only_hangs_on_it() -> None:
    whole = graph(edge("b", "a", confidence=0.4), edge("c", "b"), edge("d", "a"))
    assert [item.id for item in filtered(whole, min_confidence=0.5).nodes] == ["a", "d"]
    assert [item.id for item in filtered(whole, basis=Basis.DECLARED).nodes] == ["a"]
    assert filtered(whole) == whole


def test_similar_leaves_are_one_node() -> None:
    many = leaves(FOLDED_ABOVE + 1)
    view = folded(graph(*many, edge("q", "a", relation=Relation.QUANTIZED_FROM)))
    (group,) = view.groups
    assert [item.id for item in view.nodes] == ["a", "q"]
    assert len(group.members) == len(many)
    assert view.versions == len(many) + 2
    assert folded(graph(*many), opened=[group.id]).groups == ()
    assert not folded(graph(*leaves(FOLDED_ABOVE))).groups


def test_a_leaf_that_two_parents_claim_stays_visible() -> None:
    many = leaves(FOLDED_ABOVE + 1)
    contested = edge(many[0].child, "b", basis=Basis.DECLARED)
    view = folded(graph(*many, edge("b", "a"), contested))
    assert many[0].child in {item.id for item in view.nodes}


def test_declared_and_inferred_alike_are_folded_together() -> None:
    both = [item for leaf in leaves(FOLDED_ABOVE + 1) for item in (leaf, replace(leaf, basis=Basis.DECLARED))]
    (group,) = folded(graph(*both)).groups
    assert len(group.edges) == len(both)


def test_a_union_has_everything_once() -> None:
    one, other = graph(edge("b", "a")), graph(edge("b", "a"), edge("c", "b"))
    assert union("a", [one, other]).edges == other.edges
    assert [item.id for item in union("a", [one, other]).nodes] == ["a", "b", "c"]


def test_what_is_beyond_is_counted() -> None:
    part = LineageGraph(focus="a", nodes=(node("a", children=5), node("b", parents=1)), edges=(edge("b", "a"),))
    assert extents(part)["a"].hidden == 4
    assert extents(part)["b"].hidden == 0


def test_a_scene_draws_declared_and_inferred_differently_side_by_side() -> None:
    whole = graph(edge("b", "a"), edge("b", "a", basis=Basis.DECLARED))
    drawing = scene(folded(whole), extents(whole)).drawing
    inferred, declared = sorted(drawing["edges"], key=lambda item: item["declared"])
    assert (inferred["declared"], declared["declared"]) == (False, True)
    assert inferred["endX"] != declared["endX"]
    assert inferred["label"] == "90%"
    json.dumps(drawing)


def test_a_contradicted_claim_is_marked() -> None:
    whole = graph(edge("b", "a", basis=Basis.DECLARED), edge("b", "c"), focus="b")
    wrong = contradicted_edits(whole, extents(whole))
    assert wrong == {whole.edges[0].edit}
    drawing = scene(folded(whole), extents(whole), contradicted=wrong).drawing
    assert {item["label"] for item in drawing["edges"]} == {"≠ declared", "90%"}


def test_claims_and_weights_in_a_circle_are_drawn() -> None:
    whole = graph(edge("b", "a"), edge("a", "b", basis=Basis.DECLARED))
    drawing = scene(folded(whole), extents(whole)).drawing
    by_id = {item["version"]: item for item in drawing["nodes"]}
    assert by_id["a"]["y"] < by_id["b"]["y"]


# The evidence


def detail(**more) -> EditDetail:
    given_fields = {
        "id": "e",
        "kind": Relation.FINE_TUNED_FROM,
        "basis": Basis.INFERRED,
        "method": "m",
        "confidence": 0.9,
        "summary": "b is fine-tuned from a.",
        "parameters": '{"changed_tensors": 42, "weights": [0.1, 0.2]}',
        "runner_up": "z",
        "child": "b",
        "parents": ("a",),
        "evidence": (
            Evidence(id="1", kind="tail_distance", statement="It is near.", log_odds=4.0, method="m"),
            Evidence(id="2", kind="clock", statement="It is late.", log_odds=-1.0, method="m", file="f", field="g"),
        ),
    }
    return EditDetail(**(given_fields | more))


def blocks(block: Block):
    yield block
    for child in block.children:
        yield from blocks(child)


def test_the_panel_of_an_edge_says_everything() -> None:
    whole = graph(edge("b", "c", basis=Basis.DECLARED), edge("b", "a"), focus="b")
    names = {item.id: item.name for item in whole.nodes} | {"z": "org/second"}
    finding = reconcile(whole.edges, names)[0]
    shown = edge_panel(whole.edges[1], detail(), whole.edges, names, finding)
    text = words(shown)
    for said in (
        "contradicted",
        "org/c",
        "org/second",
        "90%",
        "It is near.",
        "55 to 1 for",
        "2.7 to 1 against",
        "f · g",
        "42",
    ):
        assert said in text
    bars = [item for item in blocks(shown) if item.look == "bar" and item.start]
    assert [item.start >= 0.5 for item in bars] == [True, False]
    assert all(item.start >= 0 and item.start + (item.share or 0) <= 1 for item in bars)


@pytest.mark.parametrize("parameters", ["", "[1]", "not json", '{"a": {"b": [1, null]}}'])
def test_odd_parameters_are_shown_as_they_are(parameters: str) -> None:
    words(edge_panel(edge("b", "a"), detail(parameters=parameters, evidence=()), [edge("b", "a")], {}, None))


def test_the_panel_of_a_ghost_says_that_it_is_absent() -> None:
    ghost = LineageNode(id="ghost:x/y", name="x/y", kind=VersionKind.GHOST)
    assert "not in this lake" in words(node_panel(ghost, None, (), {}, None))


def test_the_legend_names_what_is_there_and_how_much() -> None:
    text = words(legend_block(graph(edge("b", "a")), "2 versions · 1 edge", 3))
    assert "fine-tuned" in text
    assert "quantized" not in text
    assert "3 edges further out" in text


def test_odds_are_the_same_both_ways() -> None:
    assert odds_in_words(2).replace("for", "against") == odds_in_words(-2)


# The landing page


def test_a_false_claim_does_not_join_two_families() -> None:
    whole = graph(edge("b", "a"), edge("c", "a"), edge("y", "x"), edge("y", "a", basis=Basis.DECLARED), focus="")
    found = families(replace(whole, nodes=tuple(item for item in whole.nodes if item.id)), 5)
    assert [(item.root.id, item.size) for item in found] == [("a", 3), ("x", 2)]
    assert found[0].relations == {Relation.FINE_TUNED_FROM: 2}


def test_counts_leave_ghosts_out_of_the_versions() -> None:
    rows = [
        {"what": "node", "name": "Version", "basis": "", "count": 5},
        {"what": "node", "name": "Ghost", "basis": "", "count": 2},
        {"what": "relationship", "name": "MERGED_FROM", "basis": "declared", "count": 3},
        {"what": "relationship", "name": "INPUT", "basis": "", "count": 9},
    ]
    found = counts(rows)
    assert (found.versions, found.ghosts, found.declared, found.inferred) == (3, 2, 3, 0)


# The console


def test_every_example_has_its_parameters() -> None:
    for example in examples("some-id"):
        assert isinstance(read_parameters(example.parameters), dict)
        assert example.doc
    assert '"version": "some-id"' in {item.name: item for item in examples("some-id")}["parents"].parameters


@pytest.mark.parametrize("text", ["[1]", "{", "3", '{"a": 1,}'])
def test_parameters_that_are_no_object_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(QueryError) as caught:
        read_parameters(text)
    assert "\n" not in str(caught.value)


def test_results_become_files() -> None:
    rows = [("=cmd()", [1, "é"], None), ('a,"b"', {"k": 1}, 2)]
    read = list(csv.reader(io.StringIO(as_csv(["x", "y", "z"], rows))))
    assert read == [["x", "y", "z"], ["'=cmd()", '[1, "é"]', ""], ['a,"b"', '{"k": 1}', "2"]]
    assert json.loads(as_json(["x", "y", "z"], rows))[1] == {"x": 'a,"b"', "y": {"k": 1}, "z": 2}


def test_a_column_of_the_table_is_of_one_kind() -> None:
    shown = as_shown(["a", "b"], [(1, [1]), ("x", None)])
    assert [row["a"] for row in shown] == ["1", "x"]
    assert shown[0]["b"] == "[1]"


# Parents that nothing names


IMPLIED = LineageNode(id=f"{IMPLIED_PREFIX}ab", name="hidden parent of org/a and org/b", kind=VersionKind.GHOST)


def test_a_hidden_parent_is_called_so_and_not_by_the_end_of_its_childrens_names() -> None:
    whole = LineageGraph(focus="a", nodes=(node("a", parents=1), IMPLIED), edges=(edge("a", IMPLIED.id),))
    around = extents(whole)
    drawn = scene(folded(whole), around, expanded=(), selected="", contradicted=frozenset(), known={}).drawing
    (box,) = (item for item in drawn["nodes"] if item["version"] == IMPLIED.id)
    assert box["title"] == "hidden parent"
    assert box["subtitle"] == "not in the lake"
    assert box["tooltip"] == IMPLIED.name
    assert "the weights of its children imply it" in words(node_panel(IMPLIED, None, (), {}, None))


def test_a_panel_speaks_of_versions_by_their_names() -> None:
    names = {"0123456789ab" + "c" * 28: "org/sibling"}
    seen = replace(detail().evidence[0], statement="neither this version nor 0123456789ab was made from the other")
    shown = words(edge_panel(edge("b", "a"), detail(evidence=(seen,)), [edge("b", "a")], names, None))
    assert "nor org/sibling was made" in shown


def test_a_version_without_a_parent_says_why() -> None:
    why = Explanation(
        version=Named(id="a", name="org/a"),
        outcome=Outcome.OPEN,
        statement="cannot tell; the evidence is weak",
        would_change=("a relative, once it is read",),
    )
    shown = words(node_panel(node("a"), None, (), {}, None, why))
    assert "Cannot tell; the evidence is weak." in shown
    assert "What would change this A relative, once it is read." in shown
    assert "What would change" not in words(
        node_panel(node("a"), None, (), {}, None, replace(why, outcome=Outcome.PARENT))
    )


# Starting it


def test_the_store_goes_by_environment_and_the_page_stays_on_this_machine() -> None:
    line = command(8600, headless=True)
    assert "--server.showEmailPrompt=false" in line
    assert "--server.address=127.0.0.1" in line
    assert "--browser.gatherUsageStats=false" in line
    found = environment("lake", "bolt://u:secret@h", {"PYTHONPATH": "x"})
    assert found["MODELLAKE_STORE"] == "bolt://u:secret@h"
    assert found["MODELLAKE_DIRECTORY"].endswith("/lake")
    assert found["PYTHONPATH"].endswith("x")
    assert not any("secret" in part for part in line)
    with pytest.raises(InputError):
        command(0, headless=True)


def test_edges_of_one_merge_are_told_apart() -> None:
    one, other = edge("m", "a", Relation.MERGED_FROM), edge("m", "b", Relation.MERGED_FROM)
    assert edge_key(one) != edge_key(other)
