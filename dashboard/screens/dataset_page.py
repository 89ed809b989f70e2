"""One data set: its facts, states and columns, what it shares with others, and the models trained on it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.components.panel import panel
from dashboard.screens.pager import pager
from dashboard.screens.remembered import whole_dataset
from dashboard.session import all_datasets, browse, browsing, draw_around, open_dataset
from dashboard.view_models.appearance import plural
from dashboard.view_models.data_sheet import (
    columns_block,
    evidence_block,
    facts_block,
    related,
    relation_block,
    state_block,
    use_block,
    users,
)
from dashboard.view_models.paging import page_of
from dashboard.view_models.plain_text import as_markdown
from graph_schema.dataset_detail import DatasetDetail
from graph_schema.errors import NameConflictError, UnknownNameError
from modellake.lake import Lake

_STATES = 10
_RELATIONS = 12
_MODELS = 20


def show(lake: Lake, name: str) -> None:
    """The data set that the address names."""
    st.button("All data sets", key="all_datasets", icon=":material/arrow_back:", type="tertiary", on_click=all_datasets)
    try:
        detail = whole_dataset(lake, name)
    except (UnknownNameError, NameConflictError) as error:
        st.warning(as_markdown(str(error)), icon=":material/search_off:")
        return
    st.markdown(f"### {as_markdown(detail.entry.id)}")
    left, right = st.columns([5, 6], gap="large")
    with left:
        panel(facts_block(detail), key="data_facts")
        _states(detail)
    with right:
        _relations(lake, detail)
        _models(detail)


def _states(detail: DatasetDetail) -> None:
    states = [state for state in detail.states if state.rows is not None]
    if not states:
        return
    st.markdown("#### States")
    for place, state in enumerate(states[:_STATES]):
        older = states[place + 1] if place + 1 < len(states) else None
        panel(state_block(state, older, detail), key=f"data_state {state.version}")
    if len(states) > _STATES:
        st.caption(f"The newest {_STATES} of {plural(len(states), 'state')}.")
    columns = detail.entry.columns
    if columns:
        st.markdown(f"#### Columns · {len(columns):,}")
        with st.expander("Names and types", expanded=len(columns) <= _STATES):
            panel(columns_block(columns), key="data_columns")


def _relations(lake: Lake, detail: DatasetDetail) -> None:
    entry = detail.entry
    if entry.ghost:
        return
    numbers = {state.version: state.number for state in detail.states}
    links = related(detail)
    st.markdown(f"#### Related data · {len(links):,}")
    if not links:
        st.caption("No other data set of the lake shares rows or columns with it.")
        return
    shown = page_of(links, st.session_state.get("relations_page", 1), _RELATIONS)
    for link in shown.items:
        key = f"relation {link.edit} {link.version}"
        with st.container(border=True, gap=None, key=f"{key} line"):
            own = link.other in numbers
            name = f"state {numbers[link.other]} of itself" if own else link.name
            st.button(
                f"**{as_markdown(name)}**",
                key=f"{key} open",
                type="tertiary",
                disabled=own,
                on_click=open_dataset,
                # By content: several data sets may bear one name.
                args=(link.other,),
            )
            panel(relation_block(link, detail.states), key=f"{key} panel")
            chosen = browsing().evidence == link.edit
            st.button(
                "Hide the evidence" if chosen else "Evidence",
                key=f"{key} evidence",
                type="tertiary",
                icon=":material/expand_less:" if chosen else ":material/expand_more:",
                on_click=_weigh,
                args=("" if chosen else link.edit,),
            )
            if chosen:
                panel(evidence_block(lake.edit(link.edit)), key=f"{key} seen")
    pager(shown, key="relations_pager", turn=lambda page: st.session_state.update(relations_page=page))


def _weigh(edit: str) -> None:
    browse(replace(browsing(), evidence=edit))


def _models(detail: DatasetDetail) -> None:
    trained = users(detail)
    st.markdown(f"#### Models trained on it · {len(trained):,}")
    if not trained:
        st.caption("No model of the lake says that it is trained on this data.")
        return
    conflicts = sum(use.conflict is not None for use in trained)
    if conflicts:
        st.caption(
            f"{plural(conflicts, 'model')} with a licence that leaves out a condition of the data's, as far as the "
            "names of the licences tell. Whether it binds the model is a question for lawyers."
        )
    shown = page_of(trained, st.session_state.get("users_page", 1), _MODELS)
    for use in shown.items:
        with st.container(gap=None, key=f"use {use.version} line"):
            st.button(
                f"**{as_markdown(use.name)}**",
                key=f"use {use.version} open",
                type="tertiary",
                on_click=draw_around,
                args=(use.version,),
            )
            panel(use_block(use), key=f"use {use.version} panel")
    pager(shown, key="users_pager", turn=lambda page: st.session_state.update(users_page=page))
