"""`python -m dashboard`: the dashboard of the lake that the environment names."""

from __future__ import annotations

import sys

import click

from dashboard.launching import launch
from graph_schema.errors import ModelLakeError


@click.command()
@click.option("--port", default=8501, show_default=True, help="On the loopback interface.")
@click.option("--headless", is_flag=True, help="Do not open a browser.")
def main(port: int, headless: bool) -> None:
    """Run the dashboard of the lake in MODELLAKE_DIRECTORY, or of the server in MODELLAKE_STORE."""
    try:
        sys.exit(launch(port=port, headless=headless))
    except ModelLakeError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
