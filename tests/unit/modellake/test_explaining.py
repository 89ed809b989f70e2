"""Explaining one version: the evidence, what is open, what would change it; and why no parent is named."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from pybtex.database import parse_string

from graph_schema.derivation import Observation
from graph_schema.identity import IMPLIED_PREFIX
from graph_schema.labels import Basis, Relation
from graph_schema.lineage_graph import LineageEdge
from lineage.calibration import Calibration, default_calibration
from lineage.reconciliation import Verdict, reconcile
from modellake import Lake
from modellake.counterfactuals import Names, questions, would_change
from modellake.explanation import Outcome
from tests.unit.modellake.conftest import invoke
from tests.unit.modellake.small_models import (
    Arrays,
    adapter,
    card,
    halved,
    trained,
    weights,
    write_adapter,
    write_model,
)

HIDDEN = "hidden parent of zoo/one and zoo/two"


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A family with a root, a copy and a merge; two siblings without their parent; a stranger; an adapter of none."""
    folder = tmp_path_factory.mktemp("explaining")
    base, other = weights(0, layers=3, width=48), weights(50, layers=3, width=48)
    first, second = trained(base, 1), trained(base, 2)
    models: dict[str, tuple[Arrays, str | None]] = {
        "acme/base": (base, None),
        "acme/first": (first, card(base_model="acme/base")),
        "acme/second": (second, None),
        "acme/third": (trained(first, 3), card(base_model="acme/second")),
        "acme/half": (halved(second), None),
        "acme/merge": ({name: (0.3 * first[name] + 0.7 * second[name]).astype(np.float32) for name in base}, None),
        "zoo/one": (trained(other, 1), None),
        "zoo/two": (trained(other, 2), card(base_model="gone/away")),
        "solo/alone": (weights(99, layers=3, width=48), None),
    }
    for name, (arrays, words) in models.items():
        write_model(folder / "lake" / name, arrays, words)
    write_adapter(folder / "lake/acme/adapter", adapter(5, width=48))
    with Lake(folder / "data") as opened:
        opened.ingest([folder / "lake"], isolated=False)
        opened.infer()
        yield folder / "data"


@pytest.fixture(scope="module")
def opened(directory):
    with Lake(directory) as found:
        yield found


@pytest.fixture
def command(directory):
    return partial(invoke, directory)


def test_a_parent_comes_with_its_cues_its_rival_and_what_would_change_it(opened):
    found = opened.explain("acme/third")
    assert found.outcome is Outcome.PARENT
    (item,) = found.parentages
    assert (item.relation, [parent.name for parent in item.parents]) == (Relation.FINE_TUNED_FROM, ["acme/first"])
    sizes = [abs(cue.log_odds) for cue in item.cues]
    assert sizes == sorted(sizes, reverse=True)
    assert {"direction", "row_growth", "tail_distance"} <= {cue.kind for cue in item.cues}
    assert item.runner_up is not None
    assert item.runner_up.name.startswith("acme/")
    assert item.times_as_far is not None
    assert item.times_as_far > 1
    assert any("row_growth" in line for line in item.would_change)
    assert any("if one is missing from the lake" in line for line in item.would_change)
    assert [claim.statement for claim in found.claims] == ["fine tuned from acme/second"]


def test_the_command_prints_it_and_json_holds_the_same(command, opened):
    out = command("infer", "--explain", "acme/third").out
    assert out.startswith("acme/third: fine tuned from acme/first, confidence ")
    assert "what would change this:" in out
    assert "declared: fine tuned from acme/second" in out
    held = command("infer", "--explain", "acme/third", "--json").json
    assert held["outcome"] == "parent"
    assert held["parentages"][0]["confidence"] == opened.explain("acme/third").parentages[0].confidence


def test_a_root_says_of_what_and_how_surely(opened):
    found = opened.explain("acme/base")
    assert found.outcome is Outcome.ROOT
    assert "the most probable root of its family of 6 versions" in found.statement
    assert not found.parentages


def test_a_version_without_kin_says_so(opened):
    found = opened.explain("solo/alone")
    assert found.outcome is Outcome.ALONE
    assert "none of the 8 others" in found.statement


def test_a_copy_leaves_no_question_of_order(opened):
    (item,) = opened.explain("acme/half").parentages
    assert item.relation is Relation.QUANTIZED_FROM
    assert "which of the two came first is not in question: what was lost cannot come back" in item.would_change


def test_a_merge_names_its_constituents_heaviest_first(opened):
    found = opened.explain("acme/merge")
    assert "merged from acme/second × 0.7 and acme/first × 0.3" in found.statement
    assert "residual" in found.parentages[0].would_change[0]


