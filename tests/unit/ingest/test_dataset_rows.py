"""Hashes of rows: the same from every file format, in every order of rows and columns."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.row_sketch import DatasetSketch
from ingest.datasets.columns import Batch, hash_column
from ingest.datasets.lines import read_json_array, read_json_lines
from ingest.datasets.sketching import Sketcher
from ingest.datasets.tables import LeftOut, read_arrow, read_csv, read_parquet


def sketch(batches: Iterator[Batch], *, spelled: bool = False) -> DatasetSketch:
    sketcher = Sketcher()
    for batch in batches:
        sketcher.add(batch, spelled=spelled, where="here")
    return sketcher.sketch("v")


def of_csv(content: bytes) -> DatasetSketch:
    return sketch(read_csv(io.BytesIO(content), "x.csv", LeftOut()), spelled=True)


def of_table(table: pa.Table) -> DatasetSketch:
    return sketch(map(Batch.of, table.to_batches()))


def every_form(table: pa.Table) -> dict[str, DatasetSketch]:
    rows = table.to_pylist()
    text, packed, stream, file = (io.BytesIO() for _ in range(4))
    arrow_csv.write_csv(table, text)
    parquet.write_table(table, packed)
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    lines = "\n".join(json.dumps(row) for row in rows).encode()
    array = json.dumps(rows, indent=1).encode()
    for opened in (packed, stream, file):
        opened.seek(0)
    return {
        "memory": of_table(table),
        "csv": of_csv(text.getvalue()),
        "parquet": sketch(read_parquet(packed, "x.parquet", len(packed.getvalue()))),
        "arrow stream": sketch(read_arrow(stream, "x.arrow")),
        "arrow file": sketch(read_arrow(file, "x.arrow")),
        "jsonl": sketch(read_json_lines(io.BytesIO(lines), "x.jsonl", LeftOut())),
        "json": sketch(read_json_array(io.BytesIO(array), "x.json")),
    }


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
tables = st.lists(
    st.fixed_dictionaries(
        {
            "number": st.integers(-(2**63) + 1, 2**63 - 1),
            "share": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "name": st.none() | texts,
            "spelled": st.none() | st.sampled_from(["1", "1.0", "true", "nan", "2020-01-01", "1e5", "007", "-0"]),
            "flag": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=20,
)
SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("share", pa.float64()),
        ("name", pa.string()),
        ("spelled", pa.string()),
        ("flag", pa.bool_()),
    ]
)


@settings(deadline=None, max_examples=60)
@given(tables)
def test_every_format_gives_the_same_rows(rows):
    found = every_form(pa.Table.from_pylist(rows, SCHEMA))
    assert {item.rows for item in found.values()} == {len(rows)}
    assert {item.multiset for item in found.values()} == {found["memory"].multiset}, {
        name: item.multiset for name, item in found.items()
    }
    assert len({item.distinct.hashes.tobytes() for item in found.values()}) == 1


@settings(deadline=None, max_examples=30)
@given(tables, st.randoms())
def test_neither_the_order_of_rows_nor_that_of_columns_matters(rows, random):
    table = pa.Table.from_pylist(rows, SCHEMA)
    order, names = list(range(len(rows))), list(SCHEMA.names)
    random.shuffle(order)
    random.shuffle(names)
    assert of_table(table.take(order).select(names)).multiset == of_table(table).multiset


@settings(deadline=None, max_examples=30)
@given(tables, st.integers(1, 7))
def test_the_size_of_batches_does_not_matter(rows, size):
    table = pa.Table.from_pylist(rows, SCHEMA)
    assert sketch(map(Batch.of, table.to_batches(max_chunksize=size))).multiset == of_table(table).multiset


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        (pa.array([1, -5, None], pa.int8()), ["1", "-5", ""]),
        (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
        (pa.array([1.0, 2.5, float("nan")]), ["1.0", "2.50", "NaN"]),
        (pa.array([0.1, 1 / 3], pa.float32()), ["0.1", "0.33333334"]),
        (pa.array([1e300, 1e-300, 5e-324]), ["1e300", "1E-300", "5e-324"]),
        (pa.array([0.1 + 0.2, 123456789.123456789]), ["0.30000000000000004", "123456789.12345679"]),
        (pa.array([True, False]), ["TRUE", "false"]),
        (pa.array([decimal.Decimal("1.50"), decimal.Decimal("2.00")]), ["1.5", "2"]),
        (pa.array([dt.date(1969, 2, 28), dt.date(2000, 2, 29)]), ["1969-02-28", "2000-02-29"]),
        (pa.array([dt.datetime(2020, 1, 2, 3, 4, 5, 600000)]), ["2020-01-02T03:04:05.6Z"]),
        (pa.array([dt.datetime(2020, 1, 2, 3, 4)], pa.timestamp("ns")), ["2020-01-02 05:04+02:00"]),
        (pa.array([dt.datetime(2020, 1, 2)], pa.timestamp("s", tz="Europe/Berlin")), ["2020-01-02"]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([b"ab", b"\xff"], pa.binary()), [b"ab", b"\xff"]),
    ],
    ids=str,
)
def test_a_type_and_its_spelling_are_one_cell(typed, spelled):
    texts = pa.array([item if isinstance(item, bytes) else item.encode() for item in spelled], pa.binary())
    assert hash_column(typed)[0].tolist() == hash_column(texts)[0].tolist()


def test_what_looks_like_a_number_and_is_none_stays_text():
    cells = ["7", "007", "7-", "1.2.3", "2020-13-01", "0x10", "1e", "-", "+7", " 7", "1_000", ".5"]
    assert len(set(hash_column(pa.array(cells))[0].tolist())) == len(cells)


def test_nested_values_are_one_cell_in_parquet_arrow_and_json():
    rows = [
        {"id": 1, "tags": ["a", "b"], "at": {"x": 1.5, "y": None}},
        {"id": 2, "tags": [], "at": {"x": 2.0, "y": "z"}},
    ]
    table = pa.Table.from_pylist(rows)
    found = {item.multiset for item in (of_table(table), *(_json_forms(rows)))}
    assert len(found) == 1


def _json_forms(rows: list[dict]) -> Iterator[DatasetSketch]:
    without_nulls = [{**row, "at": {k: v for k, v in row["at"].items() if v is not None}} for row in rows]
    for given_rows in (rows, without_nulls):
        lines = "\n".join(json.dumps(row) for row in given_rows).encode()
        yield sketch(read_json_lines(io.BytesIO(lines), "x", LeftOut()))


def test_an_absent_key_a_null_and_an_empty_cell_are_one():
    absent = sketch(read_json_lines(io.BytesIO(b'{"a": 1}\n{"a": 2, "b": null}\n'), "x", LeftOut()))
    assert absent.multiset == of_csv(b"a,b\n1,\n2,\n").multiset


def test_mixed_types_in_json_do_not_fail():
    mixed = sketch(read_json_lines(io.BytesIO(b'{"a": 1}\n{"a": "x"}\n{"a": [1]}\n{"a": true}\n7\n'), "x", LeftOut()))
    alone = sketch(read_json_lines(io.BytesIO(b'{"a": [1]}\n'), "x", LeftOut()))
    assert mixed.rows == 5
    assert set(alone.distinct.hashes.tolist()) <= set(mixed.distinct.hashes.tolist())


def test_numbers_at_the_seam_of_two_blocks_are_whole(monkeypatch):
    monkeypatch.setattr("ingest.datasets.lines.BLOCK_BYTES", 7)
    numbers = [12345678, 9.5, -3] * 5
    found = sketch(read_json_array(io.BytesIO(json.dumps(numbers).encode()), "x"))
    whole = sketch(read_json_lines(io.BytesIO("\n".join(map(str, numbers)).encode()), "x", LeftOut()))
    assert found.multiset == whole.multiset


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_header(mark):
    plain = b"a,b,c\n1,x y,2.5\n"
    assert of_csv(plain.replace(b",", mark.encode())).multiset == of_csv(plain).multiset


def test_utf16_and_a_mark_of_order_are_read():
    plain = "ä,b\n1,ü\n"
    expected = of_csv(plain.encode()).multiset
    assert of_csv(plain.encode("utf-16")).multiset == expected
    assert of_csv(plain.encode("utf-8-sig")).multiset == expected


def test_the_labels_of_rows_that_pandas_writes_are_no_data():
    assert of_csv(b",a\n0,x\n1,y\n").multiset == of_csv(b"a\nx\ny\n").multiset


def test_comments_above_the_header_are_passed_over():
    plain = of_csv(b"a,b\n1,2\n")
    assert of_csv(b"# made by hand\n#\n\na,b\n1,2\n").multiset == plain.multiset
    assert [column.name for column in of_csv(b"#a,b\n1,2\n").columns] == ["#a", "b"]
    assert [column.name for column in of_csv(b"# a,b\n").columns] == []


def test_types_are_what_all_texts_spell():
    columns = of_csv(b"i,d,t,s,b,n\n1,1,2020-01-01,1,true,\n2,2.5,2020-01-02 10:00,x,False,\n").columns
    assert {item.name: item.type for item in columns} == {
        "i": "int64",
        "d": "double",
        "t": "timestamp",
        "s": "string",
        "b": "bool",
        "n": "null",
    }


def test_ragged_rows_are_left_out_and_counted():
    left_out = LeftOut()
    found = sketch(read_csv(io.BytesIO(b"a,b\n1,2\n3\n4,5,6\n7,8\n"), "x.csv", left_out), spelled=True)
    assert (found.rows, left_out.rows) == (2, 2)
    assert left_out.first == "row 3 has 1 cells instead of 2"


def test_quoted_cells_may_break_lines():
    assert of_csv(b'a,b\n"x\ny",1\n').multiset == of_table(pa.table({"a": ["x\ny"], "b": [1]})).multiset
