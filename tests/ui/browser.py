"""A headless Chromium that says what went wrong in it, and whom it asked."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1200,1000",
)  # fmt: skip
PATIENCE_S = 90.0
"""A busy machine may take that long; how long a page itself takes is measured apart."""

KEPT = Path(os.environ.get("HPSEARCH_SCREENSHOTS") or Path(__file__).with_name("screenshots"))
"""Where screenshots are kept, to be looked at."""


def needed() -> tuple[str, str]:
    """Chromium and its driver; skips where they are not."""
    found = [
        next(filter(None, map(shutil.which, names)), None)
        for names in (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
    ]
    if None in found:
        pytest.skip("there is no Chromium with its driver; install the packages chromium and chromium-driver")
    return str(found[0]), str(found[1])


class Browser:
    """One window."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.errors: list[str] = []
        self.asked: list[str] = []

    def forget(self) -> None:
        """What went wrong, and whom it asked, until now."""
        self.hear()
        self.errors.clear()
        self.asked.clear()

    def look(self, width: int = 1200, *, dark: bool = False) -> None:
        """What the reader's screen and system are."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, url: str) -> None:
        self.driver.get(url)
        self.wait("return document.readyState === 'complete'")

    def before_each_page(self, script: str) -> None:
        """What runs in each page before its own scripts."""
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})

    def press(self, selector: str) -> None:
        """With the mouse, as people do."""
        from selenium.webdriver.common.by import By

        found = self.driver.find_element(By.CSS_SELECTOR, selector)
        self.run("arguments[0].scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'})", found)
        found.click()

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: object) -> Any:
        """Until the script gives something; fails when it does not."""
        until = time.monotonic() + PATIENCE_S
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < until, f"in vain: {script}; {self.hear() or self.errors}"
            time.sleep(0.1)
        return found

    def hear(self) -> list[str]:
        """Errors so far in the console; what was asked of the network is noted too."""
        self.errors += [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.asked.append(message["params"]["request"]["url"])
        return self.errors

    def computed_s(self) -> float:
        """For how long the page's main thread has computed since it began, in its own seconds: what else the machine does not count."""
        found = self.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(metric["value"] for metric in found if metric["name"] == "ThreadTime"))

    def keep(self, name: str) -> None:
        """All of the page, as PNG, among the screenshots."""
        KEPT.mkdir(parents=True, exist_ok=True)
        self.picture(KEPT / f"{name}.png")

    def picture(self, file: Path) -> None:
        """All of the page, as PNG."""
        import base64

        width, height, seen = self.run("const e = document.documentElement; return [e.clientWidth, e.scrollHeight, innerHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        # A page that fits into the window would be laid out anew for nothing, and be taken half drawn.
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": height > seen})
        file.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def started(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile, and no way to the network but to this machine."""
    chromium, chromedriver = needed()
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        driver.set_page_load_timeout(PATIENCE_S)
        driver.execute_cdp_cmd("Performance.enable", {})
        yield Browser(driver)
    finally:
        driver.quit()
