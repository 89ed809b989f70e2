"""A lake that is watched: what arrives is read when it is whole, once, and the watching ends without a mess."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.errors import PathNotFoundError
from modellake import Lake, watching
from modellake.watching import Arrival, Settling
from tests.unit.modellake.small_models import card, lie, weights, write_model, write_rows
from tests.unit.modellake.test_ingesting import start

SETTLE = 0.3


@given(
    states=st.lists(
        st.tuples(st.integers(0, 4), st.dictionaries(st.sampled_from("abc"), st.integers(0, 1))), max_size=20
    ),
    seconds=st.integers(0, 5),
)
def test_settled_is_what_was_the_same_for_long_enough(states: list, seconds: int) -> None:
    now = 0.0
    settling = Settling(seconds=seconds, clock=lambda: now)
    history: list[tuple[float, dict]] = []
    for step, found in states:
        now += step
        state = {name: str(value) for name, value in found.items()}
        history.append((now, state))
        settled = settling.settled(state)
        for name, value in state.items():
            since = now
            for moment, earlier in reversed(history):
                if earlier.get(name) != value:
                    break
                since = moment
            assert (name in settled) == (now - since >= seconds)
        assert settled <= state.keys()


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    # A test that waits in vain ends as a failure and not as a hang.
    timer = threading.Timer(120, event.set)
    timer.start()
    yield event
    timer.cancel()


def watched(data: Lake, lake: Path, stop: threading.Event) -> Iterator[Arrival]:
    lake.mkdir(exist_ok=True)
    return data.watch([lake], settle=SETTLE, isolated=False, stop=stop)


def test_what_is_there_and_what_arrives_is_read(data, lake, stop):
    write_model(lake / "a/one", weights(1))
    arrivals = watched(data, lake, stop)
    assert next(arrivals).model == "a/one"
    write_model(lake / "a/two", weights(2))
    second = next(arrivals)
    assert (second.model, len(second.versions), second.problems) == ("a/two", 1, ())
    write_model(lake / "a/one", weights(3))
    assert next(arrivals).model == "a/one"
    stop.set()
    assert list(arrivals) == []
    assert data.ingest([lake], isolated=False).models == []


def test_a_file_that_is_being_written_is_not_read(data, lake, stop, tmp_path):
    content = (write_model(tmp_path / "source", weights(1)) / "model.safetensors").read_bytes()
    (lake / "a").mkdir(parents=True)
    place = lake / "a" / "model.safetensors"
    done = threading.Event()

    def write() -> None:
        with place.open("wb") as file:
            for part in range(10):
                file.write(content[part * len(content) // 10 : (part + 1) * len(content) // 10])
                file.flush()
                done.wait(SETTLE / 3)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    arrival = next(watched(data, lake, stop))
    assert done.is_set()
    assert (arrival.model, arrival.problems) == ("a", ())
    writer.join()


def test_a_problem_is_told_once_and_tried_again_when_it_changes(data, lake, stop):
    lie(write_model(lake / "a/bad", weights(1)) / "model.safetensors")
    with zipfile.ZipFile(lake / "x.zip", "w") as archive:
        archive.writestr("m/model.safetensors", b"content")
    (lake / "x.zip").write_bytes((lake / "x.zip").read_bytes()[:-10])
    arrivals = watched(data, lake, stop)
    problems = [str(next(arrivals).problems[0]) for _ in range(2)]
    assert sorted("x.zip" in problem for problem in problems) == [False, True]
    write_model(lake / "a/good", weights(2))
    assert next(arrivals).model == "a/good"
    write_model(lake / "a/bad", weights(3))
    assert next(arrivals).model == "a/bad"
    stop.set()
    assert list(arrivals) == []


def test_data_sets_are_read_as_they_arrive_and_related(data, lake, stop):
    write_model(lake / "a/one", weights(1), card(datasets=["words"]))
    write_rows(lake / "words.csv", range(100))
    arrivals = watched(data, lake, stop)
    first, second = next(arrivals), next(arrivals)
    assert {(first.dataset, first.model), (second.dataset, second.model)} == {("words", ""), ("", "a/one")}
    write_rows(lake / "few.csv", range(40))
    arrival = next(arrivals)
    assert (arrival.dataset, arrival.versions, arrival.problems) == ("few", (), ())
    write_rows(lake / "words.csv", range(120))
    assert next(arrivals).dataset == "words"
    stop.set()
    assert list(arrivals) == []
    assert len(data.dataset("words").states) == 2
    assert {link.name for link in data.dataset("few").links} == {"words"}
    assert [use.models for use in data.dataset("words").uses] == [("a/one",)]
    # Nothing is left for an ordinary reading.
    assert data.ingest([lake], isolated=False).datasets == []


def test_a_damaged_data_set_is_told_once_and_read_when_it_is_mended(data, lake, stop):
    lake.mkdir()
    (lake / "rows.parquet").write_bytes(b"PAR1 and nothing that follows")
    arrivals = watched(data, lake, stop)
    problem = next(arrivals)
    assert (problem.dataset, "rows.parquet" in str(problem.problems[0])) == ("", True)
    write_rows(lake / "other.csv", range(10))
    assert next(arrivals).dataset == "other"
    write_rows(lake / "rows.csv", range(10))
    (lake / "rows.parquet").unlink()
    assert next(arrivals).dataset == "rows"


def test_a_second_watching_reads_nothing_again(data, lake, stop):
    write_model(lake / "a/one", weights(1))
    data.ingest([lake], isolated=False)
    arrivals = watched(data, lake, stop)
    write_model(lake / "a/two", weights(2))
    assert next(arrivals).model == "a/two"


def test_where_the_system_tells_nothing_one_looks(data, lake, stop, monkeypatch):
    def silent(*arguments: object) -> Iterator[bool]:
        raise OSError("the limit on watches was reached")

    monkeypatch.setattr(watching, "_told", silent)
    monkeypatch.setattr(watching, "LOOK_SECONDS", 1.0)
    arrivals = watched(data, lake, stop)
    write_model(lake / "a/one", weights(1))
    assert next(arrivals).model == "a/one"


def test_a_lake_that_is_not_there_or_goes_away(data, lake, stop):
    with pytest.raises(PathNotFoundError):
        next(data.watch([lake], isolated=False, stop=stop))
    write_model(lake / "a/one", weights(1))
    arrivals = watched(data, lake, stop)
    next(arrivals)
    shutil.rmtree(lake)
    with pytest.raises(PathNotFoundError):
        next(arrivals)


def test_the_command_prints_a_line_an_event_and_ends_with_one_line(lake, tmp_path, run):
    write_model(lake / "a/one", weights(1))
    # Its own data lie in the lake, and must not keep it busy.
    data = lake / ".modellake"
    process = start(data, "ingest", lake, "--watch", "--settle", SETTLE, "--json")
    assert process.stdout is not None
    timer = threading.Timer(120, process.kill)
    timer.start()
    first = json.loads(process.stdout.readline())
    assert (first["event"], first["model"], len(first["versions"])) == ("read", "a/one", 1)
    lie(write_model(lake / "a/two", weights(2)) / "model.safetensors")
    problem = json.loads(process.stdout.readline())
    assert (problem["event"], problem["location"].endswith("a/two")) == ("problem", True)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    timer.cancel()
    assert (process.returncode, out) == (130, "")
    lines = err.splitlines()
    assert lines[0].startswith("watching ")
    assert lines[1:] == ["modellake: interrupted; run the same command again to go on from here"]


def test_options_that_do_not_go_together(run, lake):
    lake.mkdir()
    for options in (["--watch", "--strict"], ["--watch", "--workers", "2"], ["--settle", "1"]):
        assert run("ingest", lake, *options).code == 2
