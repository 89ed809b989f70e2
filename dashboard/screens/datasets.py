"""The data sets: a list to search and narrow down."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.components.panel import panel
from dashboard.screens import dataset_page
from dashboard.screens.pager import pager
from dashboard.screens.remembered import every_dataset
from dashboard.session import browse, browsing, open_dataset
from dashboard.view_models.appearance import plural
from dashboard.view_models.browsing import Kept, Order
from dashboard.view_models.catalogue import DataLine, chosen, how_many, line_block
from dashboard.view_models.paging import page_of
from dashboard.view_models.plain_text import as_markdown
from modellake.lake import Lake

_PAGE = 20
_LONGEST = 300
_HELP = {
    Kept.PRESENT: "their rows were read",
    Kept.NAMED: "models say that they are trained on them, but the data is not here",
    Kept.RELATED: "they share rows or columns with another data set of the lake",
    Kept.LICENSE: "a model trained on them has a licence that leaves out a condition of theirs",
    Kept.SHARED: "rows of a test or validation split are in another split too",
}


def show(lake: Lake) -> None:
    """The list, or the data set that the reader chose from it."""
    if browsing().dataset:
        dataset_page.show(lake, browsing().dataset)
        return
    st.markdown("### Data sets")
    lines = every_dataset(lake)
    if not lines:
        _empty()
        return
    st.caption(
        "What lies in the lake beside the models, and what models say they are trained on. Rows are compared by "
        "sketches: no row is kept."
    )
    _choice(lines)
    seen = browsing()
    found = chosen(lines, text=seen.text, kept=seen.kept, order=seen.order)
    page = page_of(found, seen.page, _PAGE)
    if not found:
        st.info("No data set passes. Try fewer words, or another choice above.", icon=":material/search_off:")
    for line in page.items:
        _line(line)
    pager(page, key="datasets_pager", turn=_turn)
    st.caption(f"{plural(len(found), 'data set')} of {len(lines):,}" if len(found) < len(lines) else "")


def _choice(lines: tuple[DataLine, ...]) -> None:
    state, seen = st.session_state, browsing()
    found = how_many(lines)
    state.setdefault("data_text", seen.text)
    state.kept_choice, state.order_choice = seen.kept if seen.kept in found else None, seen.order
    text, order = st.columns([7, 3], vertical_alignment="bottom", gap="medium")
    text.text_input(
        "Narrow the list down",
        key="data_text",
        live=True,
        placeholder="Name, column, licence, address or place",
        icon=":material/filter_alt:",
        on_change=_narrowed,
    )
    order.segmented_control("Sorted by", list(Order), key="order_choice", on_change=_narrowed, width="stretch")
    st.pills(
        "Which",
        list(found),
        key="kept_choice",
        format_func=lambda kept: f"{kept} · {found[kept]:,}",
        on_change=_narrowed,
        label_visibility="collapsed",
        help="; ".join(f"{kept}: {_HELP[kept]}" for kept in found),
    )


def _narrowed() -> None:
    state = st.session_state
    browse(
        replace(
            browsing(),
            text=state.data_text.strip()[:_LONGEST],
            kept=state.kept_choice,
            order=state.order_choice or browsing().order,
            page=1,
        )
    )


def _turn(page: int) -> None:
    browse(replace(browsing(), page=page))


def _line(line: DataLine) -> None:
    entry = line.entry
    with st.container(gap=None, key=f"dataset {entry.id} line"):
        called = f" :gray[{as_markdown(entry.name)}]" if not entry.ghost and not entry.id.endswith(entry.name) else ""
        st.button(
            f"**{as_markdown(entry.id)}**{called}",
            key=f"dataset {entry.id} open",
            type="tertiary",
            on_click=open_dataset,
            args=(entry.id,),
        )
        panel(line_block(line), key=f"dataset {entry.id} panel")


def _empty() -> None:
    with st.container(border=True):
        st.markdown("#### No data sets yet")
        st.markdown(
            "Data sets are read beside the models: CSV, JSON Lines, Parquet, Arrow, text and images. What models say "
            "they are trained on is listed here too."
        )
        st.code("modellake ingest DIRECTORY", language="shell")
        st.caption("Reload this page afterwards.")
