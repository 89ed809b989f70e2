"""The Cypher console: examples from the query library, parameters as JSON, results as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cypher.library import load_query, query_names
from graph_schema.errors import QueryError

_EXAMPLES: Mapping[str, Any] = {"STRING": "", "FLOAT": 0.0, "INTEGER": 50, "BOOLEAN": True, "LIST<STRING>": []}
_HOME_MADE = """\
MATCH (child:Version)-[edge:FINE_TUNED_FROM]->(parent:Version)
RETURN child.name AS child, parent.name AS parent, edge.basis AS basis, edge.confidence AS confidence
ORDER BY confidence DESC, child
LIMIT 50"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A query to start from.

    Attributes
    ----------
    name, doc : str
    text : str
        Cypher, with its header.
    parameters : str
        JSON object to fill in; empty where it takes none.
    """

    name: str
    doc: str
    text: str
    parameters: str


def examples(version: str = "") -> tuple[Example, ...]:
    """The query library, after one short query; parameters that take a version get the given one."""
    found = [
        Example(name="fine-tunes", doc="who was fine-tuned from whom, surest first", text=_HOME_MADE, parameters="")
    ]
    for name in query_names():
        query = load_query(name)
        given = {item: _example(item, kind, version) for item, kind in query.parameters.items()}
        found.append(
            Example(
                name=name,
                doc=query.doc,
                text=query.text.strip(),
                parameters=json.dumps(given, indent=2) if given else "",
            )
        )
    return tuple(found)


def _example(name: str, kind: str, version: str) -> Any:
    if name == "version":
        return version
    if name == "versions":
        return [version] if version else []
    return _EXAMPLES[kind]


def read_parameters(text: str) -> dict[str, object]:
    """Parameters as typed by the reader.

    Raises
    ------
    QueryError
        If they are not a JSON object.

    Examples
    --------
    >>> read_parameters('{"limit": 5}'), read_parameters(" ")
    ({'limit': 5}, {})
    """
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else None
        raise QueryError("the parameters are not JSON", where=place, remedy='write them as {"name": "value"}') from None
    if not isinstance(found, dict):
        raise QueryError("the parameters are not a JSON object", remedy='write them as {"name": "value"}')
    return found


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV (RFC 4180), lists and maps within as JSON.

    Cells that a spreadsheet would take for a formula get an apostrophe before them.

    Examples
    --------
    >>> print(as_csv(["a", "b"], [["=1+1", [1]]]), end="")
    a,b
    '=1+1,[1]
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return "" if value is None else value


def as_json(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as a JSON array of objects."""
    return json.dumps([dict(zip(columns, row, strict=True)) for row in rows], ensure_ascii=False, indent=2)


def as_shown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows for a table on the page: lists and maps as JSON, since a column must be of one kind."""
    nested = [any(isinstance(row[index], (list, tuple, dict)) for row in rows) for index in range(len(columns))]
    kinds = [{type(row[index]) for row in rows} - {type(None)} for index in range(len(columns))]
    mixed = [len(kind) > 1 and not kind <= {int, float} for kind in kinds]
    return [
        {
            name: json.dumps(row[index], ensure_ascii=False)
            if nested[index]
            else str(row[index])
            if mixed[index] and row[index] is not None
            else row[index]
            for index, name in enumerate(columns)
        }
        for row in rows
    ]
