"""Why a parent: the evidence of a version's inferred edges, as a reader would want it."""

from __future__ import annotations

from collections.abc import Iterator

from graph_schema.labels import Basis
from graph_schema.lineage_graph import EditDetail, LineageGraph
from modellake.lake import Lake


def explain(lake: Lake, model: str) -> Iterator[str]:
    """Lines: each inferred edit of the version, its cues with their log-odds, and the runner-up; then what is declared.

    Parameters
    ----------
    lake : Lake
    model : str
        As for `Lake.resolve`.
    """
    graph = lake.lineage(model, up=1, down=0)
    name = graph.node(graph.focus).name
    edits = {edge.edit: lake.edit(edge.edit) for edge in graph.parents(graph.focus)}
    inferred = [edit for edit in edits.values() if edit.basis is Basis.INFERRED]
    declared = [edit for edit in edits.values() if edit.basis is Basis.DECLARED]
    if not inferred:
        yield f"{name}: its weights name no parent in the lake. It may be a root, or its kin may be absent."
    for edit in inferred:
        yield from _inferred(lake, graph, edit)
    for edit in declared:
        parents = " and ".join(_names(graph, edit))
        yield f"declared: {edit.kind.lower().replace('_', ' ')} {parents}"
        yield from (f"  {item.statement}" + (f': "{item.excerpt}"' if item.excerpt else "") for item in edit.evidence)


def _inferred(lake: Lake, graph: LineageGraph, edit: EditDetail) -> Iterator[str]:
    child, parents = graph.node(edit.child).name, " and ".join(_names(graph, edit))
    yield f"{child}: {edit.kind.lower().replace('_', ' ')} {parents}, confidence {edit.confidence:.1%}"
    yield f"  {edit.summary}"
    for item in edit.evidence:
        odds = f"{item.log_odds:+6.1f}" if item.log_odds else "     ."
        yield f"  {odds}  {item.kind}: {item.statement}"
    if edit.runner_up is not None:
        try:
            runner_up = lake.resolve(edit.runner_up).name
        except LookupError:  # pragma: no cover - resolve raises errors of the project's own tree
            runner_up = edit.runner_up
        yield f"  the runner-up is {runner_up}; a nearer relative that is not in the lake could change the verdict"


def _names(graph: LineageGraph, edit: EditDetail) -> list[str]:
    known = {node.id: node.name for node in graph.nodes}
    return sorted(known.get(parent, parent) for parent in edit.parents)
