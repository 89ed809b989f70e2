"""Data made to exhaust the machine, hang it or forge lines: refused in one line, and the rest is read."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import struct
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from graph_schema.errors import EmptyLakeError, ModelLakeError, ResourceError
from ingest.datasets.dataset_source import DatasetSource
from ingest.datasets.discovery import discover_datasets
from ingest.datasets.reading import DatasetReading
from ingest.discovery import discover
from ingest.isolation import IsolatedReader, WorkerPool
from ingest.limits import ReadingLimits
from ingest.model_source import Rejected

MEMORY = 1 << 30


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(1, ReadingLimits(memory=MEMORY, seconds=60)) as opened:
        yield opened


def sources(root: Path) -> list[DatasetSource]:
    return [item for item in discover_datasets([root]) if isinstance(item, DatasetSource)]


def read(pool: WorkerPool, root: Path) -> DatasetReading | ModelLakeError:
    (source,) = sources(root)
    found: DatasetReading | ModelLakeError
    try:
        found = IsolatedReader(pool).dataset(source)
    except ModelLakeError as error:
        found = error
    assert isinstance(found, DatasetReading) or len(str(found).splitlines()) == 1
    return found


def refused(pool: WorkerPool, root: Path) -> str:
    found = read(pool, root)
    assert isinstance(found, ModelLakeError), found
    return str(found)


def test_a_parquet_file_of_millions_of_rows_in_a_few_bytes(pool, tmp_path):
    nothing = pa.table({"a": pa.nulls(1 << 26, pa.bool_())})
    parquet.write_table(nothing, tmp_path / "bomb.parquet", row_group_size=1 << 26, max_rows_per_page=1 << 30)
    assert (tmp_path / "bomb.parquet").stat().st_size < 8 << 10
    assert "states 67108864 rows" in refused(pool, tmp_path)


def test_a_parquet_page_of_one_long_text_repeated(pool, tmp_path):
    # 32 MB once in the dictionary, a million times in the rows.
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), pa.array(["x" * (32 << 20)]))
    parquet.write_table(pa.table({"a": texts}), tmp_path / "bomb.parquet", compression="zstd", store_schema=False)
    assert "bomb.parquet" in refused(pool, tmp_path)


def test_deep_nesting(pool, tmp_path):
    (tmp_path / "deep.jsonl").write_text("[" * 100_000 + "\n" + '{"a": 1}\n' * 3)
    found = read(pool, tmp_path)
    assert isinstance(found, DatasetReading)
    assert (found.version.rows, len(found.problems)) == (3, 1)
    # Deep enough for the parser, perhaps too deep for what comes after it.
    (tmp_path / "deep.jsonl").write_text('{"a":' * 900 + "1" + "}" * 900 + "\n")
    read(pool, tmp_path)
    (tmp_path / "deep.jsonl").unlink()
    (tmp_path / "deep.json").write_text('[{"a":' + "[" * 100_000)
    assert "nested too deeply" in refused(pool, tmp_path)


def test_a_deeply_nested_parquet_schema(pool, tmp_path):
    kind: pa.DataType = pa.int64()
    for _ in range(120):
        kind = pa.struct([("a", kind)])
    parquet.write_table(pa.table({"a": pa.nulls(3, kind)}), tmp_path / "deep.parquet")
    read(pool, tmp_path)


@pytest.mark.parametrize("name", ["cell.csv", "line.jsonl", "element.json", "train.txt"])
def test_gigantic_cells(pool, tmp_path, name):
    giant = "x" * (40 << 20)
    content = {"cell.csv": f"a,b\n1,{giant}\n", "line.jsonl": json.dumps({"a": giant}), "train.txt": giant}
    (tmp_path / name).write_text(content.get(name, json.dumps([{"a": giant}])))
    assert re.search(r"longer than \d+ MiB", refused(pool, tmp_path))


def test_a_gzip_bomb(pool, tmp_path):
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        file.write(b"a\n")
        for _ in range(1200):
            file.write(b"a" * ((1 << 20) - 1) + b"\n")
    (tmp_path / "bomb.csv.gz").write_bytes(packed.getvalue())
    assert "unpacks to more than" in refused(pool, tmp_path)


def test_a_header_of_too_many_columns(pool, tmp_path):
    (tmp_path / "wide.csv").write_text(",".join(map(str, range(40_000))) + "\n")
    assert "40000 columns" in refused(pool, tmp_path)


def test_keys_without_end(pool, tmp_path):
    with (tmp_path / "wide.jsonl").open("w") as file:
        for start in range(0, 40_000, 100):
            file.write(json.dumps({f"k{start + i}": 1 for i in range(100)}) + "\n")
    assert "columns" in refused(pool, tmp_path)


def test_nul_bytes_and_mixed_encodings(pool, tmp_path):
    (tmp_path / "mixed.csv").write_bytes(b"a,b\n1,\x00\xff\xfe\n2,caf\xe9\n3,caf\xc3\xa9\n")
    found = read(pool, tmp_path)
    assert isinstance(found, DatasetReading)
    assert (found.version.rows, found.version.columns) == (3, ("a: int64", "b: string"))
    (tmp_path / "mixed.csv").write_bytes(b"a\x00,b\n1,2\n")
    assert "NUL bytes" in refused(pool, tmp_path)


def test_a_million_ragged_rows(pool, tmp_path):
    (tmp_path / "ragged.csv").write_bytes(b"a,b\n" + b"1\n" * 1_500_000)
    assert "ragged.csv" in refused(pool, tmp_path)


def test_offsets_of_an_arrow_file_that_point_elsewhere(pool, tmp_path):
    sink = io.BytesIO()
    table = pa.table({"a": ["some text"] * 100})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue()
    offsets = struct.pack("<3i", 9, 18, 27)
    assert offsets in content
    (tmp_path / "evil.arrow").write_bytes(content.replace(offsets, struct.pack("<3i", 1 << 30, 18, -5)))
    assert "evil.arrow" in refused(pool, tmp_path)


@pytest.mark.parametrize("name", ["evil.arrow", "evil.parquet"])
def test_flipped_bytes_never_hang_or_crash_the_caller(pool, tmp_path, name):
    table = pa.table({"a": [f"text {place}" for place in range(200)], "b": list(range(200))})
    path = tmp_path / name
    if name.endswith("parquet"):
        parquet.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    content = bytearray(path.read_bytes())
    for place in range(4, len(content), len(content) // 24):
        damaged = content.copy()
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        read(pool, tmp_path)


def test_time_runs_out_for_a_file_that_is_worth_little(tmp_path):
    # One second for a million nested rows.
    (tmp_path / "slow.json").write_text("[" + ",".join(['{"a":[[1],[2],[3]]}'] * 1_000_000) + "]")
    limits = ReadingLimits(seconds=1, bytes_per_second=1 << 40)
    with WorkerPool(1, limits) as pool:
        with pool.borrow() as worker:
            worker.start()
        (source,) = sources(tmp_path)
        reader = IsolatedReader(pool)
        # The first request is given time to start up.
        (tmp_path / "first").mkdir()
        (tmp_path / "first/a.csv").write_text("a\n1\n")
        reader.dataset(sources(tmp_path / "first")[0])
        with pytest.raises(ResourceError, match="not read within"):
            reader.dataset(source)


def test_pipes_links_and_names(pool, tmp_path):
    lake = tmp_path / "lake"
    lake.mkdir()
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (lake / "out.csv").symlink_to(tmp_path / "secret.csv")
    (lake / "loop.csv").symlink_to(lake / "loop.csv")
    os.mkfifo(lake / "pipe.csv")
    os.mkfifo(lake / "pipe.json")
    (lake / "line\nbreak\x1b[2J.csv").write_text("a\n1\n")
    (lake / os.fsdecode(b"no\xffutf8.csv")).write_text("a\n2\n")
    (lake / "[bold]markup.csv").write_text("a\n3\n")
    found = sources(lake)
    assert [item.id for item in found] == sorted(["line\ufffdbreak\ufffd[2J", "no?utf8", "[bold]markup"])
    for source in found:
        reading = IsolatedReader(pool).dataset(source)
        assert reading.version.rows == 1
        assert all(character.isprintable() for character in reading.dataset.id + (reading.dataset.location or ""))
    rejected = {item.location for item in _rejected(lake)}
    assert rejected == {"out.csv", "loop.csv", "pipe.csv", "pipe.json"}


def _rejected(lake: Path) -> list[Rejected]:
    found: list[Rejected] = []
    with suppress(EmptyLakeError):
        for item in discover([lake]):
            found += [item] if isinstance(item, Rejected) else []
    return found


def test_documents_of_data_are_data(pool, tmp_path):
    (tmp_path / "train.csv").write_text("a\n1\n")
    (tmp_path / "README.md").write_text("---\n!!python/object/apply:os.system ['touch ran']\ntask_ids: [x]\n---\n")
    (tmp_path / "croissant.json").write_text(
        '{"name": ' + '"x\\u001b[31m\\nforged: line", "url": "file:///etc/passwd"}'
    )
    found = read(pool, tmp_path)
    assert isinstance(found, DatasetReading)
    assert found.dataset.name.isprintable()
    assert not Path("ran").exists()


def test_rows_in_an_archive_that_unpack_to_far_more_are_refused(pool, tmp_path):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", "a\n" + "1\n" * (64 << 20))
    (tmp_path / "rows.zip").write_bytes(bomb.getvalue())
    assert "rows.csv" in refused(pool, tmp_path)


def test_an_archive_of_data_that_is_damaged_nested_or_leads_outside(pool, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("rows.csv", "a\n1\n")
    (tmp_path / "cut.zip").write_bytes(content.getvalue()[:-9])
    inner = content.getvalue()
    for _ in range(6):
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w") as archive:
            archive.writestr("in.zip", inner)
        inner = outer.getvalue()
    (tmp_path / "deep.zip").write_bytes(inner)
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        link = tarfile.TarInfo("rows.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "good.zip").write_bytes(content.getvalue())
    assert [source.id for source in sources(tmp_path)] == ["good"]
    assert isinstance(read(pool, tmp_path), DatasetReading)
    told = []
    with suppress(EmptyLakeError):
        # What was found before the end is kept.
        told.extend(item.location for item in discover([tmp_path]) if isinstance(item, Rejected))
    assert {name.split("/")[0] for name in told} == {"cut.zip", "deep", "links.tar"}


def test_a_member_that_vanishes_between_finding_and_reading_is_one_line(pool, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("rows.csv", "a\n1\n")
    (tmp_path / "rows.zip").write_bytes(content.getvalue())
    (source,) = sources(tmp_path)
    (tmp_path / "rows.zip").write_bytes(b"something else")
    with pytest.raises(ModelLakeError) as caught:
        IsolatedReader(pool).dataset(source)
    assert len(str(caught.value).splitlines()) == 1
