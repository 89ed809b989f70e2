"""The evidence for the node or the edge that is selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.components.panel import panel
from dashboard.data_reading import training_data
from dashboard.session import change, current, go_to, open_dataset, select
from dashboard.view_models.appearance import plural, style_of
from dashboard.view_models.data_sheet import conflict_block, trained_on_block
from dashboard.view_models.evidence import edge_panel, node_panel
from dashboard.view_models.licenses import conflict
from dashboard.view_models.neighbourhood import Extent, View
from dashboard.view_models.plain_text import as_markdown, visible
from dashboard.view_models.scene import edge_key
from graph_schema.labels import Basis
from graph_schema.lineage_graph import LineageEdge, LineageGraph, LineageNode
from lineage.reconciliation import Finding, reconcile
from modellake.lake import Lake

_DATASETS = 12


def show_selection(
    lake: Lake, graph: LineageGraph, shown: LineageGraph, view: View, around: Mapping[str, Extent]
) -> None:
    """The panel beside the graph."""
    names = {node.id: node.name for node in graph.nodes}
    edge = next((item for item in shown.edges if edge_key(item) == current().selected), None)
    if edge is not None:
        beside, names, finding = _parents(lake, edge.child, names)
        inferred = lake.explain(edge.child).parentages if edge.basis is Basis.INFERRED else ()
        why = next((item for item in inferred if edge.parent in {parent.id for parent in item.parents}), None)
        if why is not None:
            names |= {item.id: item.name for item in (*why.siblings, why.runner_up) if item is not None}
        with st.container(key="evidence"):
            panel(edge_panel(edge, lake.edit(edge.edit), beside, names, finding, why), key="evidence_panel")
        return
    node = _node(graph)
    beside, names, finding = _parents(lake, node.id, names)
    origin = None if any(item.basis is Basis.INFERRED for item in beside) else lake.explain(node.id)
    with st.container(key="evidence"):
        panel(node_panel(node, around.get(node.id), beside, names, finding, origin), key="evidence_panel")
    _actions(node, view, around[node.id])
    _data(lake, node)
    _edges(shown, node, names)


def _node(graph: LineageGraph) -> LineageNode:
    identifier = current().selected.removeprefix("node:")
    try:
        return graph.node(identifier)
    except KeyError:
        return graph.node(graph.focus)


def _parents(
    lake: Lake, child: str, names: Mapping[str, str]
) -> tuple[Sequence[LineageEdge], dict[str, str], Finding | None]:
    """Every edge from a version to a parent, whether drawn or not, and what comes of holding claims against weights."""
    above = lake.lineage(child, up=1, down=0)
    known = dict(names) | {node.id: node.name for node in above.nodes}
    edges = tuple(above.parents(child))
    return edges, known, next(iter(reconcile(edges, known)), None)


def _actions(node: LineageNode, view: View, extent: Extent) -> None:
    seen = current()
    with st.container(horizontal=True, gap="small", key="actions"):
        if node.id in seen.expanded:
            st.button(
                "Collapse", key="collapse", icon=":material/remove:", on_click=lambda: change(seen.toggled(node.id))
            )
        elif extent.hidden:
            st.button(
                f"Expand {plural(extent.hidden, 'edge')}",
                key="expand",
                icon=":material/add:",
                on_click=lambda: change(seen.toggled(node.id)),
            )
        if node.id != view.focus:
            st.button(
                "Draw around it", key="centre", icon=":material/center_focus_strong:", on_click=go_to, args=(node,)
            )
        group = view.folded.get(node.id)
        if group is not None and group in seen.opened:
            st.button(
                "Fold its siblings",
                key="fold",
                icon=":material/stacks:",
                on_click=lambda: change(seen.regrouped(group)),
            )


def _data(lake: Lake, node: LineageNode) -> None:
    """The data sets that a version is trained on, each with a way to its page."""
    found = training_data(lake, node.id)
    if not found:
        return
    with st.container(gap=None, key="trained_on"):
        panel(trained_on_block(len(found)), key="trained_on_title")
        for data in found[:_DATASETS]:
            st.button(
                f"**{as_markdown(data.dataset)}** :gray[{as_markdown(data.words)}]",
                key=f"trained_on {data.dataset}",
                type="tertiary",
                icon=":material/table_rows:" if data.present else ":material/help_center:",
                on_click=open_dataset,
                args=(data.dataset,),
            )
            if said := conflict(data.license, [node.license] if node.license else []):
                panel(conflict_block(said), key=f"trained_on {data.dataset} licence")
        if len(found) > _DATASETS:
            st.caption(f"The first {_DATASETS} of {len(found):,}.")


def _edges(shown: LineageGraph, node: LineageNode, names: Mapping[str, str]) -> None:
    """The same evidence without a mouse: every edge of the node by name."""
    mine = [*shown.parents(node.id), *shown.children(node.id)]
    if not mine:
        return
    words = {edge_key(edge): _edge_in_words(edge, node.id, names) for edge in mine}
    st.session_state.edge_choice = None
    st.selectbox(
        "Evidence for an edge",
        list(words),
        format_func=lambda key: words[key],
        key="edge_choice",
        index=None,
        placeholder=f"{plural(len(mine), 'edge')} drawn here",
        on_change=_edge_chosen,
    )


def _edge_chosen() -> None:
    if st.session_state.edge_choice:
        select(st.session_state.edge_choice)


def _edge_in_words(edge: LineageEdge, node: str, names: Mapping[str, str]) -> str:
    other, arrow = (edge.parent, "from") if edge.child == node else (edge.child, "to")
    return f"{arrow} {visible(names.get(other, other))} · {style_of(edge.relation).label} · {edge.basis}"
