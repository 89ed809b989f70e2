"""The lineage: one graph around one version, what to show of it, and the evidence for what is selected."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.components.lineage_view import lineage_view
from dashboard.components.panel import panel
from dashboard.screens.exports import export_menu
from dashboard.screens.remembered import around
from dashboard.screens.selection import show_selection
from dashboard.session import change, current, go_to, places, reset, select, tidy
from dashboard.view_models.appearance import relation_by_label, style_of
from dashboard.view_models.evidence import legend_block, summary_line
from dashboard.view_models.exploration import MOST_STEPS
from dashboard.view_models.neighbourhood import View, extents, filtered, folded
from dashboard.view_models.plain_text import as_markdown
from dashboard.view_models.scene import contradicted_edits, scene
from graph_schema.errors import NameConflictError, UnknownNameError
from graph_schema.labels import LINEAGE, Basis
from graph_schema.lineage_graph import LineageGraph, LineageNode
from modellake.lake import Lake

_GRAPH = "lineage_graph"
_BOTH = "both"


def show(lake: Lake) -> None:
    """The lineage of the version that the address names."""
    focus = _focus(lake)
    if focus is None:
        return
    seen = current()
    graph = around(lake, focus.id, up=seen.up, down=seen.down, expanded=seen.expanded)
    shown = filtered(graph, relations=seen.relations, basis=seen.basis, min_confidence=seen.min_confidence)
    apart = [seen.selected.removeprefix("node:")] if seen.selected.startswith("node:") else []
    view = folded(shown, opened=seen.opened, apart=apart)
    left, right = st.container(key="workbench").columns([7, 3], gap="medium")
    with left:
        _title(lake, focus, shown)
        _filters(graph)
        extent = extents(graph)
        drawn = scene(
            view,
            extent,
            expanded=seen.expanded,
            selected=seen.selected,
            contradicted=contradicted_edits(graph, extent),
            known=places(),
        )
        st.session_state.places = places() | dict(drawn.places)
        # A click may name a group: the callback must know which versions can be clicked at all.
        st.session_state.drawn = {item["id"] for item in (*drawn.drawing["nodes"], *drawn.drawing["edges"])}
        st.session_state.expandable = {node.id for node in view.nodes if extent[node.id].hidden}
        lineage_view(drawn.drawing, key=_GRAPH, on_click=_clicked)
        _below(graph, view)
    with right:
        show_selection(lake, graph, shown, view, extent)


def _focus(lake: Lake) -> LineageNode | None:
    name = current().model
    try:
        return lake.resolve(name)
    except NameConflictError:
        st.markdown(f"#### Several versions are called **{as_markdown(name)}**")
        for node in lake.find(name, limit=20):
            st.button(
                f"**{as_markdown(node.name)}** :gray[{as_markdown(node.id[:12])}]",
                key=f"conflict {node.id}",
                type="tertiary",
                on_click=go_to,
                args=(node,),
            )
    except UnknownNameError as error:
        st.warning(as_markdown(str(error)), icon=":material/search_off:")
    return None


def _title(lake: Lake, focus: LineageNode, shown: LineageGraph) -> None:
    name, controls = st.container(key="title").columns([5, 4], vertical_alignment="center")
    name.markdown(f"### {as_markdown(focus.name)}")
    with controls.container(horizontal=True, horizontal_alignment="right", gap="small"):
        st.button("Tidy up", key="tidy", icon=":material/auto_fix_high:", on_click=tidy, help="Lay everything out anew")
        st.button("Reset", key="reset", icon=":material/restart_alt:", on_click=reset, help="One hop, no filter")
        with st.popover("Export", icon=":material/download:"):
            export_menu(lake, focus, shown)


def _filters(graph: LineageGraph) -> None:
    seen, state = current(), st.session_state
    present = {edge.relation for edge in graph.edges} | set(seen.relations)
    labels = [style_of(relation).label for relation in LINEAGE if relation in present]
    state.relation_choice = [style_of(relation).label for relation in seen.relations]
    state.basis_choice = str(seen.basis) if seen.basis else _BOTH
    state.confidence_choice = round(100 * seen.min_confidence)
    state.up_choice, state.down_choice = seen.up, seen.down
    relations, basis, confidence, steps = st.container(key="filters").columns(
        [5, 4, 3, 2], vertical_alignment="bottom", gap="medium"
    )
    relations.pills(
        "Relations", labels, selection_mode="multi", key="relation_choice", on_change=_refiltered, help="None means all"
    )
    basis.segmented_control(
        "Basis", [_BOTH, *map(str, Basis)], key="basis_choice", on_change=_refiltered, width="stretch"
    )
    confidence.slider("Least confidence", 0, 100, step=1, format="%d%%", key="confidence_choice", on_change=_refiltered)
    with steps.popover("Steps", icon=":material/unfold_more:", width="stretch"):
        st.number_input("Steps to ancestors", 0, MOST_STEPS, key="up_choice", on_change=_refiltered)
        st.number_input("Steps to descendants", 0, MOST_STEPS, key="down_choice", on_change=_refiltered)


def _refiltered() -> None:
    state, seen = st.session_state, current()
    basis = state.basis_choice
    change(
        replace(
            seen,
            relations=tuple(sorted((relation_by_label(label) for label in state.relation_choice), key=LINEAGE.index)),
            basis=seen.basis if basis is None else None if basis == _BOTH else Basis(basis),
            min_confidence=state.confidence_choice / 100,
            up=state.up_choice,
            down=state.down_choice,
        )
    )


def _clicked() -> None:
    state = st.session_state
    click = state[_GRAPH].get("clicked") or {}
    identifier, part = str(click.get("id", "")), click.get("part")
    if identifier not in state.drawn:
        return
    kind, _, rest = identifier.partition(":")
    seen = current()
    if kind == "group":
        change(seen.regrouped(rest))
    elif kind == "edge":
        select(identifier)
    elif rest in seen.expanded:
        change(seen.toggled(rest) if part == "badge" else replace(seen, selected=identifier))
    elif rest in state.expandable:
        change(replace(seen.toggled(rest), selected=identifier))
    else:
        select(identifier)


def _below(graph: LineageGraph, view: View) -> None:
    edges = len(view.edges) + sum(len(group.edges) for group in view.groups)
    line = summary_line(view.versions, len(graph.nodes), edges)
    beyond = sum(extent.hidden for extent in extents(graph).values())
    panel(legend_block(graph, line, beyond), key="legend")
