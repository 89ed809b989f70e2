"""The dashboard as a reader sees it: a real server, a real store, a real browser, nothing from the network."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.chromium import chromium, dashboard_of, installed
from tests.unit.dashboard.sample_data import data_rows
from tests.unit.dashboard.sample_lake import HOSTILE, fill, sample_rows, version_id

pytestmark = pytest.mark.browser
_WAIT_SECONDS = 40
Found = TypeVar("Found")


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    if not installed():
        if os.environ.get("CI") == "true":
            pytest.fail("no chromium or no chromedriver: install Debian's chromium and chromium-driver")
        pytest.skip("no chromium or no chromedriver on this machine")
    lake: Path = fill(tmp_path_factory.mktemp("browser-lake"), sample_rows() + data_rows())
    with dashboard_of(lake) as found:
        yield found


@pytest.fixture(scope="module")
def browser(address) -> Iterator[WebDriver]:
    with chromium() as driver:
        yield driver


def eventually(browser: WebDriver, found: Callable[[], Found], what: str) -> Found:
    return WebDriverWait(browser, _WAIT_SECONDS, ignored_exceptions=[StaleElementReferenceException]).until(
        lambda _: found(), what
    )


def texts(browser: WebDriver, selector: str) -> list[str]:
    return [item.text for item in browser.find_elements(By.CSS_SELECTOR, selector)]


def titles(browser: WebDriver) -> set[str]:
    return set(texts(browser, ".lv-title"))


def places(browser: WebDriver) -> dict[str, str]:
    return browser.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('.lv-node')].map("
        "node => [node.dataset.id, node.getAttribute('transform')]))"
    )


def press(browser: WebDriver, selector: str, found: Callable[[], Found], what: str) -> Found:
    """Press an edge until the page answers: a key that falls into a redraw is lost, and a reader presses again."""

    def once() -> Found:
        # A curve's middle is not on the curve: the event goes to the element itself, as from a keyboard.
        browser.execute_script("arguments[0].focus()", browser.find_element(By.CSS_SELECTOR, selector))
        ActionChains(browser).send_keys(Keys.ENTER).perform()
        for _ in range(30):
            if answer := found():
                return answer
            time.sleep(0.1)
        return found()

    return eventually(browser, once, what)


def test_a_reader_searches_expands_reads_the_evidence_and_asks_in_cypher(address, browser) -> None:
    browser.get(address)
    box = eventually(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".stTextInput input"), "search box")[0]
    eventually(browser, lambda: "Largest families" in browser.page_source, "overview")
    eventually(browser, lambda: any("contradicted" in text for text in texts(browser, ".mp-verdict")), "findings")

    box.send_keys("org/bas")
    result = eventually(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".st-key-results button"), "a result")[
        0
    ]
    assert "org/base" in result.text
    result.click()
    eventually(browser, lambda: {"base", "chat", "giant", "12 fine-tuned"} <= titles(browser), "one hop each way")
    assert "chat-q4" not in titles(browser)
    # The address is written when all of the page has been.
    eventually(browser, lambda: f"model={version_id('org/base')}" in browser.current_url, "the permalink")

    before = places(browser)
    chat = f".lv-node[data-id='node:{version_id('org/chat')}']"
    browser.find_element(By.CSS_SELECTOR, f"{chat} .lv-title").click()
    eventually(browser, lambda: {"chat-q4", "merge", "stray"} <= titles(browser), "the hop of the clicked node")
    after = places(browser)
    assert all(after[name] == place for name, place in before.items() if name in after)
    eventually(browser, lambda: "org/chat" in texts(browser, ".st-key-evidence h2"), "the clicked node's panel")

    press(
        browser,
        ".lv-edge.lv-inferred[aria-label*='quantized']",
        lambda: "quantized from" in " ".join(texts(browser, ".st-key-evidence h2")),
        "the edge's panel",
    )
    panel = press(
        browser,
        ".lv-edge.lv-declared[aria-label*='contradict']",
        lambda: next((text for text in texts(browser, ".st-key-evidence") if "Claim contradicted" in text), ""),
        "the contradicted claim",
    )
    assert "README.md · base_model" in panel
    assert HOSTILE in panel

    browser.find_element(By.CSS_SELECTOR, f"{chat} .lv-badge").click()
    eventually(browser, lambda: "chat-q4" not in titles(browser), "the hop is taken away")

    next(item for item in browser.find_elements(By.CSS_SELECTOR, "button") if item.text == "Cypher").click()
    eventually(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".st-key-run_query button"), "the console")
    browser.find_element(By.CSS_SELECTOR, ".st-key-run_query button").click()
    eventually(
        browser,
        lambda: any(" rows in " in text for text in texts(browser, ".stCaption, [data-testid=stCaptionContainer]")),
        "a result",
    )
    eventually(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "[data-testid=stDataFrame]"), "its table")
    query = browser.find_element(By.CSS_SELECTOR, "[class*=st-key-query_text] textarea")
    query.send_keys(Keys.CONTROL, "a")
    query.send_keys("MATCH (n) DETACH DELETE n", Keys.CONTROL, Keys.ENTER)
    eventually(browser, lambda: "DETACH" in query.get_attribute("value"), "the typed query")
    browser.find_element(By.CSS_SELECTOR, ".st-key-run_query button").click()
    eventually(browser, lambda: texts(browser, "[data-testid=stAlert]"), "the refusal")


def test_a_reader_goes_from_a_model_to_its_data_and_on_to_what_shares_rows_with_it(address, browser) -> None:
    browser.get(f"{address}/?model={version_id('org/chat')}")
    link = eventually(
        browser,
        lambda: [
            item for item in browser.find_elements(By.CSS_SELECTOR, ".st-key-trained_on button") if "acme" in item.text
        ],
        "the model's data",
    )[0]
    link.click()
    eventually(browser, lambda: "acme/reviews" in texts(browser, "h3"), "the data set's page")
    eventually(
        browser,
        lambda: any("between 27.0% and 33.0%" in text for text in texts(browser, ".mp-relation p")),
        "a share with its interval",
    )
    assert any("asks for no commercial use" in text for text in texts(browser, ".mp-verdict"))
    next(item for item in browser.find_elements(By.CSS_SELECTOR, "button") if item.text == "data/words").click()
    eventually(browser, lambda: "data/words" in texts(browser, "h3"), "the related data set")
    eventually(browser, lambda: "superset of" in texts(browser, ".mp-chip"), "its relations")

    # A page that is still being drawn may lose a click.
    quiet = '[data-testid="stApp"][data-test-script-state="notRunning"]'
    eventually(browser, lambda: browser.find_elements(By.CSS_SELECTOR, quiet), "the end of the drawing")
    browser.find_element(By.CSS_SELECTOR, ".st-key-all_datasets button").click()
    box = eventually(
        browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".st-key-data_text input"), "the filter of the list"
    )[0]
    box.send_keys("onerror")
    eventually(
        browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, ".mp-data-line")) == 1, "the one that is left"
    )
    # An invisible joiner keeps the address within from becoming a link.
    assert HOSTILE in [text.replace("\u2060", "") for text in texts(browser, "button")]
    assert browser.execute_script("return window.hostile") is None


def test_the_graph_is_one_stop_of_the_keyboard_and_arrow_keys_go_on(address, browser) -> None:
    browser.get(f"{address}/?model={version_id('org/base')}")
    eventually(browser, lambda: {"base", "chat"} <= titles(browser), "the graph")
    graph = browser.find_element(By.CSS_SELECTOR, ".lv svg")
    assert "arrow keys" in graph.get_attribute("aria-label")
    stops = browser.find_elements(By.CSS_SELECTOR, ".lv svg [tabindex='0']")
    assert [item.get_attribute("data-id") for item in stops] == [f"node:{version_id('org/base')}"]

    def here() -> str:
        return browser.execute_script("return document.activeElement.getAttribute('aria-label') || ''")

    browser.execute_script("arguments[0].focus()", stops[0])
    assert here().startswith("org/base")
    ActionChains(browser).send_keys(Keys.ARROW_UP).perform()
    assert here() == "org/base, fine-tuned from upstream/giant, declared"
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    eventually(browser, lambda: "upstream/giant" in " ".join(texts(browser, ".st-key-evidence h2")), "the edge's panel")
    eventually(browser, lambda: here() == "org/base, fine-tuned from upstream/giant, declared", "the keyboard's place")
    ActionChains(browser).send_keys(Keys.ARROW_UP).perform()
    assert here().startswith("upstream/giant, not in the lake")


def test_hostile_names_do_nothing_and_nothing_is_fetched_from_elsewhere(address, browser) -> None:
    browser.get_log("performance")
    browser.get(f"{address}/?model={version_id(HOSTILE)}")
    eventually(browser, lambda: HOSTILE in texts(browser, ".st-key-evidence h2"), "the name as it stands")
    assert browser.execute_script("return window.hostile") is None
    assert not browser.find_elements(By.CSS_SELECTOR, "img[src='x'], a[href*='example.invalid']")
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [item["params"]["request"]["url"] for item in asked if item["method"] == "Network.requestWillBeSent"]
    assert urls
    assert [url for url in urls if not url.startswith((address, "data:", "blob:"))] == []
