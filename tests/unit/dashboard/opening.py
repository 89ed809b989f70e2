"""The dashboard on a lake of its own: opened for some tests, closed behind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import streamlit as st


@contextmanager
def opened_on(directory: Path) -> Iterator[None]:
    """Let the dashboard read a lake.

    One process holds the embedded store; it stays open from one test to the next, as in a running dashboard.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELLAKE_DIRECTORY", str(directory))
        patch.delenv("MODELLAKE_STORE", raising=False)
        st.cache_resource.clear()
        st.cache_data.clear()
        yield
        from dashboard.session import open_lake

        open_lake().close()
        st.cache_resource.clear()
        st.cache_data.clear()
