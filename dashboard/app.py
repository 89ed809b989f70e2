"""The entry of the dashboard: `streamlit run dashboard/app.py`, or `modellake dashboard`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.screens import console, datasets, explorer, findings, landing
from dashboard.screens.search import search_box
from dashboard.session import (
    DATA_SCREEN,
    LINEAGE_SCREEN,
    SCREENS,
    current,
    home,
    open_lake,
    show_screen,
    start,
    write_permalink,
)
from dashboard.view_models.plain_text import as_markdown
from graph_schema.errors import ModelLakeError


def main() -> None:
    """One run of the page."""
    files = Path(__file__).parent / "components"
    # An icon by name would be fetched from the network.
    st.set_page_config(page_title="modellake", page_icon=str(files / "icon.svg"), layout="wide")
    st.html(files / "page.css")
    start()
    try:
        _page()
    except ModelLakeError as error:
        st.error(as_markdown(str(error)), icon=":material/error:")
    write_permalink()


def _page() -> None:
    lake = open_lake()
    landed = not current().model and st.session_state.screen == LINEAGE_SCREEN
    top = st.container(key="top")
    brand, middle, switch = top.columns([2, 5, 4], vertical_alignment="center")
    with brand:
        st.button("**modellake**", key="home", type="tertiary", on_click=home, help="Back to the beginning")
    with switch:
        st.segmented_control(
            "Screen", SCREENS, key="screen_choice", on_change=show_screen, label_visibility="collapsed", width="stretch"
        )
    if landed:
        landing.show(lake)
        return
    with middle:
        search_box(lake, label="Search")
    match st.session_state.screen:
        case screen if screen == DATA_SCREEN:
            datasets.show(lake)
        case "Findings":
            findings.show(lake)
        case "Cypher":
            console.show(lake)
        case _:
            explorer.show(lake)


main()