def test_a_hidden_parent_names_the_siblings(opened, command):
    found = opened.explain("zoo/one")
    assert found.outcome is Outcome.HIDDEN_PARENT
    (item,) = found.parentages
    assert [sibling.name for sibling in item.siblings] == ["zoo/two"]
    assert "zoo/two" in found.statement
    assert any("±0.15" in line for line in item.would_change)
    # No beginning of an id is left for the reader to look up.
    assert all(sibling.id[:12] not in "".join(found.lines()) for sibling in item.siblings)
    assert command("infer", "--explain", HIDDEN).out.startswith(f"{HIDDEN}: the weights of its children imply it")


def test_an_adapter_that_fits_nothing_is_left_open(opened):
    found = opened.explain("acme/adapter")
    assert found.outcome is Outcome.OPEN
    assert "fits no model" in found.statement


def test_what_is_not_sure_enough_is_open_and_says_what_would_have_been_named(directory, command, opened):
    sure = opened.explain("acme/third").parentages[0].confidence
    try:
        said = command("infer", "--least-confidence", 0.99)
        assert "cannot tell: acme/third: " in said.out
        assert "; likeliest acme/first, " in said.out
        found = opened.explain("acme/third")
        assert found.outcome is Outcome.OPEN
        assert found.parentages[0].confidence == sure
        (line,) = (line for line in found.parentages[0].would_change if "--least-confidence" in line)
        assert float(line.split("--least-confidence ")[1].split()[0]) <= sure
        hidden = opened.explain("zoo/one")
        assert hidden.outcome is Outcome.OPEN
        assert hidden.parentages[0].words == "fine tuned from a version that is not in the lake"
        report = command("infer", "--least-confidence", 0.99, "--json").json
        likeliest = {item["version"]: item["likeliest"] for item in report["abstentions"]}
        assert likeliest[found.version.id]["confidence"] == sure
    finally:
        opened.infer()
    assert opened.explain("acme/third").outcome is Outcome.PARENT


