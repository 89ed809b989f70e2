"""What sketches say about sets: exact where they are whole, unbiased and within their intervals elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.row_sketch import BottomSketch
from lineage.row_overlap import containment, distinct, relative_error, share, similarity

sets = st.sets(st.integers(0, 80), max_size=40)


def sketch(values, size: int = 64) -> BottomSketch:
    return BottomSketch.of(np.array(sorted(values), np.uint64), size)


def random_sets(seed: int, shared: int, alone: int, others: int) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.random.default_rng(seed).integers(0, 2**64, shared + alone + others, np.uint64)
    return drawn[: shared + alone], np.concatenate((drawn[:shared], drawn[shared + alone :]))


@given(sets, sets)
def test_whole_sketches_give_the_truth(one, other):
    found = containment(sketch(one), sketch(other))
    if one:
        assert found.value == found.low == found.high == len(one & other) / len(one)
    if one | other:
        assert similarity(sketch(one), sketch(other)).value == len(one & other) / len(one | other)
    assert distinct(sketch(one)) == len(one)


@given(sets, sets, st.integers(1, 20), st.integers(1, 20))
def test_similarity_is_symmetric_whatever_the_sizes(one, other, size, other_size):
    a, b = sketch(one, size), sketch(other, other_size)
    assert similarity(a, b) == similarity(b, a)


@given(sets, st.integers(2, 20))
def test_a_set_lies_in_itself_and_is_like_itself(values, size):
    found = sketch(values, size)
    if values:
        assert containment(found, found).hits == containment(found, found).trials
        assert similarity(found, found).hits == similarity(found, found).trials


@given(sets, sets, st.integers(1, 20))
def test_the_estimate_lies_in_its_interval_and_the_interval_among_shares(one, other, size):
    found = containment(sketch(one, size), sketch(other, size))
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("truth", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("others", [0, 2_000, 60_000])
def test_intervals_cover_the_truth_as_often_as_they_say(truth, others):
    shared = round(2_000 * truth)
    found = []
    for seed in range(120):
        one, other = random_sets(seed, shared, 2_000 - shared, others)
        found.append(containment(BottomSketch.of(one, 256), BottomSketch.of(other, 256)))
    covered = sum(item.low <= truth <= item.high for item in found)
    # At least 95 % are promised; 107 of 120 would be three standard deviations less.
    assert covered >= 107
    trials = sum(item.trials for item in found)
    hits = sum(item.hits for item in found)
    assert hits / trials == pytest.approx(truth, abs=4 * (truth * (1 - truth) / trials) ** 0.5)


def test_the_number_of_distinct_rows_is_unbiased():
    one, _ = random_sets(0, 50_000, 0, 0)
    found = BottomSketch.of(one, 1_024)
    assert distinct(found) == pytest.approx(50_000, rel=4 * relative_error(found))


def test_a_small_set_in_a_large_one_is_still_seen():
    one, other = random_sets(3, 1_000, 0, 999_000)
    found = containment(BottomSketch.of(one, 32_768), BottomSketch.of(other, 32_768))
    assert found.value == 1.0
    assert 20 <= found.trials <= 50
    assert 0.85 < found.at_least(0.9) < 1.0


def test_nothing_seen_is_nothing_known():
    assert (share(0, 0).low, share(0, 0).high) == (0.0, 1.0)
