"""Running the dashboard: Streamlit in a process of its own, for this machine alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from graph_schema.errors import InputError
from modellake.child_process import run_attended

# Light or dark is what the reader's system asks for.
THEME: Mapping[str, str] = {
    "baseRadius": "0.55rem",
    "baseFontSize": "15",
    "light.primaryColor": "#1f4e79",
    "light.backgroundColor": "#ffffff",
    "light.secondaryBackgroundColor": "#f5f7fa",
    "light.textColor": "#1b2733",
    "light.borderColor": "#dbe2ea",
    "dark.primaryColor": "#7db3e3",
    "dark.backgroundColor": "#10171f",
    "dark.secondaryBackgroundColor": "#1a242f",
    "dark.textColor": "#e3e9ef",
    "dark.borderColor": "#33414f",
}


def command(port: int, *, headless: bool) -> list[str]:
    """The command line of the dashboard's process.

    Raises
    ------
    InputError
        If the port is none.
    """
    if not 0 < port < 65_536:
        raise InputError(f"{port} is not a port", remedy="give one from 1 to 65535")
    options = {
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.headless": "true" if headless else "false",
        "server.fileWatcherType": "none",
        # At its first start on a machine it would wait for an address to be typed, before any page is served.
        "server.showEmailPrompt": "false",
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": "127.0.0.1",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        **{f"theme.{name}": value for name, value in THEME.items()},
    }
    script = Path(__file__).with_name("app.py")
    return [
        *(sys.executable, "-m", "streamlit", "run", str(script)),
        *(f"--{name}={value}" for name, value in options.items()),
    ]


def environment(directory: Path | str | None, store: str | None, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of the dashboard's process: where the lake is, and where this package is."""
    found = dict(given)
    if directory is not None:
        found["MODELLAKE_DIRECTORY"] = str(Path(directory).absolute())
    if store is not None:
        found["MODELLAKE_STORE"] = store
    # Streamlit puts the script's own folder first, from which this package cannot be imported.
    root = str(Path(__file__).parent.parent)
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (root, given.get("PYTHONPATH"))))
    return found


def launch(
    directory: Path | str | None = None, store: str | None = None, port: int = 8501, headless: bool = False
) -> int:
    """Run the dashboard until it is stopped.

    Parameters
    ----------
    directory : Path or str, optional
        Of the lake, as for `modellake.lake.Lake`.
    store : str, optional
        URL of a Neo4j server; passed by environment, so that no list of processes shows its password.
    port : int
        On the loopback interface; nothing else can connect.
    headless : bool
        Do not open a browser.

    Returns
    -------
    int
        Exit status, as of `modellake.child_process.run_attended`.
    """
    return run_attended(command(port, headless=headless), environment(directory, store, os.environ))
