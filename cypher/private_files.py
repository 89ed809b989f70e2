"""Files that hold a password: readable by their owner alone, and never seen half-written."""

from __future__ import annotations

import os
from pathlib import Path

from graph_schema.errors import ResourceError, StoreUnavailableError


def private_directory(path: Path) -> Path:
    """Make a directory that only its owner can enter; one that exists is left as it is.

    Raises
    ------
    StoreUnavailableError
        If it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(
            f"the store's directory cannot be made: {error.strerror}", where=str(path), remedy="choose another --store"
        ) from error
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in one step: a reader sees the old text or the new one.

    Raises
    ------
    ResourceError
        If it cannot be written.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as error:
        raise ResourceError(
            f"cannot write: {error.strerror}", where=str(path), remedy="free some space, or check its permissions"
        ) from error
