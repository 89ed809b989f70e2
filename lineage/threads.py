"""Threads of linear algebra: many small products run faster one by one than each on all processors."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Found = TypeVar("Found")


@contextmanager
def single_threaded() -> Iterator[None]:
    """Keep BLAS to one thread within; threads of one's own are not affected."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ahead(work: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[Found]:
    """The results of some work, in order, worked out on all processors a little ahead of who takes them.

    Examples
    --------
    >>> list(ahead(abs, [-2, 1, -3]))
    [2, 1, 3]
    """
    waiting: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(processors(), thread_name_prefix="ahead") as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            # No more than one that waits for each processor: they may be large.
            if len(waiting) > processors():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
