"""The findings: every claim held against the weights."""

from __future__ import annotations

import streamlit as st

from dashboard.components.panel import panel
from dashboard.screens.pager import pager
from dashboard.screens.remembered import AT_A_GLANCE, whole_lake
from dashboard.session import go_to
from dashboard.view_models.evidence import VERDICTS, verdict_block
from dashboard.view_models.overview import speaking_of, verdict_counts
from dashboard.view_models.paging import page_of
from dashboard.view_models.plain_text import as_markdown
from graph_schema.lineage_graph import LineageNode
from lineage.reconciliation import Finding
from modellake.lake import WHOLE, Lake

_SHOWN = 25


def show(lake: Lake) -> None:
    """All findings, gravest first, by verdict."""
    st.markdown("### Claims against weights")
    st.caption(
        "What cards, configs and file names say of a model's parents, held against what its weights show. The weights "
        "are compared without regard to any claim."
    )
    graph, findings = whole_lake(lake)
    if len(graph.nodes) == AT_A_GLANCE:
        graph, findings = whole_lake(lake, WHOLE)
    nodes = {node.id: node for node in graph.nodes}
    found = verdict_counts(findings)
    if not found:
        st.info("Nothing is declared and nothing inferred yet. Run `modellake ingest`, then `modellake infer`.")
        return
    chosen = st.pills(
        "Verdict",
        list(found),
        key="verdict",
        format_func=lambda verdict: f"{VERDICTS[verdict][0]} · {found[verdict]:,}",
        label_visibility="collapsed",
        on_change=_turn,
        args=(1,),
    )
    text = ""
    if len(findings) > _SHOWN:
        text = st.text_input(
            "Narrow the list down",
            key="findings_text",
            live=True,
            placeholder="A part of a model's or a parent's name",
            icon=":material/filter_alt:",
            label_visibility="collapsed",
            on_change=_turn,
            args=(1,),
        )
    kept = [item for item in speaking_of(findings, text) if chosen in (None, item.verdict)]
    if not kept:
        st.info("No finding passes. Try fewer words, or another verdict.", icon=":material/search_off:")
    page = page_of(kept, st.session_state.get("findings_page", 1), _SHOWN)
    for finding in page.items:
        finding_line(nodes[finding.child], finding, key=f"finding {finding.child}")
    pager(page, key="findings_pager", turn=_turn)


def _turn(page: int) -> None:
    st.session_state.findings_page = page


def finding_line(node: LineageNode, finding: Finding, *, key: str) -> None:
    """One finding, with a way to the graph."""
    with st.container(gap=None, key=f"{key} line"):
        st.button(f"**{as_markdown(node.name)}**", key=f"{key} open", type="tertiary", on_click=go_to, args=(node,))
        panel(verdict_block(finding), key=f"{key} panel")
