"""Work in processes of one's own: threads of one interpreter wait for each other, where it is more than numbers."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

from graph_schema.errors import ResourceError
from lineage.threads import processors

Found = TypeVar("Found")


def each(work: Callable[[int], Found], costs: Sequence[float], *, forked: bool = True) -> Iterator[Found]:
    """The results of `work(0)`, `work(1)`, ..., in this order, worked out on all processors.

    Parameters
    ----------
    work : callable
        A pure function of a number, which may close over anything, however large: processes are forked, so that they
        see what this one holds without a copy. What it returns or raises is pickled.
    costs : sequence of float
        One for each number; the dearest are begun first, so that none is left when the others are done.
    forked : bool
        False for threads of this process: for what reads through open files or connections.

    Raises
    ------
    ResourceError
        If a process was killed from outside.
    Exception
        What `work` raises; what was not begun is dropped.

    Notes
    -----
    Only Linux forks: elsewhere a copy of a process with threads is not safe, and threads it is. Processes end with this
    one, however it ends, and with Ctrl-C.

    Examples
    --------
    >>> list(each(lambda number: number**2, [1.0, 1.0, 1.0]))
    [0, 1, 4]
    """
    workers = min(processors(), len(costs))
    if workers < 2:
        yield from map(work, range(len(costs)))
        return
    pool: Executor = ThreadPoolExecutor(workers)
    call = work
    if forked and sys.platform == "linux":
        pool = ProcessPoolExecutor(workers, mp_context=get_context("fork"), initializer=_begin, initargs=(work,))
        call = _work
    try:
        order = sorted(range(len(costs)), key=lambda number: (-costs[number], number))
        begun = {number: pool.submit(call, number) for number in order}
        for number in range(len(costs)):
            yield begun[number].result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise ResourceError(
            "a process that compared models was killed", remedy="see whether memory ran out, and run it again"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_given: list[Callable[[int], object]] = []


def _begin(work: Callable[[int], object]) -> None:
    _given.append(work)
    # Looking for garbage among what was inherited would copy its pages.
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A process that waits for work would outlive one that was killed.
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _work(number: int) -> Any:
    return _given[-1](number)
