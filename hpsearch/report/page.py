"""A sweep as one HTML page."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hpsearch.config.home import Home, mask
from hpsearch.errors import InputError
from hpsearch.ledger.face import Ledger
from hpsearch.report import contour, curves, front, mistakes, parameters, progress, story, table, training, workers
from hpsearch.report.facts import Facts
from hpsearch.report.plot import DARK, STATE_COLOURS, Plot
from hpsearch.search.importance import FEWEST_TRIALS, importance
from hpsearch.tracking.links import server_link
from hpsearch.trial import Json
from hpsearch.words import day, duration, number

FOLDER = Path(__file__).parent

_SECTIONS = {
    "result": "Result",
    "progress": "Progress",
    "mattered": "What mattered",
    "training": "Best training",
    "workers": "Workers",
    "trials": "Trials",
    "file": "Sweep file",
}


def write_report(ledger: Ledger, home: Home, name: str, output: Path | None = None, renew_s: int | None = None) -> Path:
    """Write the page of the sweep `name`, in one step: who reads it meanwhile has the old one or the new one.

    Args:
        output: where to; by default `<home>/reports/<name>.html`.
        renew_s: the page loads itself anew so often, in seconds, if the sweep runs.

    Raises:
        InputError: there is no such sweep, or the file cannot be written.
    """
    facts = Facts.read(ledger, name)
    path = home.report_of(name) if output is None else output
    link = server_link(home.tracking_uri, facts.seen.projection.experiment_id, facts.seen.sweep)
    replace_file(path, html_of(facts, home.outputs / name, renew_s if facts.is_running else None, link))
    return path


def html_of(facts: Facts, outputs: Path, renew_s: int | None = None, link: str | None = None) -> str:
    """The page. `outputs`: the folder of what the sweep's trials have left; `link`: to the trials in MLflow."""
    plots = plots_of(facts, outputs)
    found = workers.failures(facts)
    heads, rows = story.compared(facts)
    content = {
        "facts": facts,
        "verdict": story.verdict(facts),
        "tiles": list(story.tiles(facts)),
        "asked": story.asked(facts),
        "heads": heads,
        "rows": rows,
        "states": story.states(facts),
        "plots": plots,
        "failures": found[:50],
        "findings": training.findings(facts),
        "pictures": training.pictures(facts, outputs),
        "fewest": FEWEST_TRIALS,
        "begun": day(facts.seen.sweep.created_ms),
        "config": mask(json.dumps(facts.seen.sweep.config, indent=2, ensure_ascii=False)),
        "renew_s": renew_s,
        "link": link,
    }
    content["sections"] = [(key, title) for key, title in _SECTIONS.items() if _has(key, content)]
    return render("report.html", facts.name, content, plots, {"trials": table.trial_table(facts)}, renew_s)


def plots_of(facts: Facts, outputs: Path) -> dict[str, list[Plot]]:
    """The figures by section. `outputs`: as for `html_of`."""
    shares = importance(facts.seen.config.space, facts.seen.history)
    return {
        "front": list(front.front_plots(facts)),
        "progress": list(progress.progress_plots(facts)),
        "curves": list(curves.curve_plots(facts)),
        "importance": list(parameters.importance_plot(shares, several=len(facts.seen.history.objectives) > 1)),
        "contour": list(contour.contour_plot(facts, shares)),
        "parallel": list(parameters.parallel_plot(facts, shares)),
        "slices": list(parameters.slice_plots(facts, shares)),
        "training": list(training.training_plots(facts)),
        "mistakes": list(mistakes.mistakes_plots(facts, outputs)),
        "timeline": list(workers.timeline_plot(facts)),
        "failures": list(workers.failures_plot(workers.failures(facts))),
    }


def _has(section: str, content: Mapping[str, Any]) -> bool:
    plots = content["plots"]
    wanted = {
        "progress": bool(plots["progress"] or plots["curves"]),
        "mattered": bool(plots["parallel"] or plots["slices"]),
        "training": bool(plots["training"] or plots["mistakes"] or content["findings"] or content["pictures"]),
        "workers": bool(plots["timeline"] or content["failures"]),
    }
    return wanted.get(section, True)


def render(
    template: str,
    title: str,
    content: Mapping[str, Any],
    plots: Mapping[str, Sequence[Plot]],
    data: Mapping[str, Json],
    renew_s: int | None = None,
) -> str:
    """A template with its figures, its data, its style and its scripts in it; everything in `content` is escaped."""
    import jinja2
    from markupsafe import Markup

    scripts = _scripts()
    drawn = {plot.key: {"data": plot.data, "layout": plot.layout} for group in plots.values() for plot in group}
    whole = {"page": {"plots": drawn, "dark": DARK, "renew_s": renew_s}, **data}
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template).render(
        **content,
        number=number,
        duration=duration,
        title=title,
        policy=_policy(scripts),
        css=Markup("".join(_style())),
        data={key: Markup(script_json(value)) for key, value in whole.items()},
        scripts=[Markup(script) for script in scripts],
        version=version("hpsearch"),
        written=day(time.time_ns() // 1_000_000),
    )


@lru_cache
def _scripts() -> tuple[str, str]:
    """Plotly's and the page's own."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs(), (FOLDER / "page.js").read_text(encoding="utf-8")


def _style() -> Iterator[str]:
    yield (FOLDER / "page.css").read_text(encoding="utf-8")
    for rule, colours in (("", STATE_COLOURS), ("@media (prefers-color-scheme: dark)", {s: DARK[c] for s, c in STATE_COLOURS.items()})):
        own = " ".join(f"--{state}: {colour};" for state, colour in colours.items())
        yield f"{rule} {{ :root {{ {own} }} }}\n" if rule else f":root {{ {own} }}\n"


def _policy(scripts: Sequence[str]) -> str:
    """No network at all, and no script but these: one that got in with somebody's text would not run."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts)
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"


def script_json(value: Json) -> str:
    """JSON that can stand in a script element: nothing in it ends that, or begins another."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return (
        text.replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )


def replace_file(path: Path, text: str) -> None:
    """Write `text` under a temporary name beside `path`, then rename it. Raises `InputError` where that cannot be."""
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8", errors="replace")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InputError(f"cannot write {path}: {error.strerror}; name another file with --output FILE") from error
