"""Dumps of a model hub's metadata: thousands of models known by what is said about them, without their weights.

Rows are told by their fields, not by file names: CSV with `parent`, `child` and `relation`; JSON lines with `id` and
one of `metadata` (as the hub's API gives it), `card` (a whole model card) or the API's own fields; each may be gzipped.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import TextIO

from graph_schema.errors import FormatError, ModelLakeError, PathNotFoundError, ResourceError, UnsupportedFormatError
from graph_schema.identity import clean_name, ghost_id
from graph_schema.labels import LINEAGE, Relation, VersionKind
from graph_schema.records import Claim, Model, Version
from ingest.blobs import FileBlob
from ingest.claims.documents import CARD_LIMIT, card_model, merge_claims, read_card
from ingest.claims.front_matter import RELATIONS, read_card_fields, words
from ingest.claims.names import model_name
from ingest.claims.safe_yaml import load_yaml
from ingest.claims.statements import Findings, excerpt
from ingest.zip_members import BlobStream

LINE_LIMIT = 16 << 20
"""Longest line that is read, in characters."""

PROBLEMS_LIMIT = 10_000
ROWS_LIMIT = 20_000_000
SIZE_LIMIT = 64 << 30
"""Most characters of one file that are read once it is unpacked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubMetadata:
    """What dumps of metadata say.

    Attributes
    ----------
    models : tuple of Model
        Every model with a row of its own or named in another's, sorted by id.
    versions : tuple of Version
        A ghost for each model, in the same order: its weights are not here.
    claims : tuple of Claim
        As `ingest.claims` gives them.
    problems : tuple of ModelLakeError
        Rows that could not be read; the rest was.
    """

    models: tuple[Model, ...]
    versions: tuple[Version, ...]
    claims: tuple[Claim, ...]
    problems: tuple[ModelLakeError, ...] = ()


def read_hub_metadata(paths: Sequence[Path]) -> HubMetadata:
    """Read dumps of a hub's metadata.

    Parameters
    ----------
    paths : sequence of Path
        Files, or directories whose `*.csv`, `*.jsonl` and gzipped such files are read.

    Raises
    ------
    PathNotFoundError
        If a path does not exist.
    UnsupportedFormatError
        If a file has no rows of a known kind.

    Notes
    -----
    One pass; memory grows with the models and claims, not with the cards. Some 2,000 rows with cards a second.
    """
    models: dict[str, Model] = {}
    claims: dict[Claim, None] = {}
    problems: list[ModelLakeError] = []
    for file in dump_files(paths):
        for model, found in _rows(file):
            claims.update(dict.fromkeys(found.claims))
            problems += found.problems[: PROBLEMS_LIMIT - len(problems)]
            if model is not None:
                known = models.get(model.id)
                models[model.id] = model if known is None else _filled(known, model)
    for claim in claims:
        if claim.relation in LINEAGE:
            models.setdefault(claim.target, card_model({}, id=claim.target))
    ordered = tuple(models[name] for name in sorted(models))
    ghosts = tuple(Version(id=ghost_id(item.id), name=item.id, kind=VersionKind.GHOST) for item in ordered)
    return HubMetadata(models=ordered, versions=ghosts, claims=merge_claims(claims), problems=tuple(problems))


_HUB_FIELDS = frozenset(
    ("metadata", "card", "card_data", "cardData", "modelId", "pipeline_tag", "library_name", "siblings")
)
_SNIFFED = 1 << 20


def is_hub_metadata(path: Path) -> bool:
    """Whether a file is a dump of a hub's metadata, told by its first row.

    A row of JSON has an `id` and a field that the hub gives to models; other JSON lines and CSV files are data.
    """
    try:
        blob = FileBlob(path)
    except ModelLakeError:
        return False
    try:
        stream = BlobStream(blob)
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        head = (gzip.GzipFile(fileobj=stream) if packed else stream).read(_SNIFFED)
    except (OSError, EOFError, zlib.error, ModelLakeError):
        return False
    finally:
        blob.close()
    line, ended, _ = head.decode("utf-8", "replace").lstrip("\ufeff").partition("\n")
    if {"parent", "child", "relation"} <= {name.strip() for name in line.split(",")}:
        return True
    if not line.lstrip().startswith("{"):
        return False
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        # A first row longer than what was read: its beginning decides.
        return not ended and len(head) == _SNIFFED and any(f'"{name}"' in line[:4096] for name in _HUB_FIELDS)
    return isinstance(row, dict) and isinstance(row.get("id"), str) and bool(_HUB_FIELDS & row.keys())


