"""Reading in worker processes: a file that crashes its reader, swallows memory or never ends costs one line.

A worker is a fresh interpreter, not a fork: it shares no locks, database connections or threads with this process. It
starts when it is first needed, is used again for the next file, and is replaced when it died.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from graph_schema.errors import ModelLakeError, ResourceError
from ingest.claims.statements import Documentation
from ingest.datasets.dataset_source import DatasetSource
from ingest.limits import ReadingLimits
from ingest.model_source import ModelSource, WeightSet
from ingest.reading import Progress, VersionReading

if TYPE_CHECKING:
    from ingest.datasets.reading import DatasetReading

_STARTUP_SECONDS = 120.0
_ROOT = str(Path(__file__).resolve().parent.parent)


class Worker:
    """One process that reads, started on the first request; used by one thread at a time."""

    def __init__(self, limits: ReadingLimits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._fresh = True
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Id of the process, where one runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process if none runs; it gets ready while others work."""
        if self._process is not None and self._process.poll() is None:
            return
        self.stop()
        if self._closed:
            raise ResourceError("no process to read in: the reading was given up")
        ours, theirs = Pipe()
        # -P: a folder with a module of a library's name must not be imported because someone stands in it.
        command = [sys.executable, "-P", "-W", "ignore", "-m", "ingest.worker"]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH", "")))),
            # One arena of 64 MiB of address space for each thread would count against the cap.
            "MALLOC_ARENA_MAX": "2",
            "OMP_NUM_THREADS": "1",
            # Others set address space aside that would count against the cap.
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "OPENBLAS_NUM_THREADS": "1",
        }
        try:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(self._limits.memory)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
                # Ctrl-C is for the process that asked, which then ends this one.
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise ResourceError(f"no process to read in can be started: {error.strerror}") from error
        finally:
            theirs.close()
        self._connection = ours
        self._fresh = True

    def ask(self, kind: str, arguments: tuple[object, ...], *, where: str, seconds: float, progress: Progress) -> Any:
        """Send one request and wait for its answer.

        Raises
        ------
        ResourceError
            If the process died or did not answer in time; the next request gets a new one.
        ModelLakeError
            What the process raised.
        """
        self.start()
        assert self._connection is not None  # noqa: S101 - start sets it
        deadline = time.monotonic() + seconds + (_STARTUP_SECONDS if self._fresh else 0.0)
        try:
            self._connection.send((kind, arguments))
            while True:
                if not self._connection.poll(max(deadline - time.monotonic(), 0.0)):
                    self.stop()
                    raise ResourceError(
                        f"was not read within {seconds:.0f} s", where=where, remedy="raise the limit on time"
                    )
                answer, content = self._connection.recv()
                if answer == "progress":
                    progress(content)
                    continue
                break
        except (EOFError, OSError) as error:
            raise ResourceError(self._cause_of_death(), where=where, remedy="the rest is read without it") from error
        except BaseException:
            # A request that is under way would answer the next one.
            self.stop()
            raise
        self._fresh = False
        if answer == "failed":
            fault: ModelLakeError = content
            if isinstance(fault, ResourceError):
                # What memory is left after it ran out depends on the file before: the next one starts afresh.
                self.stop()
            raise fault if fault.where else type(fault)(fault.what, where=where, remedy=fault.remedy)
        return content

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        # The process first: its end wakes a thread that waits for an answer, closing our side would not.
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """End the process for good: a thread that goes on gets an error and no new process."""
        self._closed = True
        self.stop()

    def _cause_of_death(self) -> str:
        process = self._process
        code = None
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout=5)
        self.stop()
        if code is None or code >= 0:
            return f"the process that read it ended (exit code {code})"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return f"the process that read it was ended by {name}{hint}"


class WorkerPool:
    """Some workers, each reading one file at a time; a context manager that ends them.

    Parameters
    ----------
    size : int
        How many processes at most.
    limits : ReadingLimits

    Examples
    --------
    >>> with WorkerPool() as pool:  # doctest: +SKIP
    ...     read_model(source, reader=IsolatedReader(pool))
    """

    def __init__(self, size: int = 1, limits: ReadingLimits | None = None) -> None:
        self.size = size
        self.limits = limits or ReadingLimits()
        self.workers = tuple(Worker(self.limits) for _ in range(size))
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        self._closing = Lock()
        for worker in self.workers:
            self._idle.put(worker)

    def start(self) -> None:
        """Start all workers now, so that they get ready while others work."""
        for worker in self.workers:
            worker.start()

    @contextmanager
    def borrow(self) -> Iterator[Worker]:
        """A worker of one's own for a while; waits for one to be free."""
        worker = self._idle.get()
        try:
            yield worker
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End all workers, those at work too."""
        with self._closing:
            for worker in self.workers:
                worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class IsolatedReader:
    """Reads in a pool of workers; implements `ingest.reading.Reader`.

    Parameters
    ----------
    pool : WorkerPool
    threads : int, optional
        Per set of weights.
    progress : callable, optional
        Called in the thread that reads.
    """

    def __init__(self, pool: WorkerPool, *, threads: int | None = None, progress: Progress | None = None) -> None:
        self._pool = pool
        self._threads = threads
        self._progress: Callable[[int], None] = progress or (lambda size: None)

    def documents(self, source: ModelSource) -> Documentation:
        """The Model record and the claims."""
        limits = self._pool.limits
        size = sum(item.size for item in source.documents)
        with self._pool.borrow() as worker:
            answer: Documentation = worker.ask(
                "documents",
                (source,),
                where=source.location,
                seconds=limits.time_for(size),
                progress=self._progress,
            )
        return answer

    def dataset(self, source: DatasetSource) -> DatasetReading:
        """One data set."""
        limits = self._pool.limits
        limits.check_size(source.size, source.location)
        with self._pool.borrow() as worker:
            answer: DatasetReading = worker.ask(
                "dataset",
                (source,),
                where=source.location,
                seconds=limits.time_for(source.size),
                progress=self._progress,
            )
        return answer

    def weights(self, weights: WeightSet, name: str) -> VersionReading:
        """One set of weights."""
        where = weights.files[0].name
        limits = self._pool.limits
        limits.check_size(weights.size, where)
        with self._pool.borrow() as worker:
            answer: VersionReading = worker.ask(
                "weights",
                (weights, name, self._threads),
                where=where,
                seconds=limits.time_for(weights.size),
                progress=self._progress,
            )
        return answer
