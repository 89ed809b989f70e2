"""Threads of linear algebra: many small products run faster one by one than each on all processors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def single_threaded() -> Iterator[None]:
    """Keep BLAS to one thread within; threads of one's own are not affected."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
