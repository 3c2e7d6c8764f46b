"""The report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sweeps
from browser import Browser, started

from hpsearch.report import compare, page
from hpsearch.report.facts import Facts

pytestmark = [pytest.mark.slow, pytest.mark.ui, pytest.mark.timeout(400)]

READY = "return document.documentElement.dataset.ready === 'yes'"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(autouse=True)
def silence(browser: Browser) -> Iterator[None]:
    """No test ends with an error in the console, or having asked anybody."""
    browser.look()
    browser.forget()
    yield
    assert browser.hear() == []
    assert [url for url in browser.asked if not url.startswith(("file:", "data:", "blob:", "chrome:"))] == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty trials."""
    return written(tmp_path_factory.mktemp("small"), 60)


def written(folder: Path, trials: int, **changes: object) -> Path:
    ledger, clock = sweeps.a_ledger()
    sweeps.fill(ledger, clock, trials, **changes)
    path = folder / "report.html"
    path.write_text(page.html_of(Facts.read(ledger, "digits"), folder / "outputs"))
    return path


def rows(browser: Browser) -> list[list[str]]:
    return browser.run("return [...document.querySelector('#trials-table').tBodies[0].rows].map(r => [...r.cells].map(c => c.textContent))")


def heads(browser: Browser) -> list[str]:
    return browser.run("return [...document.querySelectorAll('#trials-table th')].map(h => h.textContent)")


def test_every_plot_is_drawn_without_scrolling(browser: Browser, small: Path) -> None:
    browser.open(small.as_uri())
    browser.wait(READY)
    plots = browser.run("return [...document.querySelectorAll('.plot')].map(p => [p.id, p.querySelectorAll('.main-svg').length])")
    expected = browser.run("return Object.keys(JSON.parse(document.getElementById('data-page').textContent).plots)")
    assert [name for name, _ in plots] == [f"plot-{key}" for key in expected]
    assert len(plots) >= 14
    assert [name for name, drawings in plots if not drawings] == []
    marks = browser.run(
        "return [...document.querySelectorAll('.plot')].map(p => "
        "[p.id, p.querySelectorAll('.trace path, .trace .point, .contourlayer path, .heatmaplayer image').length])"
    )
    assert [name for name, count in marks if not count] == []
    assert browser.run("return scrollY") == 0
    browser.keep("report-light")


def test_the_table_sorts_by_a_click_and_says_so(browser: Browser, small: Path) -> None:
    browser.open(small.as_uri())
    column = heads(browser).index("val_accuracy")
    button = f"#trials-table th:nth-child({column + 1})"
    assert [row[0] for row in rows(browser)] == [str(n) for n in range(60)]
    browser.press(f"{button} button")
    down = [float(row[column]) for row in rows(browser)]
    assert down == sorted(down, reverse=True)
    assert browser.run(f"return document.querySelector('{button}').ariaSort") == "descending"
    browser.press(f"{button} button")
    assert [float(row[column]) for row in rows(browser)] == sorted(down)
    assert browser.run("return [...document.querySelectorAll('#trials-table th')].filter(h => h.ariaSort !== 'none').length") == 1
    momentum = heads(browser).index("momentum")
    browser.press(f"#trials-table th:nth-child({momentum + 1}) button")
    values = [row[momentum] for row in rows(browser)]
    known = [float(value) for value in values if value != "–"]
    assert known == sorted(known)
    assert set(values[len(known) :]) == {"–"}


def test_the_filter_takes_words(browser: Browser, small: Path) -> None:
    browser.open(small.as_uri())
    every = rows(browser)
    from selenium.webdriver.common.by import By

    browser.driver.find_element(By.ID, "trials-filter").send_keys("Pruned SGD")
    expected = [row for row in every if "pruned" in row and "sgd" in row]
    assert 0 < len(expected) < 60
    assert rows(browser) == expected
    assert browser.run("return document.querySelector('#trials-told').textContent") == f"{len(expected)} of 60 trials"