def dump_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files that are given, and those of the directories given that may be dumps by their names.

    Raises
    ------
    PathNotFoundError
        If a path does not exist.
    """
    for path in paths:
        if path.is_dir():
            kinds = ("*.csv", "*.csv.gz", "*.jsonl", "*.jsonl.gz")
            yield from sorted(item.resolve() for kind in kinds for item in path.glob(kind) if not item.is_symlink())
        elif path.exists():
            yield path.resolve()
        else:
            raise PathNotFoundError("no such file or directory", where=str(path), remedy="check the path")


def _filled(first: Model, second: Model) -> Model:
    """The first record with what it lacks taken from the second."""
    missing = {item.name: getattr(second, item.name) for item in fields(first) if not getattr(first, item.name)}
    return replace(first, **missing)


def _rows(path: Path) -> Iterator[tuple[Model | None, Findings]]:
    blob = FileBlob(path)
    try:
        stream = BlobStream(blob)
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        binary = gzip.GzipFile(fileobj=stream) if packed else stream
        with TextIOWrapper(binary, encoding="utf-8", errors="replace", newline="") as text:  # type: ignore[type-var]
            lines = _lines(text, path)
            first = next(lines, "").lstrip("\ufeff")
            header = [name.strip() for name in first.rstrip("\r\n").split(",")]
            if {"parent", "child"} <= set(header):
                yield from _edges(lines, header, path)
            elif first.lstrip().startswith("{"):
                yield from _objects(first, lines, path)
            else:
                raise UnsupportedFormatError(
                    "holds no hub metadata", where=str(path), remedy="give CSV with parent,child,relation or JSON lines"
                )
    except (gzip.BadGzipFile, zlib.error, EOFError, csv.Error) as error:
        raise FormatError(f"is damaged: {error}", where=str(path), remedy="fetch it again") from error
    finally:
        blob.close()


def _lines(text: TextIO, path: Path) -> Iterator[str]:
    total = 0
    for count in range(ROWS_LIMIT + 1):
        line = text.readline(LINE_LIMIT)
        if not line:
            return
        total += len(line)
        if len(line) >= LINE_LIMIT or total > SIZE_LIMIT:
            raise ResourceError(f"line {count + 1} or the whole is too long", where=str(path))
        yield line
    raise ResourceError(f"has more than {ROWS_LIMIT} lines", where=str(path))


def _edges(lines: Iterator[str], header: list[str], path: Path) -> Iterator[tuple[Model, Findings]]:
    for number, row in enumerate(csv.DictReader(lines, fieldnames=header), start=2):
        child, parent = clean_name(row.get("child") or ""), clean_name(row.get("parent") or "")
        stated = (row.get("relation") or "finetune").strip().lower()
        if not child or not parent or child == parent or stated not in RELATIONS:
            continue
        claim = Claim(
            subject=child,
            relation=RELATIONS[stated],
            target=parent,
            kind="hub_edge",
            file=path.name,
            field="relation",
            excerpt=excerpt(f"line {number}: {parent}, {child}, {stated}"),
        )
        yield card_model({}, id=child), Findings(claims=(claim,))


def _objects(first: str, lines: Iterator[str], path: Path) -> Iterator[tuple[Model | None, Findings]]:
    for number, line in enumerate(chain([first], lines), start=1):
        where = f"{path.name}: line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield None, Findings(problems=(FormatError("is no valid JSON", where=where),))
            continue
        if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"].strip():
            yield _object(row, where, path.name)


def _object(row: Mapping[str, object], where: str, file: str) -> tuple[Model, Findings]:
    name = clean_name(str(row["id"]).encode("utf-8", "replace").decode("utf-8"))
    card = row.get("card")
    if isinstance(card, str):
        found = read_card(card[:CARD_LIMIT], subject=name, file="README.md")
        return card_model(found.fields, id=name), found
    stated = row.get("metadata", row)
    facts = stated if isinstance(stated, dict) else {}
    card_data = facts.get("card_data") or facts.get("cardData")
    problems: tuple[ModelLakeError, ...] = ()
    if isinstance(card_data, str):
        try:
            card_data = load_yaml(card_data, where=f"{where}: card_data")
        except ModelLakeError as error:
            card_data, problems = None, (error,)
    merged = dict(card_data) if isinstance(card_data, dict) else {}
    for key in ("library_name", "pipeline_tag", "tags", "created_at"):
        if facts.get(key):
            merged[key] = facts[key]
    found = read_card_fields(merged, subject=name, file=file, kind="hub")
    # The hub's tags repeat the card's base, typed; they speak alone only where the card is absent.
    claims = found.claims if "base_model" in merged else (*found.claims, *_tagged(merged, name, file))
    return card_model(merged, id=name), Findings(claims=claims, problems=problems)


def _tagged(facts: Mapping[str, object], subject: str, file: str) -> Iterator[Claim]:
    for tag in words(facts.get("tags")):
        head, _, rest = tag.partition(":")
        kind, _, target = rest.partition(":")
        name = model_name(target)
        relation: Relation | None = RELATIONS.get(kind)
        if head == "base_model" and relation is not None and name is not None:
            yield Claim(
                subject=subject,
                relation=relation,
                target=name,
                kind="hub_tag",
                file=file,
                field="tags",
                excerpt=excerpt(tag),
            )
