"""The query library: one Cypher file each, whose header says what it does, takes and returns.

::

    // name: what it does, in one line.
    //
    // $parameter: TYPE    what it is
    //
    // -> column: TYPE, column: TYPE
    MATCH ...

The header is checked against the body, so that it cannot drift.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from graph_schema.errors import QueryError, UnknownNameError

TYPES: Mapping[str, tuple[type, ...]] = {
    "STRING": (str,),
    "FLOAT": (float, int),
    "INTEGER": (int,),
    "BOOLEAN": (bool,),
    "LIST<STRING>": (list, tuple),
}
COLUMN_TYPES = frozenset({*TYPES, "LIST<MAP>", "MAP"})

_PARAMETER = re.compile(r"\$(\w+):\s+(\S+)")
_COLUMN = re.compile(r"(\w+):\s*([A-Z<>]+)")
_WORDS = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|//[^\n]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query of the library.

    Attributes
    ----------
    name, doc : str
    parameters, columns : mapping of str to str
        Name to type, in Cypher's words, in order.
    text : str
        What the database runs: the file as it stands.
    """

    name: str
    doc: str
    parameters: Mapping[str, str]
    columns: Mapping[str, str]
    text: str

    def check(self, given: Mapping[str, object]) -> None:
        """Refuse parameters that do not fit the header.

        Raises
        ------
        QueryError
            If one is missing, unknown or of the wrong type.
        """
        where = f"query {self.name}"
        for name, kind in self.parameters.items():
            if name not in given:
                raise QueryError(f"parameter ${name} is missing", where=where, remedy=f"give it as {kind}")
            value = given[name]
            wrong = not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "BOOLEAN")
            if wrong or (kind == "LIST<STRING>" and not all(isinstance(item, str) for item in value)):  # type: ignore[attr-defined]
                raise QueryError(f"parameter ${name} must be {kind}, got {type(value).__name__}", where=where)
        for name in given:
            if name not in self.parameters:
                raise QueryError(f"no parameter ${name}", where=where)


@cache
def query_names() -> tuple[str, ...]:
    """Names of the library's queries, sorted."""
    folder = files("cypher") / "queries"
    return tuple(
        sorted(item.name.removesuffix(".cypher") for item in folder.iterdir() if item.name.endswith(".cypher"))
    )


@cache
def load_query(name: str) -> Query:
    """A query of the library.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    QueryError
        If its header and its body disagree.

    Examples
    --------
    >>> load_query("parents").parameters
    {'version': 'STRING', 'min_confidence': 'FLOAT'}
    """
    if name not in query_names():
        raise UnknownNameError(f"no query {name!r} in the library", remedy="one of: " + ", ".join(query_names()))
    return parse_query(name, (files("cypher") / "queries" / f"{name}.cypher").read_text(encoding="utf-8"))


def parse_query(name: str, text: str) -> Query:
    """Read a query file and check its header against its body.

    Raises
    ------
    QueryError
        If the first line does not name the query, a type is unknown, a parameter is declared and not used or used and
        not declared, or the columns are not those of the last RETURN.

    Examples
    --------
    >>> parse_query("one", "// one: the number 1.\\n//\\n// -> number: INTEGER\\nRETURN 1 AS number").columns
    {'number': 'INTEGER'}
    """
    where = f"query {name}"
    comments = [line[2:].strip() for line in text.splitlines() if line.startswith("//")]
    body = _WORDS.sub("", text)
    head, _, doc = (comments[0] if comments else "").partition(":")
    if head != name or not doc.strip():
        raise QueryError(f"the first line must read '// {name}: what it does'", where=where)
    parameters = {found[1]: found[2] for line in comments if (found := _PARAMETER.match(line))}
    start = next((index for index, line in enumerate(comments) if line.startswith("->")), len(comments))
    columns: dict[str, str] = dict(_COLUMN.findall(" ".join(comments[start:])))
    unknown = [*(kind for kind in parameters.values() if kind not in TYPES)]
    unknown += [kind for kind in columns.values() if kind not in COLUMN_TYPES]
    if unknown:
        raise QueryError(f"unknown type {unknown[0]}", where=where)
    used = set(re.findall(r"\$(\w+)", body))
    if used != set(parameters):
        raise QueryError(
            f"declares {sorted(parameters)} and uses {sorted(used)}", where=where, remedy="make header and body agree"
        )
    returned = _returned(body)
    if returned != list(columns):
        raise QueryError(f"declares columns {list(columns)} and returns {returned}", where=where)
    return Query(name=name, doc=doc.strip(), parameters=parameters, columns=columns, text=text)


def _returned(body: str) -> list[str]:
    clause = re.split(r"\bRETURN\b", body)[-1]
    clause = re.split(r"\b(?:ORDER BY|SKIP|LIMIT)\b", clause)[0].replace("DISTINCT", "", 1)
    depth, items = 0, [""]
    for character in clause:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip().split()[-1] for item in items if item.strip()]
