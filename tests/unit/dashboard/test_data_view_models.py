"""What is said of data sets, out of a real embedded store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data_reading import read_catalogue, read_dataset, training_data
from dashboard.view_models.browsing import Browsing, Kept, Order
from dashboard.view_models.catalogue import chosen, how_many, line_block
from dashboard.view_models.data_sheet import (
    columns_block,
    evidence_block,
    facts_block,
    related,
    relation_block,
    share_in_words,
    state_block,
    use_block,
    users,
)
from dashboard.view_models.document import Block, words
from dashboard.view_models.licenses import conditions, conflict
from dashboard.view_models.paging import page_of
from graph_schema.errors import UnknownNameError
from graph_schema.labels import Basis, Relation
from modellake import Lake
from tests.unit.dashboard.sample_data import MANY, data_rows
from tests.unit.dashboard.sample_lake import HOSTILE, fill, sample_rows, version_id


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    directory = fill(tmp_path_factory.mktemp("data"), sample_rows() + data_rows())
    with Lake(directory) as opened:
        yield opened


@pytest.fixture(scope="module")
def lines(lake):
    return read_catalogue(lake)


def ids(lines) -> list[str]:
    return [line.entry.id for line in lines]


def said(block: Block) -> str:
    return " ".join(words(block).split())


# The list


def test_every_data_set_is_listed_with_what_to_look_at(lines) -> None:
    by_id = {line.entry.id: line for line in lines}
    assert len(by_id) == 5 + MANY
    reviews = by_id["acme/reviews"]
    assert (reviews.related, reviews.shared, reviews.conflicts) == (1, True, 1)
    text = said(line_block(reviews))
    assert "1,010 rows · 3 columns · csv · 11.9 kB · 2 states · cc-by-nc-4.0 · 1 model trained on it" in text
    assert "licence: 1 model does not repeat its conditions" in text
    assert said(line_block(by_id["squad"])) == "only named; its data is not in the lake · 1 model trained on it"
    assert by_id["data/words"].related == 2


def test_the_list_is_narrowed_by_words_and_by_kind(lines) -> None:
    assert ids(chosen(lines, text="NC-4.0 reviews")) == ["acme/reviews"]
    assert ids(chosen(lines, text="score")) == ["acme/reviews"]
    assert ids(chosen(lines, text="reviews nothing")) == []
    assert ids(chosen(lines, kept=Kept.SHARED)) == ids(chosen(lines, kept=Kept.LICENSE)) == ["acme/reviews"]
    assert set(ids(chosen(lines, kept=Kept.RELATED))) == {"acme/reviews", "data/words", "data/held_out"}
    assert how_many(lines) == {Kept.PRESENT: 4, Kept.NAMED: MANY + 1, Kept.RELATED: 3, Kept.LICENSE: 1, Kept.SHARED: 1}


def test_data_that_is_there_comes_first_and_the_largest_first_on_demand(lines) -> None:
    assert not any(line.entry.ghost for line in chosen(lines)[:4])
    assert ids(chosen(lines, order=Order.ROWS))[:2] == ["data/words", "acme/reviews"]
    assert chosen(lines, order=Order.MODELS)[0].entry.models == max(line.entry.models for line in lines)


@given(st.integers(0, 200), st.integers(-5, 50), st.integers(1, 30))
def test_pages_hold_everything_once(total: int, number: int, size: int) -> None:
    page = page_of(range(total), number, size)
    assert 1 <= page.number <= page.pages
    assert [item for at in range(1, page.pages + 1) for item in page_of(range(total), at, size).items] == list(
        range(total)
    )
    assert (page.line == "") == (page.pages == 1)


@given(
    st.builds(
        Browsing,
        dataset=st.text(max_size=10),
        text=st.text(max_size=10),
        kept=st.none() | st.sampled_from(Kept),
        order=st.sampled_from(Order),
        page=st.integers(1, 9999),
        evidence=st.text(max_size=5),
    )
)
def test_a_permalink_leads_back(browsing: Browsing) -> None:
    given_back = {name: [value] for name, value in browsing.query_parameters().items()}
    assert Browsing.from_query_parameters(given_back) == browsing


# One data set


def test_states_say_what_changed_and_what_leaks(lake) -> None:
    detail = lake.dataset("acme/reviews")
    new, old = detail.states
    text = said(state_block(new, old, detail))
    assert "State 2 · 1,010 rows · 3 columns · csv" in text
    assert "columns since score: double added" in text
    assert "test in train: 20.0%" in text
    assert "score double" in said(columns_block(detail.entry.columns))
    assert "licence cc-by-nc-4.0" in said(facts_block(detail))


def test_relations_say_share_interval_confidence_and_evidence(lake) -> None:
    detail = lake.dataset("acme/reviews")
    overlap = next(link for link in detail.links if link.relation is Relation.OVERLAPS_WITH)
    text = said(relation_block(overlap, detail.states))
    assert text.startswith("overlaps with inferred confidence 97%")
    assert "30.0% of the rows of state 1 are in the other; between 27.0% and 33.0% with 95% certainty." in text
    assert "300 of 1,000 rows seen are in it." in said(evidence_block(lake.edit(overlap.edit)))
    revision = next(link for link in detail.links if link.relation is Relation.REVISED_FROM and link.forward)
    assert share_in_words(revision).startswith("No row of this one is in the other with the same values")
    assert [link.relation for link in related(detail)] == [Relation.OVERLAPS_WITH, Relation.REVISED_FROM]
    (part,) = lake.dataset("data/held_out").links
    assert (part.words, share_in_words(part)) == (
        "subset of",
        "100% of the rows of this one are in the other, counted exactly.",
    )
    (back,) = (link for link in lake.dataset("data/words").links if link.relation is Relation.SUBSET_OF)
    assert (back.words, share_in_words(back)) == (
        "superset of",
        "100% of the rows of the other are in this one, counted exactly.",
    )


def test_claimed_and_inferred_training_are_one_line_with_the_licences(lake) -> None:
    (use,) = users(lake.dataset("acme/reviews"))
    text = said(use_block(use))
    assert text.startswith("inferred declared apache-2.0")
    assert "README.md (datasets) names acme/reviews · confidence 80%" in text
    assert "cc-by-nc-4.0, asks for no commercial use; the model's, apache-2.0, does not." in text


def test_a_data_set_is_found_by_any_of_its_states(lake) -> None:
    assert read_dataset(lake, "acme/reviews-1").entry.id == "acme/reviews"
    with pytest.raises(UnknownNameError):
        read_dataset(lake, "no/such")


def test_a_model_knows_its_data(lake) -> None:
    found = {item.dataset: item for item in training_data(lake, version_id("org/chat"))}
    assert found.keys() == {"acme/reviews", "squad"}
    assert set(found["acme/reviews"].bases) == set(Basis)
    assert found["acme/reviews"].license == "cc-by-nc-4.0"
    assert found["squad"].words == "declared, not in the lake"
    assert training_data(lake, version_id("lab/stray")) == ()


def test_hostile_text_stays_text(lake) -> None:
    detail = lake.dataset(HOSTILE)
    assert HOSTILE in words(facts_block(detail))
    assert HOSTILE in words(columns_block(detail.entry.columns))


# Licences


@pytest.mark.parametrize(
    ("license", "asked"),
    [
        ("CC-BY-NC-SA-4.0", 2),
        ("https://creativecommons.org/licenses/by-nc-nd/4.0/", 2),
        ("cc-by-4.0", 0),
        ("gpl-3.0", 1),
        ("lgpl-2.1", 0),
        ("other", 0),
        ("", 0),
    ],
)
def test_conditions_are_read_off_the_name(license: str, asked: int) -> None:
    assert len(conditions(license)) == asked


def test_a_conflict_needs_two_licences_that_differ() -> None:
    assert conflict(None, ["mit"]) is None
    assert conflict("cc-by-nc-4.0", []) is None
    assert conflict("cc-by-nc-4.0", ["cc-by-nc-4.0"]) is None
    assert "mit" in (conflict("cc-by-nc-4.0", ["cc-by-nc-4.0", "mit"]) or "")
