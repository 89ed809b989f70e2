"""One streaming pass over a set of weights."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from graph_schema.errors import FormatError, InputError
from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from graph_schema.identity import version_id
from ingest.fingerprint.batch_counters import batches_counted
from ingest.fingerprint.chunks import Chunk, chunks_of
from ingest.fingerprint.plan import BlockPlan
from ingest.fingerprint.roles import Assignment, assign_roles
from ingest.fingerprint.stacks import MANY_TENSORS, StackedSource
from ingest.tensors import STORAGE, TensorInfo, TensorSource

if TYPE_CHECKING:
    from ingest.fingerprint.measure import Measurement, Portion

_MOST_WORKERS = 8
_MOST_PENDING = 16  # chunks a worker; those not begun hold no values


def take_fingerprint(
    source: TensorSource,
    *,
    config: Mapping[str, object] | None = None,
    workers: int | None = None,
    plan: BlockPlan | None = None,
    progress: Callable[[int], None] | None = None,
    kind: str = "full",
    scale: float = 1.0,
) -> Fingerprint:
    """Fingerprint a set of weights in one pass.

    Parameters
    ----------
    source : TensorSource
    config : mapping, optional
        The model's `config.json`; its `model_type` decides between architectures that match the names equally well.
    workers : int, optional
        Number of threads; by default one a processor, at most 8. The outcome is the same to the bit.
    plan : BlockPlan, optional
        What to keep; fingerprints taken by different plans are comparable where both kept something.
    progress : callable, optional
        Called with the number of bytes worked on since the last call, from the calling thread.
    kind, scale
        Passed on to the Fingerprint.

    Raises
    ------
    InputError
        If there is no tensor, or a tensor's dtype is unknown.
    FormatError
        If reading fails, or a source gives fewer values than it promised.

    Notes
    -----
    Each byte is read once. Memory is bounded by a few chunks of 4 MiB a worker and the outcome itself, whatever the
    size of the model or of a tensor.
    """
    for tensor in source.tensors:
        if tensor.dtype not in STORAGE:
            raise InputError(f"unknown dtype {tensor.dtype}", where=f"{source.location}, tensor {tensor.name}")
    assignment = assign_roles(
        [tensor.name for tensor in source.tensors], model_type=str((config or {}).get("model_type") or "")
    )
    batches = batches_counted(source)
    if len(assignment.roles) > MANY_TENSORS:
        source = stacked = StackedSource(source, assignment.roles)
        assignment = replace(assignment, roles=stacked.roles)
    kept = [tensor for tensor in source.tensors if tensor.name in assignment.roles]
    if not kept:
        raise InputError("holds no weights", where=source.location, remedy="check that it is a model file")
    records = _measure(source, kept, assignment, workers, plan or BlockPlan(), progress)
    tensors = _without_copies(records, assignment)
    return Fingerprint(
        version=version_id((t.role, t.dtype, t.shape, t.content) for t in tensors),
        architecture=assignment.architecture,
        tensors=tuple(sorted(tensors, key=lambda t: (t.role, t.name))),
        kind=kind,
        scale=scale,
        batches=batches,
    )


def _measure(
    source: TensorSource,
    tensors: Sequence[TensorInfo],
    assignment: Assignment,
    workers: int | None,
    plan: BlockPlan,
    progress: Callable[[int], None] | None,
) -> list[TensorFingerprint]:
    from ingest.fingerprint.measure import Measurement  # numba takes half a second to import
    from ingest.fingerprint.pattern_counts import CountTables

    roles = [assignment.roles[tensor.name] for tensor in tensors]
    known = bool(assignment.architecture)
    described = [(role, t.dtype, tuple(t.shape)) for role, t in zip(roles, tensors, strict=True)]
    extents = plan.extents(described) if known else plan.extents_by_shape(described)
    records: list[TensorFingerprint] = []
    tables = CountTables()
    threads = workers or default_workers()
    pending: deque[tuple[_Task, Future[Portion]]] = deque()

    def collect() -> None:
        task, future = pending.popleft()
        task.measurement.collect(future.result())
        if progress is not None:
            progress((task.chunk.stop - task.chunk.start) * task.itemsize)
        if task.last:
            records.append(task.measurement.finish(task.hasher.hexdigest()))

    with ThreadPoolExecutor(threads, thread_name_prefix="fingerprint") as pool:
        try:
            for tensor, role, extent in zip(tensors, roles, extents, strict=True):
                measurement = Measurement(tensor, role, extent, tables, known=known)
                tasks = _tasks(source, tensor, measurement)
                if not tasks:
                    while pending:
                        collect()
                    records.append(measurement.finish(blake3().hexdigest()))
                for task in tasks:
                    pending.append((task, pool.submit(task.run)))
                    if len(pending) > _MOST_PENDING * threads:
                        # One wait for half of them: waking up for every chunk costs a thirtieth of the whole.
                        half = len(pending) // 2
                        wait([pending[half][1]])
                        for _ in range(half):
                            collect()
            while pending:
                collect()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return records


def default_workers() -> int:
    """One thread a processor that this process may use, at most 8."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, _MOST_WORKERS)


