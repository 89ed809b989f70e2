"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from graph_schema.errors import ResourceError


def write_atomically(path: Path, content: bytes, *, what: str) -> None:
    """Write a file so that, at whatever moment the machine stops, the old or the new content is there.

    Parameters
    ----------
    path : Path
        Its folder exists; a file that is there is replaced.
    content : bytes
    what : str
        What it is, for messages, such as `the fingerprint`.

    Raises
    ------
    ResourceError
        If the file cannot be written; whatever was there before is then still there.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the very operation that is meant
        temporary = None
        with suppress(OSError):  # not every system can open a folder
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise ResourceError(
            f"{what} cannot be written: {error.strerror or error}",
            where=str(path),
            remedy="free some space or check the folder's permissions",
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink()
