"""Every slice of a reordered tensor is the slice of the tensor put in order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.readers.axis_order import read_half_split, read_regrouped, read_transposed

SMALL = st.integers(1, 7)


def reader(stored: np.ndarray, calls: list[int]):
    flat = stored.reshape(-1)

    def read(start: int, stop: int) -> np.ndarray:
        assert 0 <= start < stop <= flat.size
        calls.append(stop - start)
        return flat[start:stop]

    return read


def slices(data: st.DataObject, size: int) -> tuple[int, int]:
    start = data.draw(st.integers(0, size - 1))
    return start, data.draw(st.integers(start + 1, size))


@given(data=st.data(), rows=SMALL, columns=SMALL)
def test_a_transposed_matrix(data: st.DataObject, rows: int, columns: int) -> None:
    matrix = np.arange(rows * columns).reshape(rows, columns)
    start, stop = slices(data, matrix.size)
    read = read_transposed(reader(matrix.T, []), (rows, columns), start, stop)
    assert read.tolist() == list(range(start, stop))


@given(data=st.data(), heads=SMALL, half=SMALL, width=SMALL)
def test_paired_rows(data: st.DataObject, heads: int, half: int, width: int) -> None:
    matrix = np.arange(heads * 2 * half * width)
    stored = matrix.reshape(heads, 2, half, width).swapaxes(1, 2)
    start, stop = slices(data, matrix.size)
    calls: list[int] = []
    read = read_half_split(reader(stored, calls), heads, 2 * half, width, start, stop)
    assert read.tolist() == list(range(start, stop))
    assert sum(calls) <= 2 * (stop - start)


@given(data=st.data(), groups=SMALL, members=SMALL, length=SMALL)
def test_regrouped_blocks(data: st.DataObject, groups: int, members: int, length: int) -> None:
    blocks = np.arange(groups * members * length)
    stored = blocks.reshape(groups, members, length).swapaxes(0, 1)
    start, stop = slices(data, blocks.size)
    calls: list[int] = []
    read = read_regrouped(reader(stored, calls), groups, members, length, start, stop)
    assert read.tolist() == list(range(start, stop))
    assert sum(calls) == stop - start
