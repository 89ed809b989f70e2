"""Work that is spread over processes comes back in order, and so does what went wrong."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.errors import ResourceError
from lineage import forking
from lineage.forking import each

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "processors", lambda: 2)


@settings(max_examples=10, deadline=None)
@given(costs=st.lists(st.floats(0, 10), max_size=9), forked=st.booleans())
def test_results_come_in_the_order_of_their_numbers(costs: list[float], forked: bool) -> None:
    held = np.arange(len(costs)) ** 2
    assert list(each(lambda number: held[number], costs, forked=forked)) == held.tolist()


@pytest.mark.parametrize("forked", [False, True])
def test_what_went_wrong_is_raised_in_its_turn(forked: bool) -> None:
    def work(number: int) -> int:
        if number == 2:
            raise KeyError("layer")
        return number

    results = each(work, [1.0] * 5, forked=forked)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(KeyError, match="layer"):
        next(results)


@linux
def test_work_is_done_outside_unless_it_must_not_be() -> None:
    assert os.getpid() not in set(each(lambda number: os.getpid(), [1.0] * 3))
    assert set(each(lambda number: os.getpid(), [1.0] * 3, forked=False)) == {os.getpid()}


@linux
def test_a_killed_process_is_one_clear_line() -> None:
    with pytest.raises(ResourceError, match="was killed"):
        list(each(lambda number: os.kill(os.getpid(), signal.SIGKILL), [1.0] * 3))


@linux
def test_processes_end_with_one_that_was_killed(tmp_path: Path) -> None:
    script = """
        import os, sys, time
        from pathlib import Path
        from lineage import forking
        forking.processors = lambda: 2

        def work(number):
            Path(sys.argv[1], str(os.getpid())).touch()
            time.sleep(600)

        list(forking.each(work, [1.0, 1.0]))
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)])
    try:
        assert _soon(lambda: len(list(tmp_path.iterdir())) == 2)
    finally:
        parent.kill()
        parent.wait()
    children = [int(path.name) for path in tmp_path.iterdir()]
    assert _soon(lambda: not any(_alive(child) for child in children))


def _soon(happened: Callable[[], bool]) -> bool:
    for _ in range(600):
        if happened():
            return True
        time.sleep(0.1)
    return False


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
