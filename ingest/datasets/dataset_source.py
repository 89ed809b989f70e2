"""A data set as discovery finds it: its files, what form they have, and the documents that describe it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from ingest.stored_file import StoredFile, signature


class Form(StrEnum):
    """What the rows of a file are read from."""

    CSV = "csv"
    TSV = "tsv"
    JSON_LINES = "jsonl"
    JSON_ARRAY = "json"
    PARQUET = "parquet"
    ARROW = "arrow"
    TEXT = "text"
    IMAGE = "image"


_SUFFIXES = {
    ".csv": Form.CSV,
    ".tsv": Form.TSV,
    ".jsonl": Form.JSON_LINES,
    ".ndjson": Form.JSON_LINES,
    ".json": Form.JSON_ARRAY,
    ".parquet": Form.PARQUET,
    ".arrow": Form.ARROW,
    ".feather": Form.ARROW,
    ".ipc": Form.ARROW,
    ".txt": Form.TEXT,
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"), Form.IMAGE),
}
_PACKED = frozenset((Form.CSV, Form.TSV, Form.JSON_LINES, Form.JSON_ARRAY, Form.TEXT))
GZIP = ".gz"

_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("valid", "validation", "val", "dev", "eval"), "validation"),
}
_WORD = re.compile(r"[A-Za-z]+")


def form_of(name: str) -> Form | None:
    """The form that a file's name promises; None for what is no data by its name.

    Examples
    --------
    >>> form_of("rows.csv.gz"), form_of("README.md")
    (<Form.CSV: 'csv'>, None)
    """
    base = name.lower()
    packed = base.endswith(GZIP)
    form = _SUFFIXES.get(PurePosixPath(base.removesuffix(GZIP)).suffix)
    return None if packed and form not in _PACKED else form


def data_stem(name: str) -> str:
    """A file's name without the suffixes of data.

    Examples
    --------
    >>> data_stem("a/rows.csv.gz"), data_stem("a.b/rows.2024")
    ('a/rows', 'a.b/rows.2024')
    """
    if form_of(name) is None:
        return name
    plain = name[: -len(GZIP)] if name.lower().endswith(GZIP) else name
    return plain[: -len(PurePosixPath(plain).suffix)]


def split_of(name: str) -> str | None:
    """The split that a file belongs to, by the words of its name, or by a folder that is called like one.

    Examples
    --------
    >>> split_of("data/train-00000-of-00002.parquet"), split_of("val/cat/1.png"), split_of("trains.csv")
    ('train', 'validation', None)
    """
    path = PurePosixPath(name)
    for folder in path.parts[:-1]:
        if folder.lower() in _SPLITS:
            return _SPLITS[folder.lower()]
    words = [word.lower() for word in _WORD.findall(data_stem(path.name))]
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSource:
    """One data set of the lake, found but not yet read.

    Attributes
    ----------
    id : str
        `org/name` of a hub cache, else the path relative to the lake.
    location : str
        Where it lies, for people.
    files : tuple of StoredFile
        Its data, sorted by name.
    forms : tuple of Form
        Of each file.
    documents : tuple of StoredFile
        Croissant, `dataset_infos.json`, `dataset_info.json` and the card.
    folder : str
        What the names of its files are relative to, within the lake; moving it changes nothing about the data.
    """

    id: str
    location: str
    files: tuple[StoredFile, ...]
    forms: tuple[Form, ...]
    documents: tuple[StoredFile, ...] = ()
    folder: str = ""

    @property
    def size(self) -> int:
        """Bytes of data to read."""
        return sum(item.size for item in self.files)

    @property
    def signature(self) -> str:
        """Changes when a file of the data set does; costs no reading."""
        return signature((*self.files, *self.documents))

    def inner_name(self, item: StoredFile) -> str:
        """A file's name relative to the data set."""
        return item.name[len(self.folder) :].lstrip("/") if self.folder else item.name