class _Task:
    """One chunk: read and measured by any worker; hashed when the chunk before it is."""

    def __init__(
        self,
        source: TensorSource,
        tensor: TensorInfo,
        measurement: Measurement,
        hasher: blake3,
        chunk: Chunk,
        before: threading.Event | None,
        last: bool,
    ) -> None:
        self.source, self.tensor, self.measurement, self.hasher = source, tensor, measurement, hasher
        self.chunk, self.before, self.after, self.last = chunk, before, threading.Event(), last
        self.itemsize = STORAGE[tensor.dtype].itemsize

    def run(self) -> Portion:
        # Tasks start in the order of the chunks, so that the one waited for is always at work and never waits in vain.
        try:
            chunk = self.chunk
            stored = self.source.read(self.tensor, chunk.start, chunk.stop)
            if stored.size != chunk.stop - chunk.start or stored.dtype.itemsize != self.itemsize:
                raise FormatError(
                    f"gave {stored.size} of {chunk.stop - chunk.start} values",
                    where=f"{self.source.location}, tensor {self.tensor.name}",
                )
            # Hash first if it is this chunk's turn: the next may then hash while this one is measured.
            waits = self.before is not None and not self.before.is_set()
            if not waits:
                self._hash(stored)
            portion = self.measurement.measure(chunk, stored)
            if waits and self.before is not None:
                self.before.wait()
                self._hash(stored)
            return portion
        finally:
            self.after.set()

    def _hash(self, stored: NDArray[np.generic]) -> None:
        self.hasher.update(np.ascontiguousarray(stored).view(np.uint8).data)
        self.after.set()


def _tasks(source: TensorSource, tensor: TensorInfo, measurement: Measurement) -> list[_Task]:
    chunks = list(chunks_of(measurement.height, measurement.width, STORAGE[tensor.dtype].itemsize))
    hasher = blake3()
    tasks: list[_Task] = []
    for number, chunk in enumerate(chunks):
        before = tasks[-1].after if tasks else None
        tasks.append(_Task(source, tensor, measurement, hasher, chunk, before, number == len(chunks) - 1))
    return tasks


def _without_copies(records: Sequence[TensorFingerprint], assignment: Assignment) -> list[TensorFingerprint]:
    """Leave out tensors that a container may or may not store: equal to the bit to the one they are tied to."""
    by_role = {record.role: record for record in records}
    kept = []
    for record in records:
        original = by_role.get(assignment.tied.get(record.role, ""))
        same = original is not None and original is not record and original.content == record.content
        if not (same and original is not None and (original.shape, original.dtype) == (record.shape, record.dtype)):
            kept.append(record)
    return kept
