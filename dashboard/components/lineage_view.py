"""The drawing of a lineage: pans, zooms, and says what was clicked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_FOLDER = Path(__file__).parent
HEIGHT = 620


@cache
def _component() -> Any:
    return st.components.v2.component(
        "modellake_lineage_view",
        css=(_FOLDER / "lineage_view.css").read_text(encoding="utf-8"),
        js=(_FOLDER / "lineage_view.js").read_text(encoding="utf-8"),
        isolate_styles=False,
    )


def lineage_view(drawing: Mapping[str, Any], *, key: str, on_click: Callable[[], None]) -> None:
    """Show a drawing.

    Parameters
    ----------
    drawing : mapping
        See `dashboard.view_models.scene.Scene`.
    key : str
        The click is then found under `st.session_state[key].clicked`, as a mapping with `id` and `part`: `body` of a
        node or edge, or its `badge`.
    on_click : callable
    """
    _component()(key=key, data=dict(drawing), height=HEIGHT, on_clicked_change=on_click)
