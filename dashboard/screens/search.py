"""The search box: results while one types."""

from __future__ import annotations

import streamlit as st

from dashboard.session import SEARCH, go_to
from dashboard.view_models.appearance import count_in_words, plural
from dashboard.view_models.plain_text import as_markdown
from graph_schema.labels import VersionKind
from graph_schema.lineage_graph import LineageNode
from modellake.lake import Lake

_SHOWN = 12
_LONGEST = 300


def search_box(lake: Lake, *, label: str) -> None:
    """A box, and below it what was found; choosing one draws its lineage."""
    text = st.text_input(
        label,
        key=SEARCH,
        live=True,
        placeholder="Search models and versions by name or id",
        icon=":material/search:",
        label_visibility="collapsed",
    ).strip()[:_LONGEST]
    if not text:
        return
    found = lake.find(text, limit=_SHOWN + 1)
    with st.container(border=True, key="results", gap=None):
        if not found:
            st.markdown(
                f"Nothing is called **{as_markdown(text)}**. Try a part of the name, or the beginning of an id."
            )
        for node in found[:_SHOWN]:
            st.button(
                _line(node),
                key=f"result {node.id}",
                type="tertiary",
                on_click=go_to,
                args=(node,),
                width="stretch",
            )
        if len(found) > _SHOWN:
            st.caption(f"The first {_SHOWN}; type more to narrow it down.")


def _line(node: LineageNode) -> str:
    facts = [
        "not in the lake" if node.kind is VersionKind.GHOST else "",
        "adapter" if node.kind is VersionKind.ADAPTER else "",
        count_in_words(node.parameters),
        node.architecture or "",
        plural(node.children, "edge to children", "edges to children") if node.children else "",
    ]
    said = " · ".join(as_markdown(fact) for fact in facts if fact)
    return f"**{as_markdown(node.name)}** :gray[{said}]"
