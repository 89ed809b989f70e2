"""Data in archives: an archive is a folder of its name, and its members are the files in it, read in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from graph_schema.identity import clean_name
from ingest.archive_walk import archive_name, expand, is_archive
from ingest.datasets.dataset_source import DatasetSource, form_of
from ingest.stored_file import StoredFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfolded:
    """The files of a lake with its archives as folders.

    Attributes
    ----------
    files : tuple of StoredFile
        Files on disk, and members of archives whose folder no other file lies in.
    apart : tuple of tuple of StoredFile
        Members of each archive whose folder is there, too: it was unpacked beside itself, or two archives are called
        alike. They are other files of the same names.
    """

    files: tuple[StoredFile, ...]
    apart: tuple[tuple[StoredFile, ...], ...] = ()


def unfold(files: Sequence[StoredFile]) -> Unfolded:
    """Put the members of archives in the place of the archives.

    Archives that are damaged, and members named as if they lay outside, are left out; `ingest.discovery.discover`
    reports them. One that is compressed as a whole and holds nothing that is named like data is not opened.
    """
    archives = [item for item in files if is_archive(item)]
    if not archives:
        return Unfolded(files=tuple(files))
    packed = set(map(id, archives))
    kept = [item for item in files if id(item) not in packed]
    taken = {folder for item in kept for folder in _above(item.name)}
    apart = []
    for archive in archives:
        members = [item for item in expand(archive, worth_unpacking=holds_data) if isinstance(item, StoredFile)]
        prefix = archive_name(archive.name)
        if prefix in taken:
            apart.append(tuple(members))
        else:
            taken.update(folder for item in members for folder in _above(item.name))
            kept += members
    return Unfolded(files=tuple(kept), apart=tuple(members for members in apart if members))


def holds_data(name: str) -> bool:
    """Whether a member of an archive is named like data.

    Examples
    --------
    >>> holds_data("a/train.csv"), holds_data("a/code.py")
    (True, False)
    """
    return form_of(name) is not None


def named_after_archives(sources: Iterable[DatasetSource]) -> Iterator[DatasetSource]:
    """Data sets; an archive that holds one alone is that data set, wherever in the archive it lies."""
    found = list(sources)
    holders: dict[object, list[DatasetSource]] = {}
    for source in found:
        for identity in {(item.path, item.members[:1] != ()) for item in source.files}:
            holders.setdefault(identity, []).append(source)
    for source in found:
        places = {(item.path, item.members[:1] != ()) for item in source.files}
        (path, inside), *others = sorted(places)
        prefix = _prefix(source)
        if inside and not others and len(holders[path, inside]) == 1 and prefix:
            yield replace(source, id=clean_name(prefix.encode("utf-8", "replace").decode("utf-8")))
        else:
            yield source


def _prefix(source: DatasetSource) -> str:
    """The folder that the archive of a data set is; empty where the data set is more than what the archive holds."""
    item = source.files[0]
    inner = [archive_name(member) for member in item.members[:-1]] + list(item.members[-1:])
    prefix = item.name.removesuffix("/" + "/".join(inner))
    within = source.folder == prefix or source.folder.startswith(f"{prefix}/")
    return prefix if within else ""


def _above(name: str) -> list[str]:
    return [str(folder) for folder in PurePosixPath(name).parents if str(folder) != "."]
