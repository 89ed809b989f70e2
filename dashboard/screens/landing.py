"""The landing page: the search box, how much there is, the largest families, where claims and weights differ."""

from __future__ import annotations

import streamlit as st

from dashboard.components.panel import panel
from dashboard.screens.findings import finding_line
from dashboard.screens.remembered import AT_A_GLANCE, whole_lake
from dashboard.screens.search import search_box
from dashboard.session import go_to, show_findings
from dashboard.view_models.overview import (
    Family,
    counts,
    counts_block,
    families,
    family_block,
    notable,
)
from dashboard.view_models.plain_text import as_markdown
from modellake.lake import Lake

_FAMILIES = 6
_FINDINGS = 6


def show(lake: Lake) -> None:
    """The landing page."""
    with st.container(key="hero"):
        st.markdown("## Where do these models come from?")
        st.markdown(
            "What the documentation claims, what the weights show, how sure that is, and why. "
            "Search for a model to see its lineage."
        )
        search_box(lake, label="Search")
    found = counts(lake.statistics())
    if not (found.versions or found.ghosts or found.datasets):
        _empty()
        return
    panel(counts_block(found), key="counts")
    graph, findings = whole_lake(lake)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("#### Largest families")
        largest = families(graph, _FAMILIES)
        if not largest:
            st.caption("No two versions are related yet. Run `modellake infer`.")
        for family in largest:
            _family(family)
        if len(graph.nodes) == AT_A_GLANCE:
            st.caption(f"Among the first {AT_A_GLANCE:,} versions by name.")
    with right:
        st.markdown("#### Claims against weights")
        worth = notable(findings, _FINDINGS)
        if not worth:
            st.caption(
                "No claim differs from what the weights show."
                if found.inferred
                else "Claims are held against the weights once those have been compared. Run `modellake infer`."
            )
        for finding in worth:
            finding_line(graph.node(finding.child), finding, key=f"landing {finding.child}")
        if worth:
            st.button("All findings", key="all_findings", type="tertiary", on_click=show_findings)


def _family(family: Family) -> None:
    with st.container(gap=None, key=f"family {family.root.id}"):
        st.button(
            f"**{as_markdown(family.root.name)}**",
            key=f"root {family.root.id}",
            type="tertiary",
            on_click=go_to,
            args=(family.root,),
        )
        panel(family_block(family), key=f"family panel {family.root.id}")


def _empty() -> None:
    with st.container(border=True):
        st.markdown("#### This lake is empty")
        st.markdown("Read the models below a directory, then let their weights say how they are related:")
        st.code("modellake ingest DIRECTORY\nmodellake infer", language="shell")
        st.caption("Reload this page afterwards.")
