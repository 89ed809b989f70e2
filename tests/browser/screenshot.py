"""`python -m tests.browser.screenshot DIRECTORY MODEL FILE`: the dashboard of a lake, as a picture for the docs."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import urlencode

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from modellake.lake import Lake
from tests.browser.chromium import chromium, dashboard_of

_WAIT_SECONDS = 60


def screenshot(directory: Path, model: str, file: Path, *, edge: bool, options: list[tuple[str, str]]) -> None:
    """Draw around a model, select its surest edge if asked, and write what Chromium shows as PNG.

    An empty model shows the landing page.
    """
    parameters = [("model", model)] if model else []
    if model and edge:
        with Lake(directory) as lake:
            graph = lake.lineage(model)
            surest = max(
                graph.edges, key=lambda item: (item.basis == "inferred", item.child == graph.focus, item.confidence)
            )
            parameters.append(("at", f"edge:{surest.edit}:{surest.parent}"))
    with dashboard_of(directory) as address, chromium(height=1060, scale=1.5) as browser:
        browser.get(f"{address}/?{urlencode([*parameters, *options])}")
        awaited = ".mp-verdict, .mp-table, .mp-observation, .mp-root table" if model else ".mp-family, .mp-verdict"
        if not options or model:
            WebDriverWait(browser, _WAIT_SECONDS).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, awaited))
        browser.implicitly_wait(2)
        browser.find_elements(By.CSS_SELECTOR, ".never-there")
        file.write_bytes(browser.get_screenshot_as_png())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("model")
    parser.add_argument("file", type=Path)
    parser.add_argument("--edge", action="store_true", help="select the surest edge")
    parser.add_argument("--option", action="append", default=[], help="NAME=VALUE of the page's address")
    given = parser.parse_args()
    options = [tuple(item.split("=", 1)) for item in given.option]
    screenshot(given.directory, given.model, given.file, edge=given.edge, options=options)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
