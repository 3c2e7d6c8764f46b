"""Takes the guides' pictures of MLflow's UI, docs/images/mlflow-*.png, after a real sweep: `python docs/screenshots.py`.

It takes a few minutes, and Chromium with its driver.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
MAX_BYTES = 300_000
sys.path.insert(0, str(ROOT / "tests" / "ui"))

from browser import Browser, started  # noqa: E402
from serving import NO_ASSISTANT, said, served  # noqa: E402


def main() -> None:
    """Runs the sweep in a folder of its own, and opens what people open."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = said(Path(folder), "run", str(ROOT / "search_spaces" / "digits_mlp.yaml"), patience_s=1_800)
        with served(Path(folder)) as url, started(Path(folder, "profile")) as browser:
            browser.before_each_page(NO_ASSISTANT)
            browser.look(width=1440)
            take(browser, url.partition("/#/")[0], sweep["mlflow"])


def take(browser: Browser, base: str, sweep: dict[str, Any]) -> None:
    link = f"{base}/#/{sweep['link'].partition('/#/')[2]}"
    open_anew(browser, link, "document.querySelectorAll('.ag-center-cols-container .ag-row').length > 15")
    browser.press("[data-component-id='mlflow.experiment_page.shared_view.dismiss']")
    keep(browser, "mlflow-trials")
    lines = "document.querySelector('.parcoords canvas') && document.querySelectorAll('.scatterlayer .trace').length >= 10"
    open_anew(browser, f"{link}&compareRunsMode=CHART", lines)
    browser.press("[data-component-id='mlflow.experiment_page.shared_view.dismiss']")
    browser.wait(f"return {lines}")
    keep(browser, "mlflow-charts")
    run = f"{base}/#/experiments/{sweep['experiment_id']}/runs/{sweep['run_id']}?workflowType=machine_learning"
    more = "[data-testid='show-comment-toggle']"
    open_anew(browser, run, f"""document.querySelector("{more}") && document.body.textContent.includes('trial 59')""")
    browser.press(more)
    keep(browser, "mlflow-note")


def open_anew(browser: Browser, url: str, until: str) -> None:
    browser.open("about:blank")
    browser.open(url)
    browser.wait(f"return {until}")


def keep(browser: Browser, name: str) -> None:
    """Once two pictures in a row are the same: what MLflow still draws is drawn. 256 colours are enough, and half the bytes."""
    file, before = IMAGES / f"{name}.png", b""
    while True:
        browser.picture(file)
        if file.read_bytes() == before:
            break
        before = file.read_bytes()
    with Image.open(file) as picture:
        picture.quantize(256).save(file, optimize=True)
    assert file.stat().st_size < MAX_BYTES, f"{file} has {file.stat().st_size} bytes"


if __name__ == "__main__":
    main()
