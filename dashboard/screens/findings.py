"""The findings: every claim held against the weights."""

from __future__ import annotations

import streamlit as st

from dashboard.components.panel import panel
from dashboard.session import go_to
from dashboard.view_models.evidence import VERDICTS, verdict_block
from dashboard.view_models.overview import verdict_counts
from dashboard.view_models.plain_text import as_markdown
from graph_schema.lineage_graph import LineageNode
from lineage.reconciliation import Finding, reconcile
from modellake.lake import Lake

_SHOWN = 50


def show(lake: Lake) -> None:
    """All findings, gravest first, by verdict."""
    st.markdown("### Claims against weights")
    graph = lake.whole_lineage()
    nodes = {node.id: node for node in graph.nodes}
    findings = reconcile(graph.edges, {node.id: node.name for node in graph.nodes})
    found = verdict_counts(findings)
    if not found:
        st.info("Nothing is declared and nothing inferred yet. Run `modellake ingest`, then `modellake infer`.")
        return
    chosen = st.pills(
        "Verdict",
        list(found),
        key="verdict",
        format_func=lambda verdict: f"{VERDICTS[verdict][0]} · {found[verdict]}",
        label_visibility="collapsed",
    )
    kept = [item for item in findings if chosen in (None, item.verdict)]
    for finding in kept[:_SHOWN]:
        finding_line(nodes[finding.child], finding, key=f"finding {finding.child}")
    if len(kept) > _SHOWN:
        st.caption(f"{_SHOWN} of {len(kept):,} shown.")


def finding_line(node: LineageNode, finding: Finding, *, key: str) -> None:
    """One finding, with a way to the graph."""
    with st.container(gap=None, key=f"{key} line"):
        st.button(f"**{as_markdown(node.name)}**", key=f"{key} open", type="tertiary", on_click=go_to, args=(node,))
        panel(verdict_block(finding), key=f"{key} panel")
