"""The sketch of a set of rows: its algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.row_sketch import BottomSketch

hashes = st.lists(st.integers(0, 60), max_size=40)
sizes = st.integers(1, 12)


def sketch(values: list[int], size: int) -> BottomSketch:
    return BottomSketch.of(np.array(values, np.uint64), size)


def same(one: BottomSketch, other: BottomSketch) -> bool:
    return one.size == other.size and np.array_equal(one.hashes, other.hashes)


@given(hashes, hashes, sizes, sizes)
def test_union_is_commutative(one, other, size, other_size):
    first, second = sketch(one, size), sketch(other, other_size)
    assert same(first.union(second), second.union(first))


@given(hashes, hashes, hashes, sizes)
def test_union_is_associative(one, two, three, size):
    a, b, c = (sketch(values, size) for values in (one, two, three))
    assert same(a.union(b).union(c), a.union(b.union(c)))


@given(hashes, sizes)
def test_union_is_idempotent_and_has_an_identity(values, size):
    found = sketch(values, size)
    assert same(found.union(found), found)
    assert same(found.union(BottomSketch.empty(size)), found)


@given(hashes, hashes, sizes)
def test_the_sketch_of_a_union_is_the_union_of_the_sketches(one, other, size):
    assert same(sketch(one + other, size), sketch(one, size).union(sketch(other, size)))


@given(hashes, sizes, st.randoms())
def test_neither_order_nor_repetition_matters(values, size, random):
    shuffled = values + values[: len(values) // 2]
    random.shuffle(shuffled)
    assert same(sketch(values, size), sketch(shuffled, size))


@given(hashes, sizes)
def test_everything_up_to_the_threshold_is_there(values, size):
    found = sketch(values, size)
    assert found.up_to(found.threshold) == len(found.hashes)
    assert set(found.hashes.tolist()) == {value for value in values if value <= found.threshold}


def test_a_sketch_of_nothing_is_no_sketch():
    with pytest.raises(ValueError, match="at least one"):
        sketch([1], 0)
