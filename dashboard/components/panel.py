"""Panels of text, from blocks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.view_models.document import Block

_FOLDER = Path(__file__).parent


@cache
def _component() -> Any:
    return st.components.v2.component(
        "modellake_panel",
        css=(_FOLDER / "panel.css").read_text(encoding="utf-8"),
        js=(_FOLDER / "panel.js").read_text(encoding="utf-8"),
        isolate_styles=False,
    )


def panel(block: Block, *, key: str) -> None:
    """Show a tree of blocks; its texts are shown as they stand, whatever they hold."""
    _component()(key=key, data=block.as_json())
