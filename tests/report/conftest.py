"""A headless Chromium that reads reports as a reader would."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from snapq.records import RunRecord
from snapq.report.html import render_html

OF_CHROMIUM = ("chrome://", "chrome-untrusted://")
"""Pages of its own: the start page, and the frame in it, which may ask for something late."""
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
Open = Callable[..., "Page"]


class Page:
    """One report in the browser."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def run(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def resize(self, width: int) -> None:
        """Makes the screen `width` pixels wide; below 600 it is a phone's."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def wait(self, condition: str, seconds: int = 20) -> None:
        """Waits for a JavaScript expression to hold."""
        self.driver.set_script_timeout(seconds)
        self.driver.execute_async_script(
            "const done = arguments[0]; const look = () => "
            f"({condition}) ? done() : setTimeout(look, 50); look();"
        )

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Every address that a page of ours asked for; Chromium's start page asks for its own."""
        messages = [json.loads(x["message"])["message"] for x in self.driver.get_log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
            and not message["params"]["documentURL"].startswith(OF_CHROMIUM)
        ]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        pytest.skip("the report is not read in a browser: install chromium and chromium-driver")
    options = Options()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    yield driver
    driver.quit()


@pytest.fixture
def open_report(browser: webdriver.Chrome, tmp_path: Path) -> Iterator[Open]:
    """Opens a report, or another page, at a width in pixels, light or dark, without scripts too."""

    def opened(
        record: RunRecord | str, *, width: int = 1280, dark: bool = False, scripts: bool = True
    ) -> Page:
        file = tmp_path / "report.html"
        text = record if isinstance(record, str) else render_html(record)
        file.write_text(text, encoding="utf-8")
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        browser.get_log("browser")
        browser.get_log("performance")
        page = Page(browser, file.as_uri())
        page.resize(width)
        browser.get(page.url)
        return page

    yield opened
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.get("about:blank")
