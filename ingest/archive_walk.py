"""Archives of a lake, such as wheels, zip and tar files that hold models or data: their members listed as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from graph_schema.errors import ModelLakeError, UnsafeFileError
from ingest.archives import list_members
from ingest.model_source import Rejected
from ingest.readers.registry import sniff_file
from ingest.stored_file import StoredFile
from ingest.weight_sets import WEIGHT_SUFFIXES

_COMPRESSED = (".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
SUFFIXES = (".zip", ".whl", ".tar", ".tgz", ".tbz2", ".txz", ".nemo", *_COMPRESSED)
_WORTH_UNPACKING = (*WEIGHT_SUFFIXES, *SUFFIXES, ".h5")
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
    >>> archive_name("team/model.tar.gz"), archive_name("tiny_model-1.0-py3-none-any.whl")
    ('team/model', 'tiny_model-1.0')
    """
    path = PurePosixPath(name)
    suffix = next((item for item in _COMPRESSED if path.name.lower().endswith(item)), path.suffix)
    stem = path.name[: -len(suffix)] or path.name
    if suffix.lower() == ".whl" and stem.count("-") >= 4:
        stem = "-".join(stem.split("-")[:2])
    return str(path.with_name(stem))


def holds_weights(name: str) -> bool:
    """Whether a member of an archive is named like weights, or like an archive that may hold some."""
    return name.lower().endswith(_WORTH_UNPACKING)


def expand(
    archive: StoredFile, *, worth_unpacking: Callable[[str], bool] = holds_weights
) -> Iterator[StoredFile | Rejected]:
    """The members of an archive, and of the archives in it, sorted by name; nothing is unpacked into the lake.

    Parameters
    ----------
    archive : StoredFile
    worth_unpacking : callable (name) -> bool
        Whether a member is reason enough to open an archive that is compressed as a whole.

    Yields
    ------
    StoredFile or Rejected
        Members named as if they lay outside the archive are rejected, and so is an archive that is damaged or nested
        too deeply. One that is compressed as a whole is passed over unless a member is worth unpacking it.
    """
    try:
        stamp = (archive.mtime_ns, archive.inode)
        listing = list_members(archive.path, archive.members, stamp=stamp, name=archive.name)
        if len(listing.sizes) > _MEMBERS_LIMIT:
            raise UnsafeFileError("has too many members", where=archive.name)
    except ModelLakeError as error:
        yield Rejected(location=archive.name, error=error)
        return
    if listing.packed and not any(map(worth_unpacking, listing.sizes)):
        return
    if listing.refused:
        member, kind = listing.refused[0]
        more = f", and {len(listing.refused) - 1} more are not read" if len(listing.refused) > 1 else ""
        fault = UnsafeFileError(f"is {kind} in an archive{more}", where=f"{archive.name}: {member[:120]}")
        yield Rejected(location=archive.name, error=fault)
    prefix = archive_name(archive.name)
    for member, size in sorted(listing.sizes.items()):
        parts = member.split("/")
        if member.endswith("/") or any(part.startswith(".") and part not in {".", ".."} for part in parts):
            continue
        if member.startswith("/") or "\\" in member or {".", "..", ""} & set(parts):
            fault = UnsafeFileError("is named as if it lay outside its archive", where=f"{archive.name}: {member}")
            yield Rejected(location=archive.name, error=fault)
            continue
        file = replace(archive, name=f"{prefix}/{member}", size=size, members=(*archive.members, member))
        if is_archive(file):
            yield from expand(file, worth_unpacking=worth_unpacking)
        else:
            yield file
