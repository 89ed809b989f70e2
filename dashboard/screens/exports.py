"""Taking the lineage along: citations, diagrams, data, a picture, a link."""

from __future__ import annotations

import re
from functools import partial

import streamlit as st

from dashboard.reading import picture
from graph_schema.lineage_graph import LineageGraph, LineageNode
from modellake.lake import Lake

_FORMATS = (
    ("BibTeX", "bibtex", "bib", "application/x-bibtex"),
    ("Mermaid", "mermaid", "mmd", "text/plain"),
    ("JSON", "json", "json", "application/json"),
)


def export_menu(lake: Lake, focus: LineageNode, shown: LineageGraph) -> None:
    """Buttons that make a file of the focus's whole ancestry, or a picture of what is drawn."""
    # A file's name is made of harmless characters alone, whatever the model is called.
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", focus.name).strip("-.")[:80] or "lineage"
    with st.container(horizontal=True, gap="small", key="exports"):
        for label, name, ending, kind in _FORMATS:
            st.download_button(
                label,
                data=partial(lake.export, focus.id, name),
                file_name=f"{stem}.{ending}",
                mime=kind,
                key=f"export_{name}",
                on_click="ignore",
                help="The version and everything that it descends from",
            )
        st.download_button(
            "PNG",
            data=lambda: picture(shown),
            file_name=f"{stem}.png",
            mime="image/png",
            key="export_png",
            on_click="ignore",
            help="What the graph shows now, siblings drawn one by one",
        )
    st.caption("The address of this page is a permalink to what you see.")
