"""Relations between states of data, from their sketches alone."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from graph_schema.labels import Relation
from graph_schema.row_sketch import DatasetSketch
from ingest.datasets.columns import Batch
from ingest.datasets.sketching import Sketcher
from lineage.dataset_comparison import changes, compare
from lineage.dataset_relations import relate


def taken(version: str, columns: dict[str, list]) -> DatasetSketch:
    sketcher = Sketcher()
    sketcher.add(Batch.of(pa.RecordBatch.from_pydict(columns)), spelled=False, where="here")
    return sketcher.sketch(version)


def table(start: int, stop: int, **more: list) -> dict[str, list]:
    places = range(start, stop)
    return {"id": list(places), "text": [f"row {place}" for place in places], **more}


def relations(
    *sketches: DatasetSketch, datasets: dict[str, list[str]] | None = None
) -> dict[tuple[str, str], Relation]:
    named = datasets if datasets is not None else {item.version: [item.version] for item in sketches}
    return {(item.child, item.parents[0].id): item.relation for item in relate(sketches, named)}


def test_the_same_rows_in_another_order():
    forwards, backwards = taken("a", table(0, 50)), taken("b", {k: v[::-1] for k, v in table(0, 50).items()})
    assert relations(forwards, backwards) == {("b", "a"): Relation.SAME_ROWS_AS}


def test_a_subset_and_its_share():
    part, whole = taken("part", table(10, 30)), taken("whole", table(0, 100))
    (found,) = relate([part, whole], {})
    assert (found.child, found.parents[0].id, found.relation) == ("part", "whole", Relation.SUBSET_OF)
    assert (found.share, found.confidence) == ((1.0, 1.0, 1.0), 1.0)
    shares = {item.kind: item.value for item in found.observations}
    assert (shares["containment"], shares["reverse_containment"]) == (1.0, 0.2)


def test_an_overlap_leads_from_the_one_that_shares_more():
    small, large = taken("small", table(0, 20)), taken("large", table(10, 100))
    (found,) = relate([small, large], {})
    assert (found.child, found.relation, found.share) == ("small", Relation.OVERLAPS_WITH, (0.5, 0.5, 0.5))


def test_strangers_have_no_relation():
    assert relations(taken("a", table(0, 50)), taken("b", table(50, 100))) == {}
    assert relations(taken("a", {"x": [1, 2]}), taken("b", {"y": [1, 2]})) == {}


def test_large_sets_are_estimated_with_an_interval():
    part, whole = taken("part", table(0, 50_000)), taken("whole", table(0, 400_000))
    (found,) = relate([part, whole], {})
    assert found.relation is Relation.SUBSET_OF
    value, low, high = found.share
    assert value == high == 1.0
    assert 0.99 < low < 1.0


@pytest.mark.parametrize(
    ("newer", "said"),
    [
        (table(0, 110), "10 rows added"),
        (table(0, 90), "10 rows removed"),
        (table(5, 110), "10 rows added; 5 rows removed"),
        ({"id": list(range(100)), "text": ["new"] * 3 + [f"row {i}" for i in range(3, 100)]}, "3 rows changed"),
        (table(0, 100, label=[0] * 100), "column label added"),
        ({"id": list(range(100))}, "column text removed"),
        (table(0, 104, label=[0] * 104), "4 rows added; column label added"),
    ],
)
def test_a_revision_says_what_changed(newer, said):
    old, new = taken("old", table(0, 100)), taken("new", newer)
    found = {item.relation: item for item in relate([old, new], {"data": ["old", "new"]})}
    revision = found[Relation.REVISED_FROM]
    assert (revision.child, revision.parents[0].id) == ("new", "old")
    assert revision.summary == said
    assert changes(new, old, compare(new, old)) == said


def test_a_revision_that_shares_nothing_is_less_sure():
    old, new = taken("old", table(0, 50)), taken("new", table(60, 90))
    (found,) = relate([old, new], {"data": ["old", "new"]})
    assert (found.relation, found.confidence) == (Relation.REVISED_FROM, 0.5)


def test_numbered_names_follow_one_another_where_they_share_rows():
    old, new, stranger = taken("o", table(0, 50)), taken("n", table(0, 60)), taken("s", table(90, 99))
    named = {"words_v1": ["o"], "words_v2": ["n"], "words_v3": ["s"]}
    found = relations(old, new, stranger, datasets=named)
    assert found == {("n", "o"): Relation.REVISED_FROM, ("o", "n"): Relation.SUBSET_OF}
    assert relations(old, new, datasets={"words": ["o"], "words_v2": ["n"]})[("n", "o")] is Relation.REVISED_FROM


def test_a_column_more_is_seen_without_a_row_in_common():
    plain, labelled = taken("plain", table(0, 50)), taken("labelled", table(0, 50, label=[1] * 50))
    (found,) = relate([plain, labelled], {})
    assert found.relation is Relation.OVERLAPS_WITH
    assert "equal columns id, text" in found.summary


def test_the_order_of_the_sketches_does_not_matter():
    sketches = [taken("a", table(0, 50)), taken("b", table(0, 25)), taken("c", table(20, 70)), taken("d", table(0, 50))]
    assert relate(sketches, {}) == relate(sketches[::-1], {})
    assert relations(*sketches)[("b", "d")] is Relation.SUBSET_OF


@pytest.mark.parametrize(
    ("newer", "said"),
    [
        (table(100, 150_000), r"about \d+ rows added; about \d+ rows removed or changed"),
        (table(0, 120_000), r"about 20000 rows added"),
        (
            {"id": list(range(100_000)), "text": ["new"] * 40_000 + [f"row {i}" for i in range(40_000, 100_000)]},
            r"about (39|40)\d{3} rows changed",
        ),
    ],
)
def test_a_revision_of_many_rows_says_what_it_can_tell(newer, said):
    old, new = taken("old", table(0, 100_000)), taken("new", newer)
    assert re.fullmatch(said, changes(new, old, compare(new, old)))