def test_it_can_be_used_by_keyboard_alone(browser: Browser, small: Path) -> None:
    """The first stop skips to the results; a column is sorted and a trial looked for without a mouse."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.open(small.as_uri())
    keys = ActionChains(browser.driver)
    keys.send_keys(Keys.TAB).perform()
    assert browser.run("return document.activeElement.className") == "skip"
    assert browser.run("return document.activeElement.getBoundingClientRect().left") >= 0
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    assert browser.run("return document.activeElement.id") == "main"
    browser.run("document.querySelector('#trials-filter').focus()")
    seen = []
    for _ in range(3):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        seen.append(browser.run("return document.activeElement.textContent"))
    assert seen[1:] == ["trial", "kind"]
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    assert rows(browser)[0][1] == "baseline"
    assert browser.run("return document.querySelector('#trials-table th:nth-child(2)').ariaSort") == "ascending"


def test_everything_that_takes_input_or_scrolls_has_a_name(browser: Browser, small: Path) -> None:
    browser.open(small.as_uri())
    browser.wait(READY)
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    wanted = {"button", "link", "searchbox", "region", "img", "figure", "textbox", "checkbox"}
    named = [
        (n["role"]["value"], n.get("name", {}).get("value")) for n in tree if n.get("role", {}).get("value") in wanted and not n["ignored"]
    ]
    assert {role for role, _ in named} >= {"button", "link", "searchbox", "region", "figure"}
    assert [pair for pair in named if not pair[1]] == []


def luminance(colour: str) -> float:
    """Of `rgb(1, 2, 3)`, as WCAG 2.2 defines it."""
    parts = [int(float(part)) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_is_readable_in_light_and_dark(browser: Browser, small: Path, dark: bool) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3), in the page and in the figures, which follow the system when it changes."""
    browser.look(dark=not dark)
    browser.open(small.as_uri())
    browser.wait(READY)
    browser.look(dark=dark)
    word = "dark" if dark else "light"
    browser.wait(f"return [...document.querySelectorAll('.plot')].every(p => p.dataset.drawn === '{word}')")
    card = browser.run("return getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert (luminance(card) < 0.1) == dark
    inks = browser.run("""
        const of = (selector, property) => [...document.querySelectorAll(selector)].map(e => getComputedStyle(e)[property]);
        return [...new Set([...of('h2, h3, p, td, th, dd, dt, li, label, summary, .card a', 'color'), ...of('.plot text', 'fill')])]""")
    assert len(inks) >= 2
    assert [ink for ink in inks if contrast(ink, card) < 4.5] == []
    if dark:
        browser.keep("report-dark")


def test_a_phone_scrolls_down_alone(browser: Browser, small: Path) -> None:
    browser.look(width=390)
    browser.open(small.as_uri())
    browser.wait(READY)
    assert browser.run("return innerWidth") == 390
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    wide = browser.run("""
        const beyond = (e) => !e.closest('.sideways, nav, pre') && e.getBoundingClientRect().right > 391;
        return [...document.querySelectorAll('main *, header *')].filter(beyond).map(e => e.className)""")
    assert wide == []
    browser.keep("report-phone")


def test_two_thousand_trials_open_in_three_seconds(browser: Browser, tmp_path: Path) -> None:
    """Until it can be read and its first figures are drawn, in a browser that has seen no page before."""
    path = written(tmp_path, 2_000)
    assert path.stat().st_size < 10e6
    took = [opened_in_s(path, tmp_path / f"profile-{n}") for n in range(3)]  # a crowded machine makes all caches cold again and again
    assert min(took) < 3, took
    browser.open(path.as_uri())
    browser.wait(READY)
    assert len(rows(browser)) == 100
    browser.press("#trials-more")
    assert len(rows(browser)) == 2_000
    browser.keep("report-2000")


def opened_in_s(path: Path, profile: Path) -> float:
    with started(profile) as fresh:
        fresh.open(path.as_uri())
        fresh.wait("return document.querySelector('#plot-best-over-trials-0').dataset.drawn && document.querySelector('tbody td')")
        return fresh.computed_s()


def test_a_comparison_is_drawn(browser: Browser, tmp_path: Path) -> None:
    ledger, clock = sweeps.a_ledger()
    for n, name in enumerate(["first", "second", "third"]):
        sweeps.fill(ledger, clock, 20 + 10 * n, name, seed=n)
    path = tmp_path / "compare.html"
    path.write_text(compare.html_of(compare.compare(ledger, ["first", "second", "third"])))
    browser.open(path.as_uri())
    browser.wait(READY)
    assert browser.run("return [...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('.scatterlayer .trace').length)") == [
        3,
        3,
    ]
    assert len(browser.run("return [...document.querySelectorAll('#sweeps tbody tr')].map(r => r.textContent)")) == 3
    browser.keep("compare")


def test_what_users_write_is_text_in_the_browser_too(browser: Browser, tmp_path: Path) -> None:
    """An image in a name would be an element, a script would have run, an entity would be decoded: none is."""
    word = '<img src="x" onerror="window.pwned=1"></script><script>window.pwned=1</script><b>&lt;b&gt;</b>'
    ledger, clock = sweeps.a_ledger()
    name = word.replace("/", "|")
    space = {"choice": {"values": [word, "plain"]}, "x": {"min": 0.0, "max": 1.0}}
    sweep = ledger.create(name, sweeps.config(name, objective={"metric": word, "goal": "maximize"}, space=space, baseline=[]), [])
    lease = ledger.acquire(sweep.id, "controller", "somebody", 3600)
    for number in range(12):
        parameters = {"choice": word if number % 2 else "plain", "x": number / 20}
        ledger.commit(lease, sweeps.trial(number, 0.5, metrics={word: number / 10}, parameters=parameters, reason=word, place=word))
        clock.now_ms += 1000
    path = tmp_path / "report.html"
    path.write_text(page.html_of(Facts.read(ledger, name), tmp_path))
    browser.open(path.as_uri())
    browser.wait(READY)
    assert browser.run("return [window.pwned ?? null, document.querySelectorAll('main img').length]") == [None, 0]
    assert name in browser.run("return document.querySelector('h1').textContent")
    assert any(word in cell for row in rows(browser) for cell in row)
    axis = browser.run("return document.querySelector('#plot-slice-0 .xtick text, #plot-slice-1 .xtick text').textContent")
    drawn = browser.run("return [...document.querySelectorAll('.plot text')].map(t => t.textContent).join('\\n')")
    assert axis
    assert '<img src="x" onerr' in drawn
    assert browser.run("return document.querySelectorAll('.plot a, .plot tspan[style*=bold]').length") == 0
