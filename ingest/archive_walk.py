"""Archives of a lake, such as wheels and zip files that hold models: their members listed as files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from graph_schema.errors import ModelLakeError, UnsafeFileError
from ingest.archives import NESTING_LIMIT
from ingest.model_source import Rejected
from ingest.readers.registry import sniff_file
from ingest.stored_file import StoredFile
from ingest.zip_members import zip_directory

SUFFIXES = (".zip", ".whl")
_MEMBERS_LIMIT = 100_000


def is_archive(file: StoredFile) -> bool:
    """Whether a file is an archive to look into; a checkpoint that happens to be a zip file is none."""
    if not file.base.lower().endswith(SUFFIXES):
        return False
    try:
        return sniff_file(file) is None
    except ModelLakeError:
        return True


def archive_name(name: str) -> str:
    """What an archive is called: its name without its suffix, a wheel's without its tags.

    Examples
    --------
    >>> archive_name("team/model.zip"), archive_name("tiny_model-1.0-py3-none-any.whl")
    ('team/model', 'tiny_model-1.0')
    """
    path = PurePosixPath(name)
    stem = path.stem
    if path.suffix.lower() == ".whl" and stem.count("-") >= 4:
        stem = "-".join(stem.split("-")[:2])
    return str(path.with_name(stem))


def expand(archive: StoredFile) -> Iterator[StoredFile | Rejected]:
    """The members of an archive, and of the archives in it, sorted by name; nothing is unpacked into the lake.

    Yields
    ------
    StoredFile or Rejected
        Members named as if they lay outside the archive are rejected, and so is an archive that is damaged or nested
        too deeply.
    """
    try:
        blob = archive.open()
        try:
            directory = zip_directory(blob)
        finally:
            blob.close()
        if len(archive.members) >= NESTING_LIMIT - 1 or len(directory) > _MEMBERS_LIMIT:
            raise UnsafeFileError("has too many members, or archives within archives", where=archive.name)
    except ModelLakeError as error:
        yield Rejected(location=archive.name, error=error)
        return
    prefix = archive_name(archive.name)
    for member, item in sorted(directory.items()):
        parts = member.split("/")
        if member.endswith("/") or any(part.startswith(".") and part not in {".", ".."} for part in parts):
            continue
        if member.startswith("/") or "\\" in member or {".", "..", ""} & set(parts):
            fault = UnsafeFileError("is named as if it lay outside its archive", where=f"{archive.name}: {member}")
            yield Rejected(location=archive.name, error=fault)
            continue
        file = replace(archive, name=f"{prefix}/{member}", size=item.file_size, members=(*archive.members, member))
        if is_archive(file):
            yield from expand(file)
        else:
            yield file
