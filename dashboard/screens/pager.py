"""Buttons that turn the pages of a long list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard.view_models.paging import Page


def pager(page: Page[Any], *, key: str, turn: Callable[[int], None]) -> None:
    """Which items are shown, and ways to those before and after them; nothing where all are shown.

    Parameters
    ----------
    page : Page
    key : str
    turn : callable
        Gets the number of the page to show.
    """
    if page.pages == 1:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=key):
        st.button(
            "Earlier",
            key=f"{key} back",
            icon=":material/chevron_left:",
            disabled=page.number == 1,
            on_click=turn,
            args=(page.number - 1,),
        )
        st.button(
            "Later",
            key=f"{key} on",
            icon=":material/chevron_right:",
            disabled=page.number == page.pages,
            on_click=turn,
            args=(page.number + 1,),
        )
        st.caption(page.line)
