"""Export vocabularies: a part of the graph as text that other tools read.

Each format is one module with one function from a `LineageGraph` to text; `FORMATS` lists them. What a vocabulary
cannot express, the export says in its own notes.
"""

from __future__ import annotations

from collections.abc import Callable

from graph_schema.errors import InputError
from graph_schema.formats.bibtex import bibtex
from graph_schema.formats.dot import dot
from graph_schema.formats.json_graph import json_graph
from graph_schema.formats.mermaid import mermaid
from graph_schema.lineage_graph import LineageGraph

FORMATS: dict[str, Callable[[LineageGraph], str]] = {
    "bibtex": bibtex,
    "dot": dot,
    "json": json_graph,
    "mermaid": mermaid,
}


def render(graph: LineageGraph, format: str) -> str:
    """A graph as text.

    Raises
    ------
    InputError
        If the format is unknown.
    """
    try:
        return FORMATS[format](graph)
    except KeyError:
        raise InputError(f"no format {format!r}", remedy=f"one of {', '.join(sorted(FORMATS))}") from None
