"""What a reader's session remembers between two runs of the page, and how it gets into the address and out of it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.view_models.browsing import Browsing
from dashboard.view_models.exploration import Exploration
from dashboard.view_models.placement import Point
from graph_schema.lineage_graph import LineageNode
from modellake.lake import Lake

LINEAGE_SCREEN = "Lineage"
DATA_SCREEN = "Data sets"
FINDINGS_SCREEN = "Findings"
_ADDRESSES = {LINEAGE_SCREEN: "", DATA_SCREEN: "datasets", FINDINGS_SCREEN: "findings", "Cypher": "cypher"}
SCREENS = tuple(_ADDRESSES)
SEARCH = "search_text"


@st.cache_resource(show_spinner="Opening the store…")
def open_lake() -> Lake:
    """The lake that the environment names; one for all sessions of this process."""
    lake = Lake()
    lake.statistics()
    return lake


def start() -> None:
    """Begin a run: read the address where it is new, as after a jump to a permalink or a step back."""
    state = st.session_state
    address = {name: tuple(st.query_params.get_all(name)) for name in st.query_params}
    if state.get("address") != address:
        state.address = address
        shown = address.get("screen", ("",))[-1].lower()
        state.screen = next((name for name, value in _ADDRESSES.items() if value == shown), LINEAGE_SCREEN)
        _explore(Exploration.from_query_parameters(address))
        state.browsing = Browsing.from_query_parameters(address)
        _turn_back()
    state.setdefault(SEARCH, "")
    state.screen_choice = state.screen


def current() -> Exploration:
    """What the reader looks at."""
    found: Exploration = st.session_state.exploration
    return found


def change(exploration: Exploration) -> None:
    """Look at something else around the same version: what is drawn keeps its place."""
    st.session_state.exploration = exploration


def go_to(node: LineageNode) -> None:
    """Draw around another version, and leave the search."""
    draw_around(node.id)


def draw_around(version: str) -> None:
    """Draw around the version of an id, and leave the search."""
    st.session_state[SEARCH] = ""
    st.session_state.screen = LINEAGE_SCREEN
    seen = current()
    _explore(Exploration(model=version, relations=seen.relations, basis=seen.basis, min_confidence=seen.min_confidence))


def home() -> None:
    """Back to the beginning."""
    st.session_state[SEARCH] = ""
    st.session_state.screen = LINEAGE_SCREEN
    _explore(Exploration())


def show_findings() -> None:
    """To the screen of all findings."""
    st.session_state.screen = FINDINGS_SCREEN


def show_screen() -> None:
    """The reader chose a screen; clicking the chosen one again leads from one data set to all."""
    if st.session_state.screen_choice is None and st.session_state.screen == DATA_SCREEN:
        all_datasets()
    st.session_state.screen = st.session_state.screen_choice or st.session_state.screen


def browsing() -> Browsing:
    """Which data sets the reader looks at."""
    found: Browsing = st.session_state.browsing
    return found


def browse(what: Browsing) -> None:
    """Look at other data sets, or at one in another way."""
    st.session_state.browsing = what


def open_dataset(dataset: str) -> None:
    """Show one data set, by its id or that of its state; the list stays as it was."""
    st.session_state[SEARCH] = ""
    st.session_state.screen = DATA_SCREEN
    browse(replace(browsing(), dataset=dataset, evidence=""))
    _turn_back()


def all_datasets() -> None:
    """Back to the list."""
    browse(replace(browsing(), dataset="", evidence=""))


def tidy() -> None:
    """Forget where everything was drawn, so that it is laid out anew."""
    st.session_state.places = {}


def reset() -> None:
    """One hop each way again, nothing opened, nothing filtered."""
    _explore(Exploration(model=current().model))


def places() -> dict[str, Point]:
    """Where things are drawn, also those that are not drawn now."""
    found: dict[str, Point] = st.session_state.places
    return found


def write_permalink() -> None:
    """End a run: let the address say what is shown."""
    parameters = current().query_parameters()
    if st.session_state.screen != LINEAGE_SCREEN:
        parameters["screen"] = _ADDRESSES[st.session_state.screen]
    if st.session_state.screen == DATA_SCREEN:
        parameters |= browsing().query_parameters()
    wanted = {name: tuple([value] if isinstance(value, str) else value) for name, value in parameters.items()}
    if wanted != st.session_state.address:
        st.session_state.address = wanted
        st.query_params.from_dict(parameters)


def select(what: str) -> None:
    """Show the evidence for a node or an edge."""
    change(replace(current(), selected=what))


def _turn_back() -> None:
    """Begin the lists of a data set's page at their first page, and forget what was typed above the list."""
    for name in ("relations_page", "users_page", "data_text"):
        st.session_state.pop(name, None)


def _explore(exploration: Exploration) -> None:
    st.session_state.exploration = exploration
    st.session_state.places = {}
