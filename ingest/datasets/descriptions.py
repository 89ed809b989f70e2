"""What the documents of a data set say about it: Croissant, `dataset_infos.json`, `dataset_info.json`, the card.

References
----------
Akhtar et al., "Croissant: A Metadata Format for ML-Ready Datasets", NeurIPS 2024 Datasets and Benchmarks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from graph_schema.errors import ModelLakeError, ResourceError
from graph_schema.records import Dataset
from ingest.claims.configs import load_json
from ingest.claims.documents import CARD_LIMIT
from ingest.claims.front_matter import read_front_matter, split_card, words
from ingest.claims.statements import excerpt
from ingest.datasets.dataset_source import DatasetSource

CROISSANT = "croissant.json"
DOCUMENTS = (CROISSANT, "dataset_infos.json", "dataset_info.json", "README.md")
"""Read in this order; what an earlier one says counts."""

MARKS = frozenset((CROISSANT, "dataset_infos.json", "dataset_info.json", "dataset_dict.json"))
"""Documents that only a data set has."""

CARD_FIELDS = frozenset(("dataset_info", "task_categories", "task_ids", "size_categories", "annotations_creators"))
"""Fields of front matter that only a data set's card has."""

_BIBTEX = re.compile(r"^@\w+\{.*?^\}", re.MULTILINE | re.DOTALL)
_CITATION_LIMIT = 4000
_SPLITS_LIMIT = 200
_SPLIT_FIELD = re.compile(r"(?:^|/|#)split(?:_name|/name)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The record of a data set, and the documents that could not be read."""

    dataset: Dataset
    problems: tuple[ModelLakeError, ...] = ()


def describe(source: DatasetSource) -> Described:
    """The Dataset of a source, with what its documents say about it.

    At most `CARD_LIMIT` bytes of each are read; one that is damaged is a problem, and the others count.
    """
    dataset = Dataset(id=source.id, name=source.id.rsplit("/", 1)[-1], location=source.location)
    problems: list[ModelLakeError] = []
    files = {item.base: item for item in source.documents}
    found: dict[str, object] = {}
    for base in DOCUMENTS:
        item = files.get(base)
        if item is None:
            continue
        try:
            text, cut = item.read_text(CARD_LIMIT)
            if cut and base != "README.md":
                raise ResourceError(f"is longer than {CARD_LIMIT} bytes and was not read", where=item.name)
            stated = _read(base, text, source.id, item.name)
        except ModelLakeError as error:
            problems.append(error)
            continue
        for name, value in stated.items():
            if value and name not in found:
                found[name] = value
    return Described(dataset=replace(dataset, **found), problems=tuple(problems))  # type: ignore[arg-type]


def _read(base: str, text: str, subject: str, where: str) -> dict[str, object]:
    if base == CROISSANT:
        return read_croissant(load_json(text, where=where))
    if base == "README.md":
        return read_card(text, subject=subject)
    fields = load_json(text, where=where)
    if base == "dataset_info.json":
        return _read_info(fields)
    configs = [item for _, item in sorted(fields.items()) if isinstance(item, dict)]
    merged = dict(_read_info(configs[0])) if configs else {}
    merged["splits"] = tuple(dict.fromkeys(split for config in configs for split in _splits(config)))
    return merged


def read_croissant(fields: Mapping[str, object]) -> dict[str, object]:
    """Name, licence, citation, address and splits that a Croissant file states, by the fields of `Dataset`.

    Examples
    --------
    >>> read_croissant({"@type": "sc:Dataset", "name": "Iris", "sc:license": "https://spdx.org/licenses/CC0-1.0"})
    {'name': 'Iris', 'license': 'https://spdx.org/licenses/CC0-1.0', 'url': None, 'citation': None, 'splits': ()}
    """
    plain = _unprefixed(fields)
    return {
        "name": _text(plain.get("name")),
        "license": ", ".join(filter(None, map(_text, _listed(plain.get("license"))))) or None,
        "url": _text(plain.get("url")),
        "citation": _long(plain.get("citeAs") or plain.get("citation")),
        "splits": tuple(dict.fromkeys(_croissant_splits(plain)))[:_SPLITS_LIMIT],
    }


def _croissant_splits(fields: Mapping[str, object]) -> Iterator[str]:
    for records in _listed(fields.get("recordSet")):
        if not isinstance(records, dict):
            continue
        plain = _unprefixed(records)
        if not any("split" in str(kind).lower() for kind in _listed(plain.get("dataType"))):
            continue
        for row in _listed(plain.get("data")):
            for key, value in row.items() if isinstance(row, dict) else ():
                if isinstance(value, str) and _SPLIT_FIELD.search(str(key)):
                    yield excerpt(value)


def read_card(text: str, *, subject: str) -> dict[str, object]:
    """Name, licence, citation and splits that a data set's card states, by the fields of `Dataset`.

    Examples
    --------
    >>> read_card("---\\nlicense: mit\\npretty_name: Words\\n---\\n", subject="words")["name"]
    'Words'
    """
    front, body = split_card(text)
    fields = read_front_matter(front, subject=subject, file="README.md").fields
    cited = _BIBTEX.search(body)
    return {
        "name": _text(fields.get("pretty_name")),
        "license": ", ".join(map(excerpt, words(fields.get("license")))) or None,
        "citation": _long(cited[0]) if cited else None,
        "splits": tuple(split for info in _listed(fields.get("dataset_info")) for split in _splits(info)),
    }


def is_dataset_card(text: str) -> bool:
    """Whether a card is a data set's, by the fields of its front matter."""
    front, _ = split_card(text)
    return bool(CARD_FIELDS & read_front_matter(front, subject="", file="README.md").fields.keys())


def _read_info(fields: Mapping[str, object]) -> dict[str, object]:
    return {
        "name": _text(fields.get("dataset_name")),
        "license": _text(fields.get("license")),
        "url": _text(fields.get("homepage")),
        "citation": _long(fields.get("citation")),
        "splits": tuple(_splits(fields)),
    }


def _splits(info: object) -> Iterator[str]:
    """Splits of a configuration: a mapping by name, or a list of mappings."""
    stated = info.get("splits") if isinstance(info, dict) else None
    rows = list(stated.values()) if isinstance(stated, dict) else _listed(stated)
    for row in rows[:_SPLITS_LIMIT]:
        if isinstance(row, dict) and isinstance(row.get("name"), str):
            count = row.get("num_examples")
            yield excerpt(row["name"]) + (f": {count}" if isinstance(count, int) else "")


def _unprefixed(fields: Mapping[str, object]) -> dict[str, object]:
    return {str(key).rsplit(":", 1)[-1] if "/" not in str(key) else str(key): value for key, value in fields.items()}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: object) -> str | None:
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("@value") or value.get("name") or value.get("url") or value.get("@id")
    return excerpt(value) or None if isinstance(value, str) else None


def _long(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    kept = "".join(character for character in value if character.isprintable() or character == "\n")
    return kept.strip()[:_CITATION_LIMIT] or None
