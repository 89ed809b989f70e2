"""Scoring: what counts as right, and what does not count at all."""

from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.lakes.truth import Family, TrueEdge, TrueModel, Truth, with_duplicates
from benchmarks.scoring import PredictedEdge, Share, expected_calibration_error, score
from graph_schema.labels import Relation

TUNED, MERGED, INT8 = Relation.FINE_TUNED_FROM, Relation.MERGED_FROM, Relation.QUANTIZED_FROM


def true(child: str, parent: str, relation: Relation = TUNED, weight: float | None = None, **details: str) -> TrueEdge:
    return TrueEdge(child=child, parent=parent, relation=relation, weight=weight, details=details)


def said(
    child: str, parent: str, relation: Relation = TUNED, weight: float | None = None, confidence: float = 1.0
) -> PredictedEdge:
    return PredictedEdge(child=child, parent=parent, relation=relation, weight=weight, confidence=confidence)


# root -> a -> (a8, ghost -> orphan), root -> b, blend of a and b; copy of a; another root of a family of its own, and
# a cousin from the same initialisation as the first.
NAMES = ("root", "a", "b", "a8", "ghost", "orphan", "blend", "copy", "other", "cousin")
TRUTH = Truth(
    architecture="llama",
    seed=0,
    models=tuple(TrueModel(name=name, family="root", present=name != "ghost") for name in NAMES),
    edges=(
        true("a", "root"),
        true("b", "root"),
        true("a8", "a", INT8),
        true("ghost", "a"),
        true("orphan", "ghost"),
        true("blend", "a", MERGED, 0.6),
        true("blend", "b", MERGED, 0.5),
        true("blend", "root", MERGED, -0.1, role="base"),
    ),
    families=(
        Family(root="root", initialisation=1, members=NAMES[:8]),
        Family(root="other", initialisation=2, members=("other",)),
        Family(root="cousin", initialisation=1, members=("cousin",)),
    ),
    duplicates=(("a", "copy"),),
)
PERFECT = (
    said("a", "root"),
    said("b", "root"),
    said("a8", "a", INT8),
    said("blend", "a", MERGED, 0.6),
    said("blend", "b", MERGED, 0.5),
)


def test_a_perfect_prediction_is_perfect() -> None:
    result = score(PERFECT, TRUTH)
    assert result.parents == result.undirected == Share(right=3, total=3)
    assert result.edge_types == Share(right=3, total=3)
    assert result.roots == Share(right=3, total=3)
    assert result.merge_precision == result.merge_recall == Share(right=2, total=2)
    assert result.coefficient_error == 0
    assert (result.strangers, result.cousins, result.calibration_error) == (0, 0, 0)
    assert result.ghosts == {"abstained": 1, "ancestor": 0, "other": 0}
    assert result.wrong == ()


def test_nothing_predicted_is_nothing_found_and_nothing_false() -> None:
    result = score([], TRUTH)
    assert result.parents == Share(right=0, total=3)
    assert result.merge_precision.total == 0
    assert isnan(result.merge_precision.value)
    assert isnan(result.calibration_error)
    assert ("a", "root", None) in result.wrong


@given(st.permutations(PERFECT))
def test_the_order_of_edges_does_not_matter(edges: list[PredictedEdge]) -> None:
    assert score(edges, TRUTH) == score(PERFECT, TRUTH)


def test_a_duplicate_stands_for_its_original() -> None:
    renamed = [said("copy", "root"), said("a8", "copy", INT8), said("copy", "a"), *PERFECT[1:2], *PERFECT[3:]]
    assert score(renamed, TRUTH) == score(PERFECT, TRUTH)


def test_a_reversed_edge_is_found_but_not_right() -> None:
    result = score([said("root", "b")], TRUTH)
    assert (result.parents.right, result.undirected.right, result.roots.right) == (0, 1, 2)


def test_only_the_surest_parent_counts() -> None:
    sure, unsure = said("b", "root", confidence=0.9), said("b", "a", confidence=0.2)
    assert score([sure, unsure], TRUTH).parents.right == 1
    assert score([replace(sure, confidence=0.1), unsure], TRUTH).parents.right == 0


def test_a_wrong_relation_is_a_right_parent_of_the_wrong_type() -> None:
    result = score([said("a8", "a")], TRUTH)
    assert (result.parents.right, result.edge_types) == (1, Share(right=0, total=1))
    assert result.parents_by_relation[INT8] == Share(right=1, total=1)


def test_the_base_of_a_merge_is_allowed_but_not_asked_for() -> None:
    result = score([*PERFECT, said("blend", "root", MERGED, -0.3)], TRUTH)
    assert result.merge_precision == Share(right=3, total=3)
    assert result.merge_recall == Share(right=2, total=2)
    assert result.coefficient_error == pytest.approx(0.2 / 3)


def test_a_false_constituent_costs_precision() -> None:
    assert score([*PERFECT, said("b", "a8", MERGED, 0.5, 0.1)], TRUTH).merge_precision == Share(right=2, total=3)


@pytest.mark.parametrize(("parent", "outcome"), [("a", "ancestor"), ("root", "ancestor"), ("b", "other")])
def test_the_child_of_a_ghost_may_name_an_ancestor(parent: str, outcome: str) -> None:
    assert score([said("orphan", parent)], TRUTH).ghosts[outcome] == 1


def test_strangers_and_cousins_are_counted_apart() -> None:
    result = score([said("other", "root"), said("cousin", "a"), said("b", "other")], TRUTH)
    assert (result.strangers, result.cousins) == (2, 1)


@pytest.mark.parametrize("name", ["ghost", "unheard-of"])
def test_a_name_that_is_not_in_the_lake_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not in the lake"):
        score([said("a", name)], TRUTH)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_the_calibration_error_is_a_share(outcomes: list[tuple[float, bool]]) -> None:
    assert 0 <= expected_calibration_error(outcomes) <= 1


def test_a_truth_survives_being_written(tmp_path: Path) -> None:
    TRUTH.write(tmp_path / "lake.truth.json")
    assert Truth.read(tmp_path / "lake.truth.json") == TRUTH


def test_duplicates_are_joined_and_stand_for_each_other() -> None:
    joined = with_duplicates(TRUTH, [("copy", "b"), ("c",)])
    assert joined.duplicates == (("a", "b", "copy"),)
    ends = [(edge.child, edge.parent) for edge in joined.edges]
    assert ends == [("a", "root"), ("a8", "a"), ("ghost", "a"), ("orphan", "ghost"), ("blend", "a"), ("blend", "root")]
