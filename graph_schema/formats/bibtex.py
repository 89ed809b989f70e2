"""BibTeX: one entry a version, so that a paper can cite a model and all it was made from.

BibTeX has no entry type for models and no field for descent: versions are `@software` (biblatex; plain BibTeX styles
take it for `@misc`), and what a version was derived from stands in its `note`, with the keys of its parents.
"""

from __future__ import annotations

import re
import unicodedata

from pybtex.database import BibliographyData, Entry, Person

from graph_schema.labels import Basis, VersionKind
from graph_schema.lineage_graph import LineageEdge, LineageGraph, LineageNode
from graph_schema.plain_text import plain

# What the writer leaves alone; it escapes % & $ # and _ by itself.
_SPECIAL = {
    "\\": r"\textbackslash{}",
    # BibTeX counts braces, also those behind a backslash.
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def bibtex(graph: LineageGraph) -> str:
    """Entries of all versions of a graph that have a name, the focus first, then in the graph's order.

    A parent that nothing names, whether only the weights of its children imply it or a document says that it is not
    known, cannot be cited: the notes of its children say what is known of it.

    Returns
    -------
    str
        BibTeX. Keys are made of the names and are unique; the year is left out, since weights carry no date.

    Examples
    --------
    >>> print(bibtex(LineageGraph(focus="", nodes=(LineageNode(id="ab" * 20, name="org/model"),), edges=())).split()[0])
    @software{org-model,
    """
    named = (node for node in graph.nodes if not (node.implied or node.unknown))
    nodes = sorted(named, key=lambda node: node.id != graph.focus)
    keys = _keys(nodes)
    entries = {keys[node.id]: _entry(node, graph, keys) for node in nodes}
    text: str = BibliographyData(entries=entries).to_string("bibtex")
    return text


def _entry(node: LineageNode, graph: LineageGraph, keys: dict[str, str]) -> Entry:
    fields = [("title", "{" + _escaped(node.name) + "}")]
    notes = []
    if node.kind is VersionKind.GHOST:
        notes.append("named as a parent, weights not seen")
    else:
        fields.append(("version", node.id[:12]))
        notes.append(f"weights {node.id}")
    notes += [_descent(edge, graph, keys) for edge in graph.parents(node.id)]
    also = [model for model in node.models if model != node.name]
    if also:
        notes.append("also published as " + ", ".join(also))
    if node.license:
        notes.append(f"license {node.license}")
    fields.append(("note", _escaped("; ".join(notes))))
    persons = {}
    if "/" in node.name:
        organization = node.name.split("/", 1)[0]
        # Braces keep a name with blanks from being taken for first and last names.
        persons["author"] = [Person("{" + _escaped(organization) + "}")]
    return Entry("software", fields=fields, persons=persons)


def _descent(edge: LineageEdge, graph: LineageGraph, keys: dict[str, str]) -> str:
    sure = "declared" if edge.basis is Basis.DECLARED else f"inferred from the weights, {edge.confidence:.0%}"
    share = "" if edge.weight is None else f" with weight {edge.weight:.3g}"
    word = edge.relation.lower().replace("_", " ")
    if edge.parent in keys:
        return f"{word} {keys[edge.parent]}{share} ({sure})"
    above = [_descent(item, graph, keys) for item in graph.parents(edge.parent) if item.parent in keys]
    return f"{word} a version that is not known ({sure})" + "".join(f", itself {line}" for line in above)


def _keys(nodes: list[LineageNode]) -> dict[str, str]:
    keys: dict[str, str] = {}
    # BibTeX takes two keys that differ in case alone for one.
    taken: set[str] = set()
    for node in nodes:
        plain = unicodedata.normalize("NFKD", node.name).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9.]+", "-", plain).strip("-") or "model"
        key, count = base, 2
        while key.lower() in taken:
            key, count = f"{base}-{count}", count + 1
        taken.add(key.lower())
        keys[node.id] = key
    return keys


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in plain(text.replace("\n", " ")))
