"""How well sketches of rows tell containment, and how fast data is read: `python -m benchmarks.dataset_sketches`.

*Containment.* Two sets of rows with a known overlap are hashed by the product's own row hash and sketched; the
estimated share of the first one's rows that are in the second is held against the truth, over several seeds. A seed
changes every row, so that the sketches are independent.

*Reading.* One table of two million rows is written as CSV, JSON Lines and Parquet and read as `ingest` reads it, in a
process of its own each, whose peak of resident memory is printed.

*Relating.* Sketches of many data sets, in families that overlap, are related.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from graph_schema.row_sketch import DatasetSketch
from ingest.datasets.columns import Batch
from ingest.datasets.discovery import discover_datasets
from ingest.datasets.reading import read_dataset
from ingest.datasets.sketching import Sketcher
from lineage.dataset_relations import relate
from lineage.row_overlap import containment, similarity

SIZES = ((1_000, 1_000_000), (10_000, 1_000_000), (100_000, 1_000_000), (1_000_000, 1_000_000), (100_000, 100_000))
SHARES = (0.01, 0.1, 0.5, 0.9, 1.0)


def sketched(rows: np.ndarray, version: str = "") -> DatasetSketch:
    """The sketch of a table of one column of integers."""
    sketcher = Sketcher()
    for start in range(0, len(rows), 65_536):
        batch = pa.RecordBatch.from_arrays([pa.array(rows[start : start + 65_536])], names=["id"])
        sketcher.add(Batch.of(batch), spelled=False, where="benchmark")
    return sketcher.sketch(version)


def containment_table(seeds: int) -> None:
    """Print estimated against true containment."""
    print(
        "| rows | in rows | true share | mean estimate | largest error | rows seen | interval covers | Jaccard error |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for small, large in SIZES:
        for truth in SHARES:
            shared = round(small * truth)
            estimates, covered, seen, alike = [], 0, [], []
            for seed in range(seeds):
                first = seed << 32
                one = sketched(np.arange(first, first + small))
                start = first + small - shared
                other = sketched(np.arange(start, start + large))
                found = containment(one.distinct, other.distinct)
                estimates.append(found.value)
                covered += found.low <= truth <= found.high
                seen.append(found.trials)
                jaccard = shared / (small + large - shared)
                alike.append(abs(similarity(one.distinct, other.distinct).value - jaccard))
            worst = max(abs(value - truth) for value in estimates)
            print(
                f"| {small:,} | {large:,} | {truth} | {np.mean(estimates):.4f} | {worst:.4f} | {np.mean(seen):,.0f} "
                f"| {covered}/{seeds} | {max(alike):.5f} |",
                flush=True,
            )


def table(rows: int) -> pa.Table:
    """Numbers, texts, dates and truth values."""
    generator = np.random.default_rng(0)
    words = np.array([f"some words in a row, number {place}" for place in range(1000)])
    return pa.table(
        {
            "id": np.arange(rows),
            "x": generator.random(rows),
            "text": words[generator.integers(0, 1000, rows)],
            "flag": generator.random(rows) < 0.5,
            "day": (np.datetime64("2020-01-01") + generator.integers(0, 999, rows).astype("timedelta64[D]")),
        }
    )


def reading_table(rows: int) -> None:
    """Print speed and memory of reading one table in three formats."""
    print("\n| format | MB | seconds | MB/s | rows/s | peak MB |\n|---|---|---|---|---|---|")
    written = table(rows)
    with tempfile.TemporaryDirectory() as folder:
        places = {name: Path(folder) / name / f"rows.{name}" for name in ("csv", "parquet", "jsonl")}
        for path in places.values():
            path.parent.mkdir()
        arrow_csv.write_csv(written, places["csv"])
        parquet.write_table(written, places["parquet"])
        with places["jsonl"].open("w") as file:
            for batch in written.to_batches(max_chunksize=10_000):
                file.writelines(json.dumps(row, default=str) + "\n" for row in batch.to_pylist())
        digests = set()
        for name, path in places.items():
            command = [sys.executable, "-m", "benchmarks.dataset_sketches", "--read", str(path)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            size = path.stat().st_size / 1e6
            digests.add(found["multiset"])
            print(
                f"| {name} | {size:.0f} | {found['seconds']:.1f} | {size / found['seconds']:.0f} "
                f"| {rows / found['seconds']:,.0f} | {found['peak'] / 1e6:.0f} |",
                flush=True,
            )
        print(f"one digest of the rows from all formats: {len(digests) == 1}")


def read_once(path: Path) -> None:
    """Read one file and print what it took, after a small one that loads the code."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / f"small{path.suffix}"
        small.write_text('{"a": 1}\n') if path.suffix == ".jsonl" else arrow_csv.write_csv(table(9), small)
        for source in discover_datasets([small]):
            if path.suffix != ".parquet":
                read_dataset(source)  # type: ignore[arg-type]
    (source,) = discover_datasets([path])
    start = time.perf_counter()
    reading = read_dataset(source)  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    # Not getrusage: its peak is inherited from the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = 1024 * int(status["VmHWM"].split()[0])
    print(json.dumps({"seconds": seconds, "peak": peak, "multiset": reading.sketch.multiset}))


def relating(count: int, rows: int) -> None:
    """Print how long it takes to relate many data sets: families of ten, each a window on one table."""
    sketches = [
        sketched(np.arange(start, start + rows), f"{place:05}")
        for place in range(count)
        for start in [(place // 10 << 32) + (place % 10) * rows // 4]
    ]
    start = time.perf_counter()
    found = relate(sketches, {})
    seconds = time.perf_counter() - start
    print(f"\n{count} data sets of {rows:,} rows: {len(found)} relations in {seconds:.1f} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.read is not None:
        read_once(options.read)
        return
    containment_table(options.seeds)
    reading_table(options.rows)
    relating(100, 50_000)
    relating(1_000, 50_000)


if __name__ == "__main__":
    main()
