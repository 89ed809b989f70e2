"""The objects of a Git repository, read by `git` in surroundings of our own.

Nothing that a repository configures takes effect: `git` is given an empty directory as its repository, and no more of
the one that is read than its objects. So no hook, filter, text converter, alias or remote of it can name a program;
nothing is checked out, and nothing is fetched.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Timer
from typing import IO

from graph_schema.errors import FormatError, MissingDependencyError, ResourceError, UnsafeFileError
from ingest.blobs import Blob, FileBlob, MemoryBlob
from ingest.zip_members import UNPACKED_LIMIT

OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
OUTPUT_LIMIT = 256 << 20
"""Bytes of a listing."""

SECONDS = 600.0
"""How long one call may take."""

_HEAD = 4096
_MEMORY_LIMIT = 8 << 20
_STEP = 1 << 20
_SETTINGS = (
    *("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.commitGraph=false", "core.multiPackIndex=false"),
    *("protocol.allow=never", "log.showSignature=false", "core.packedGitLimit=256m", "core.deltaBaseCacheLimit=64m"),
)


@contextmanager
def git_process(
    objects: Path,
    arguments: Sequence[str],
    *,
    object_id: str,
    shallow: str = "",
    index: Path | None = None,
    feed: IO[bytes] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """`git` at work on the objects in a directory; it ends when the context does.

    Parameters
    ----------
    objects : Path
        The `objects` directory of a repository.
    arguments : sequence of str
        Subcommand and what follows.
    object_id : str
        Any id of the repository: its length tells by which hash objects are named.
    shallow : str
        Lines of the repository's `shallow` file: where its history was cut.
    index : Path, optional
        The repository's index, for commands that read it.
    feed : file, optional
        Standard input.

    Raises
    ------
    MissingDependencyError
        If there is no `git`.
    """
    program = shutil.which("git")
    if program is None:
        raise MissingDependencyError("its history needs git to be read", where=str(objects), remedy="install git")
    with tempfile.TemporaryDirectory(prefix="modellake-git-") as place:
        _make_repository(Path(place), hash_bits=4 * len(object_id), shallow=shallow)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": place,
            "LC_ALL": "C",
            "GIT_DIR": place,
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_ALLOW_PROTOCOL": "",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_PAGER": "cat",
            **({} if index is None else {"GIT_INDEX_FILE": str(index)}),
        }
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        process = subprocess.Popen(
            [program, *settings, *arguments],
            stdin=feed or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=place,
        )
        # An object of terabytes, or a file that never ends, must not keep it for ever.
        timer = Timer(SECONDS, process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            process.stdout.close()
            process.kill()
            process.wait()


def _make_repository(place: Path, *, hash_bits: int, shallow: str) -> None:
    for folder in ("objects", "refs"):
        (place / folder).mkdir()
    (place / "HEAD").write_text("ref: refs/heads/none\n")
    version, extension = (1, "[extensions]\n\tobjectFormat = sha256\n") if hash_bits == 256 else (0, "")
    (place / "config").write_text(f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}")
    if shallow:
        (place / "shallow").write_text(shallow)


def git_output(
    objects: Path,
    arguments: Sequence[str],
    *,
    object_id: str,
    shallow: str = "",
    index: Path | None = None,
    text: str = "",
    where: str,
) -> bytes:
    """What `git` prints; parameters as of `git_process`, and `text` for its standard input.

    Raises
    ------
    FormatError
        If it fails: the repository is damaged or incomplete.
    UnsafeFileError
        If it prints more than it may.
    ResourceError
        If it takes longer than `SECONDS`.
    """
    with tempfile.TemporaryFile() as feed:
        feed.write(text.encode())
        feed.seek(0)
        with git_process(objects, arguments, object_id=object_id, shallow=shallow, index=index, feed=feed) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            output = process.stdout.read(OUTPUT_LIMIT)
            if len(output) == OUTPUT_LIMIT:
                raise UnsafeFileError("its history is too large to list", where=where)
            code = process.wait()
    if code < 0:
        raise ResourceError(f"its history was not listed within {SECONDS:.0f} s", where=where)
    if code:
        raise FormatError(
            "its history cannot be read: objects are damaged or missing", where=where, remedy="run git fsck on it"
        )
    return output


class GitObjectBlob:
    """A file as it is kept in a repository: its first bytes are unpacked alone, the whole of it once, when needed.

    Parameters
    ----------
    objects : Path
        The `objects` directory.
    object_id : str
    size : int
        In bytes, as the repository states it.
    name : str
        For messages.

    Raises
    ------
    UnsafeFileError
        If it is larger than may be unpacked.
    """

    def __init__(self, objects: Path, object_id: str, size: int, *, name: str) -> None:
        if not OBJECT_ID.fullmatch(object_id):
            raise UnsafeFileError("is no object of a Git repository", where=name)
        if size > UNPACKED_LIMIT:
            raise UnsafeFileError(f"would unpack to {size} bytes", where=name)
        self.name = name
        self.size = size
        self._objects = objects
        self._id = object_id
        self._lock = Lock()
        self._head = b""
        self._whole: Blob | None = None

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes from `offset` on."""
        with self._lock:
            if self._whole is None and offset + len(target) <= min(_HEAD, self.size):
                self._head = self._head or self._first()
                target[:] = self._head[offset : offset + len(target)]
                return
            if self._whole is None:
                self._whole = self._unpacked()
        self._whole.read_into(offset, target)

    def _first(self) -> bytes:
        with git_process(self._objects, ["cat-file", "blob", self._id], object_id=self._id) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            head = process.stdout.read(min(_HEAD, self.size))
        if len(head) < min(_HEAD, self.size):
            raise self._damaged()
        return head

    def _unpacked(self) -> Blob:
        target: IO[bytes] = io.BytesIO() if self.size <= _MEMORY_LIMIT else tempfile.TemporaryFile()  # noqa: SIM115 - closed by the with statement below
        check = hashlib.sha1(usedforsecurity=False) if len(self._id) == 40 else hashlib.sha256()
        check.update(b"blob %d\0" % self.size)
        written = 0
        with target:
            with git_process(self._objects, ["cat-file", "blob", self._id], object_id=self._id) as process:
                assert process.stdout is not None  # noqa: S101 - it is a pipe
                try:
                    while part := process.stdout.read(_STEP):
                        written += len(part)
                        if written > self.size:
                            raise self._damaged()
                        check.update(part)
                        target.write(part)
                except OSError as error:
                    raise ResourceError(
                        f"cannot be unpacked: {error.strerror}", where=self.name, remedy="free some disk"
                    ) from error
            if written < self.size or check.hexdigest() != self._id:
                raise self._damaged()
            if isinstance(target, io.BytesIO):
                return MemoryBlob(target.getvalue(), name=self.name)
            target.flush()
            return FileBlob.of_descriptor(os.dup(target.fileno()), name=self.name)

    def _damaged(self) -> FormatError:
        return FormatError(
            "is damaged or missing in its Git repository", where=self.name, remedy="run git fsck on the repository"
        )

    def close(self) -> None:
        """Close the unpacked copy."""
        if self._whole is not None:
            self._whole.close()
