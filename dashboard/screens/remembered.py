"""What was read of a lake, kept for a minute: ten thousand versions take a second or two to read.

Nothing in what is kept can be changed, so that all sessions share one copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.data_reading import read_catalogue, read_dataset
from dashboard.reading import neighbourhood
from dashboard.view_models.catalogue import DataLine
from graph_schema.dataset_detail import DatasetDetail
from graph_schema.lineage_graph import LineageGraph
from lineage.reconciliation import Finding, reconcile
from modellake.lake import Lake

AT_A_GLANCE = 20_000
"""So many versions are read where a part of a larger lake will do."""

_SECONDS = 60


@st.cache_resource(ttl=_SECONDS, max_entries=2, show_spinner="Reading the lake…")
def whole_lake(_lake: Lake, limit: int = AT_A_GLANCE) -> tuple[LineageGraph, tuple[Finding, ...]]:
    """Up to so many versions with their edges, and what comes of holding claims against weights."""
    graph = _lake.whole_lineage(limit=limit)
    return graph, reconcile(graph.edges, {node.id: node.name for node in graph.nodes})


@st.cache_resource(ttl=_SECONDS, max_entries=32, show_spinner="Reading the data set…")
def whole_dataset(_lake: Lake, name: str) -> DatasetDetail:
    """One data set, see `dashboard.data_reading.read_dataset`."""
    return read_dataset(_lake, name)


def every_dataset(lake: Lake) -> tuple[DataLine, ...]:
    """What the list of data sets says; that there is none is not kept, since the reader is told to look again."""
    found = _every_dataset(lake)
    if not found:
        _every_dataset.clear()
    return found


@st.cache_resource(ttl=_SECONDS, max_entries=1, show_spinner="Reading the data sets…")
def _every_dataset(_lake: Lake) -> tuple[DataLine, ...]:
    return read_catalogue(_lake)


def around(lake: Lake, focus: str, *, up: int, down: int, expanded: Sequence[str]) -> LineageGraph:
    """What is drawn around a version; see `dashboard.reading.neighbourhood`."""
    return _around(lake, focus, up, down, tuple(expanded))


@st.cache_resource(ttl=_SECONDS, max_entries=32, show_spinner=False)
def _around(_lake: Lake, focus: str, up: int, down: int, expanded: tuple[str, ...]) -> LineageGraph:
    return neighbourhood(_lake, focus, up=up, down=down, expanded=expanded, read=_lineage)


@st.cache_resource(ttl=_SECONDS, max_entries=64, show_spinner=False)
def _lineage(_lake: Lake, version: str, up: int, down: int) -> LineageGraph:
    return _lake.lineage(version, up=up, down=down)
