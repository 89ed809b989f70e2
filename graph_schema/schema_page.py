"""The schema as a page of Markdown: `python -m graph_schema.schema_page > docs/schema.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from graph_schema.schema import EDGES, NODES, SCHEMA_VERSION, Property


def schema_page() -> str:
    """Every node and relationship with its properties.

    Examples
    --------
    >>> schema_page().splitlines()[0]
    '# The graph'
    """
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# The graph"
    yield ""
    yield f"Version {SCHEMA_VERSION}, made by `python -m graph_schema.schema_page`. Optional properties end in `?`."
    yield ""
    yield "## Nodes"
    yield ""
    yield "| label | is | properties |"
    yield "|---|---|---|"
    for node in NODES:
        text = (inspect.getdoc(node.record) or "").splitlines()[0]
        yield f"| `{node.label}` | {text} | {_listed(node.properties)} |"
    yield ""
    yield "## Relationships"
    yield ""
    yield "| relationship | properties | told apart by |"
    yield "|---|---|---|"
    for edge in EDGES:
        key = ", ".join(f"`{name}`" for name in edge.key) or "its ends"
        yield f"| `(:{edge.source})-[:{edge.relation}]->(:{edge.target})` | {_listed(edge.properties)} | {key} |"


def _listed(properties: tuple[Property, ...]) -> str:
    return ", ".join(f"`{item.name}{'' if item.required else '?'}` {item.kind}" for item in properties)


if __name__ == "__main__":
    sys.stdout.write(schema_page())
