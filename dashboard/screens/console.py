"""The Cypher console: read-only."""

from __future__ import annotations

import time

import streamlit as st

from dashboard.session import current
from dashboard.view_models.console import as_csv, as_json, as_shown, examples, read_parameters
from dashboard.view_models.plain_text import as_markdown
from graph_schema.errors import ModelLakeError
from modellake.lake import Lake

_LIMIT = 1000
_TIMEOUT_S = 30


def show(lake: Lake) -> None:
    """Editor, parameters, examples, result."""
    st.markdown("### Cypher")
    st.caption(
        f"Read-only: a query that would write, administer or read files is refused. At most {_LIMIT:,} rows and "
        f"{_TIMEOUT_S} seconds."
    )
    library = {item.name: item for item in examples(current().model)}
    state = st.session_state
    first = next(iter(library.values()))

    def begin(text: str, parameters: str) -> None:
        # A new key each time: an editor's text is set when it is made, and then belongs to the reader.
        state.query_begun = state.query_draft = (text, parameters)
        state.query_number = state.get("query_number", 0) + 1

    def take_example() -> None:
        chosen = library.get(state.query_example or "")
        if chosen is not None:
            begin(chosen.text, chosen.parameters)

    if f"query_text_{state.get('query_number', 0)}" not in state:
        begin(*state.get("query_draft", (first.text, first.parameters)))
    st.selectbox(
        "Start from an example",
        list(library),
        format_func=lambda name: f"{name}: {library[name].doc}",
        key="query_example",
        index=None,
        placeholder=f"{len(library)} queries to start from",
        on_change=take_example,
    )
    editor, beside = st.columns([7, 3])
    number, (begun_text, begun_parameters) = state.query_number, state.query_begun
    text = editor.text_area("Query", begun_text, key=f"query_text_{number}", height=260)
    parameters = beside.text_area(
        "Parameters, as JSON", begun_parameters, key=f"query_parameters_{number}", height=260, placeholder="{}"
    )
    state.query_draft = (text, parameters)
    if st.button("Run", key="run_query", type="primary", icon=":material/play_arrow:"):
        state.result = None
        try:
            begun = time.perf_counter()
            table = lake.query(text, read_parameters(parameters), timeout_s=_TIMEOUT_S, limit=_LIMIT)
            state.result = (table, time.perf_counter() - begun)
        except ModelLakeError as error:
            st.error(as_markdown(str(error)), icon=":material/error:")
    if state.get("result"):
        _result()


def _result() -> None:
    table, seconds = st.session_state.result
    more = f", the first of more than {_LIMIT:,}" if table.truncated else ""
    st.caption(f"{len(table.rows):,} rows{more} in {1000 * seconds:,.0f} ms")
    st.dataframe(
        as_shown(table.columns, table.rows),
        key="result_table",
        hide_index=True,
        width="stretch",
        # Text stays text: without a type the table would guess at links and pictures.
        column_config={
            name: st.column_config.TextColumn(name)
            for index, name in enumerate(table.columns)
            if any(isinstance(row[index], str) for row in table.rows)
        },
    )
    with st.container(horizontal=True, gap="small"):
        st.download_button("CSV", as_csv(table.columns, table.rows), "result.csv", "text/csv", key="csv")
        st.download_button("JSON", as_json(table.columns, table.rows), "result.json", "application/json", key="json")
