"""What a user's query may do on a Neo4j server, judged by the server's own plan of it.

A READ transaction refuses writes, but still loads files, lists users and settings, and stops other people's
transactions; the Community edition has no roles to forbid that. The planner knows what a query is, a pattern on its
text does not.

One thing it shows as text alone: a subquery that runs only when a branch of an expression is taken (`CASE WHEN ... THEN
COLLECT { ... }`) stands unplanned in the details of its operator, in the planner's own spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from graph_schema.errors import QueryRefusedError

PROCEDURES = frozenset(
    {
        "db.index.fulltext.queryNodes",
        "db.index.fulltext.queryRelationships",
        "db.index.vector.queryNodes",
        "db.index.vector.queryRelationships",
        "db.labels",
        "db.propertyKeys",
        "db.relationshipTypes",
        "db.schema.nodeTypeProperties",
        "db.schema.relTypeProperties",
        "db.schema.visualization",
    }
)
_SHOWS = frozenset({"ShowIndexes", "ShowConstraints", "ShowFunctions", "ShowProcedures"})
_REFUSED = frozenset({"LoadCSV", "AdministrationCommand", "TerminateTransactions"})
_UNPLANNED = re.compile(r"\b(?:COLLECT|COUNT|EXISTS)\s*\{.*\b(?:LOAD\s+CSV|CALL)\b", re.IGNORECASE | re.DOTALL)


def check_plan(query_type: str | None, plan: Mapping[str, Any] | None) -> None:
    """Refuse a query whose plan does more than read the graph.

    Parameters
    ----------
    query_type : str
        The driver's summary of EXPLAIN: `r`, `rw`, `w` or `s`.
    plan : mapping
        Its plan: `operatorType`, `args`, `children`.

    Raises
    ------
    QueryRefusedError
        Unless it reads, and only reads.

    Examples
    --------
    >>> check_plan("r", {"operatorType": "LoadCSV@neo4j", "args": {}, "children": []})
    Traceback (most recent call last):
    ...
    graph_schema.errors.QueryRefusedError: only reading the graph is allowed here, the query would run LoadCSV
    """
    for operator, details in _operators(plan or {}):
        name = operator.split("@")[0]
        if name == "ProcedureCall":
            procedure = details.split("(")[0].strip()
            if procedure not in PROCEDURES:
                raise QueryRefusedError(f"the procedure {procedure or '?'} is not among those allowed here")
        elif name in _REFUSED or (name.startswith(("Show", "Terminate")) and name not in _SHOWS):
            raise QueryRefusedError(f"only reading the graph is allowed here, the query would run {name}")
        if _UNPLANNED.search(details):
            raise QueryRefusedError("a conditional subquery may not load files or call procedures here")
    if query_type != "r" or plan is None:
        raise QueryRefusedError("only reading the graph is allowed here, the query would write or administer")


def _operators(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    stack = [plan] if plan else []
    while stack:
        node = stack.pop()
        yield str(node.get("operatorType", "")), str((node.get("args") or {}).get("Details", ""))
        stack.extend(node.get("children") or ())
