"""Worker processes: the same answers as in this process, and deaths that cost one line."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from threading import Timer

import pytest

from graph_schema.errors import FormatError, ResourceError
from ingest.discovery import discover
from ingest.isolation import IsolatedReader, WorkerPool
from ingest.limits import ReadingLimits
from ingest.model_source import ModelSource
from ingest.reading import DirectReader, read_model


@pytest.fixture(scope="module")
def pool():
    with WorkerPool() as workers:
        yield workers


def sources(folder: Path) -> list[ModelSource]:
    return [item for item in discover([folder]) if isinstance(item, ModelSource)]


def test_a_worker_gives_the_same_reading(tmp_path: Path, write_model, pool: WorkerPool) -> None:
    write_model(tmp_path / "m", config={}, card="---\nbase_model: org/base\n---\n")
    (source,) = sources(tmp_path)
    seen: list[int] = []
    apart = read_model(source, reader=IsolatedReader(pool, threads=1, progress=seen.append))
    here = read_model(source)
    assert apart.versions[0].version == here.versions[0].version
    assert (apart.model, apart.claims, apart.problems) == (here.model, here.claims, here.problems)
    assert sum(seen) == 192


def test_a_fault_comes_back_as_it_was_raised(tmp_path: Path, write_model, pool: WorkerPool) -> None:
    folder = write_model(tmp_path / "m", config={})
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1])
    (source,) = sources(tmp_path)
    before = pool.workers[0].pid
    apart, here = read_model(source, reader=IsolatedReader(pool)), read_model(source)
    assert [str(problem) for problem in apart.problems] == [str(problem) for problem in here.problems]
    assert isinstance(apart.problems[0], FormatError)
    assert pool.workers[0].pid == before, "a damaged file must not cost a process"


def _strike(pid: int, blow: signal.Signals) -> None:
    os.kill(pid, blow)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("blow", [signal.SIGSEGV, signal.SIGKILL])
def test_a_worker_that_dies_costs_one_file_and_is_replaced(
    tmp_path: Path, write_model, pool: WorkerPool, blow: signal.Signals
) -> None:
    write_model(tmp_path / "a", seed=1, config={})
    write_model(tmp_path / "b", seed=2, config={})
    first, second = sources(tmp_path)
    worker = pool.workers[0]
    worker.start()
    assert worker.pid is not None
    # One that is dead when it is asked is replaced without a word: it is held up until it was asked.
    os.kill(worker.pid, signal.SIGSTOP)
    strike = Timer(2.0, _strike, (worker.pid, blow))
    strike.start()
    with pytest.raises(ResourceError, match=blow.name) as caught:
        IsolatedReader(pool).weights(first.weights[0], "a")
    strike.join()
    assert caught.value.where == "a/model.safetensors"
    assert IsolatedReader(pool).weights(second.weights[0], "b").version.tensors == 2


def test_memory_is_capped(tmp_path: Path, write_model) -> None:
    write_model(tmp_path / "m", config={})
    (source,) = sources(tmp_path)
    with WorkerPool(limits=ReadingLimits(memory=0)) as small:
        reading = read_model(source, reader=IsolatedReader(small))
    assert reading.versions == ()
    assert reading.problems
    assert all(isinstance(problem, ResourceError) for problem in reading.problems)


def test_time_is_capped(tmp_path: Path, write_model, pool: WorkerPool) -> None:
    write_model(tmp_path / "m", config={})
    (source,) = sources(tmp_path)
    reader = IsolatedReader(pool)
    reader.weights(source.weights[0], "m")
    with pytest.raises(ResourceError, match="not read within 0 s"):
        pool.workers[0].ask("weights", (source.weights[0], "m", 1), where="m", seconds=0, progress=lambda size: None)
    assert reader.weights(source.weights[0], "m").version.tensors == 2


def test_size_is_capped_before_anything_is_read(tmp_path: Path, write_model) -> None:
    write_model(tmp_path / "m", config={})
    (source,) = sources(tmp_path)
    reading = read_model(source, reader=DirectReader(limits=ReadingLimits(file_size=100)))
    assert isinstance(reading.problems[0], ResourceError)


def test_a_closed_pool_starts_nothing(tmp_path: Path, write_model) -> None:
    write_model(tmp_path / "m", config={})
    (source,) = sources(tmp_path)
    closed = WorkerPool()
    closed.close()
    with pytest.raises(ResourceError, match="given up"):
        IsolatedReader(closed).weights(source.weights[0], "m")