def test_without_a_record_it_says_how_to_get_one(directory, opened):
    kept = (directory / "last_inference.json").read_bytes()
    try:
        for content in (b"{}", b"[]", b"\xff", kept[: len(kept) // 2]):
            (directory / "last_inference.json").write_bytes(content)
            found = opened.explain("solo/alone")
            assert found.outcome is Outcome.NOT_COMPARED
            assert "modellake infer" in found.would_change[0]
        (directory / "last_inference.json").unlink()
        assert opened.explain("solo/alone").outcome is Outcome.NOT_COMPARED
    finally:
        (directory / "last_inference.json").write_bytes(kept)


def test_what_arrived_after_the_inference_is_not_called_alone(shared, data, lake):
    write_model(lake / "a/one", weights(1))
    data.ingest([lake], isolated=False)
    data.infer()
    assert data.explain("a/one").statement == "no kin; there is no other model in the lake"
    write_model(lake / "a/two", weights(2))
    data.ingest([lake], isolated=False)
    assert data.explain("a/two").outcome is Outcome.NOT_COMPARED


def test_a_named_ghost_is_not_in_the_lake(opened):
    assert opened.explain("gone/away").outcome is Outcome.NOT_IN_THE_LAKE


def test_a_hidden_parent_is_drawn_as_absent_and_not_cited(command, opened, tmp_path):
    tree = command("lineage", "two").out
    assert f"{HIDDEN} (not in the lake)" in tree
    assert "└── zoo/two fine tuned from 75%" in tree
    assert f'(["{HIDDEN}"])' in command("lineage", "zoo/one", "--format", "mermaid").out
    assert f'label="{HIDDEN}" style=dotted' in command("lineage", "zoo/one", "--format", "dot").out
    assert command("lineage", "--format", "png", "-o", tmp_path / "lake.png").code == 0
    (entry,) = parse_string(command("export", "zoo/one").out, "bibtex").entries.values()
    assert "fine tuned from a version that is not known (inferred from the weights, 75\\%)" in entry.fields["note"]
    assert any(node.implied for node in opened.whole_lineage().nodes)


def test_a_claim_is_held_against_a_hidden_parent_as_far_as_it_goes(opened):
    said = {item.statement: item.verdict for item in opened.findings()}
    absent = "the documentation of zoo/two names gone/away, which is not in the lake; "
    assert said[f"{absent}nor is the parent that the weights imply (75%)"] is Verdict.ABSENT
    undeclared = "the documentation of zoo/one names no base; the weights imply one that is not in the lake (75%)"
    assert said[undeclared] is Verdict.UNDECLARED


def test_nothing_is_said_of_the_documents_of_a_hidden_parent():
    more = {
        "relation": Relation.FINE_TUNED_FROM,
        "basis": Basis.INFERRED,
        "confidence": 0.7,
        "edit": "e",
        "method": "m",
    }
    edges = [
        LineageEdge(child="a", parent=f"{IMPLIED_PREFIX}1", **more),
        LineageEdge(child=f"{IMPLIED_PREFIX}1", parent="b", **more),
    ]
    assert [item.child for item in reconcile(edges, {})] == ["a"]


def test_the_last_part_of_a_childs_name_means_the_child(opened, command):
    assert opened.resolve("two").name == "zoo/two"
    assert command("find", "two").out.splitlines()[0].endswith("  zoo/two")
    assert command("find", "two").out.splitlines()[1] == f"absent        {HIDDEN}"


def test_an_inference_says_how_many_parents_are_hidden(command):
    assert ", 1 hidden parent implied" in command("infer").out
    (implied,) = command("infer", "--json").json["implied"]
    assert implied["id"].startswith(IMPLIED_PREFIX)


# What would change a verdict


def tree_edge(near: float, direction: float, **cues: float) -> list[Observation]:
    parts = [
        Observation(kind="tail_distance", statement="", method="tail_distance", value=0.5, log_odds=near),
        Observation(kind="direction", statement="", method="root_posterior", log_odds=direction),
    ]
    own = [
        Observation(kind=kind, statement="", method=f"direction.{kind}", value=1.0, log_odds=odds)
        for kind, odds in cues.items()
    ]
    return [*parts, *own]


def said(evidence: list[Observation], calibration: Calibration | None = None) -> tuple[str, ...]:
    fitted = calibration or default_calibration()
    return would_change(
        evidence,
        relation=Relation.FINE_TUNED_FROM,
        confidence=questions(evidence).confidence(fitted),
        names=Names(child="child", parent="parent", runner_up="rival"),
        calibration=fitted,
    )


def test_a_cue_that_carries_the_order_says_how_far_it_would_have_to_fall():
    lines = said(tree_edge(4.0, 2.0, row_growth=5.0, clock=-1.0))
    assert (
        "without row_growth child would pass for the parent (95.3%); it has +5.0 and would have to fall below 3.0"
        in lines
    )
    assert not any("without clock" in line for line in lines)


def test_a_cue_less_is_a_subtraction():
    lines = said(tree_edge(4.0, 3.0, row_growth=2.0, clock=0.5))
    confidence = questions(tree_edge(4.0, 1.0)).confidence(default_calibration())
    assert f"without row_growth the order would stand at 73.1%, the confidence at {confidence:.1%}" in lines
    assert "without any cue of this edge, the rest of the family's tree gives 62.2% for this order" in lines


def test_where_no_single_cue_decides_it_says_so():
    assert any(line.startswith("no single cue decides") for line in said(tree_edge(4.0, 15.0, growth=4.0, clock=3.0)))


@pytest.mark.parametrize(
    ("near", "direction", "expected"),
    [
        (0.0, 6.0, "open is who is its nearest relative (50.0%), not which"),
        (6.0, 0.0, "open is which of the two came first (50.0%), not who"),
        (0.0, 0.0, "both questions are open: "),
    ],
)
def test_of_an_unsure_edge_the_open_question_is_named(near, direction, expected):
    plain = replace(default_calibration(), neighbour_slope=1.0, neighbour_intercept=0.0, direction_slope=1.0)
    assert said(tree_edge(near, direction, growth=0.1), plain)[0].startswith(expected)


@pytest.mark.parametrize(
    ("confidence", "word"), [(0.5, "nothing in the weights says it"), (0.97, "make the order open")]
)
def test_of_a_laundered_copy_only_the_order_is_in_question(confidence, word):
    evidence = [Observation(kind="laundered_copy", statement="", method="symmetry.common_frame", log_odds=20.0)]
    names = Names(child="child", parent="parent")
    (line,) = would_change(evidence, relation=Relation.REPARAMETRIZED_FROM, confidence=confidence, names=names)
    assert word in line


def test_a_family_of_laundered_copies_has_one_at_the_top(data, lake):
    base = weights(1, width=48)
    order = np.random.default_rng(3).permutation(48)
    copy = dict(base)
    copy["model.embed_tokens.weight"] = base["model.embed_tokens.weight"][:, order]
    for name, values in base.items():
        if "layers" in name:
            copy[name] = values[:, order]
    write_model(lake / "a/one", base)
    write_model(lake / "a/two", {name: np.ascontiguousarray(values) for name, values in copy.items()})
    data.ingest([lake], isolated=False)
    data.infer(least_confidence=0.4)
    found = {name: data.explain(name) for name in ("a/one", "a/two")}
    assert Outcome.NOT_COMPARED not in {item.outcome for item in found.values()}


def test_confidences_are_left_out_where_the_numbers_at_hand_did_not_make_them():
    evidence = tree_edge(4.0, 3.0, row_growth=2.0)
    names = Names(child="child", parent="parent")
    lines = would_change(evidence, relation=Relation.FINE_TUNED_FROM, confidence=0.2, names=names)
    assert "without row_growth the order would stand at 73.1%" in lines
