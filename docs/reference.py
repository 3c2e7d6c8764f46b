"""Writes docs/reference.md from the tables of models, trainings and tasks: `python docs/reference.py`. A test holds it to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hpsearch.models import MODELS
from hpsearch.models.hyperparameter import Hyperparameter
from hpsearch.tasks import TASKS, TaskEntry
from hpsearch.training.diagnostics_plan import DIAGNOSTIC_METRICS
from hpsearch.training.hyperparameters import TRAINING_HYPERPARAMETERS

PAGE = Path(__file__).with_suffix(".md")

HEAD = """# What a sweep file can name

Tasks with their data and metrics, model families and trainings with their hyperparameters. Each may stand in `space`: varied, or
fixed to a value. What is not named there has its default. This page is made from the program's own tables (`python docs/reference.py`).
"""

DIAGNOSTICS = """## Diagnostics

Besides its task's metrics each training reports these, after each epoch. They cannot be objectives;
[diagnostics.md](diagnostics.md) says what is read from them. Of a GAN they are the generator's; a recurrent network has no `dead_units`.
"""


def page() -> str:
    """The whole of it."""
    return "\n".join([HEAD, *_tasks(), *_models(), *_training()]) + "\n"


def _tasks() -> Iterator[str]:
    yield "## Tasks\n"
    for kind, entry in TASKS.items():
        yield from _own_code(kind) if entry.is_own_code else _task(kind, entry)


def _own_code(kind: str) -> Iterator[str]:
    yield f"### {kind}\n\nAny metric, any hyperparameter: [own-code.md](own-code.md).\n"


def _task(kind: str, entry: TaskEntry) -> Iterator[str]:
    yield f"### {kind}\n"
    rows = {
        "models": ", ".join(f"[{model}](#{model})" for model in entry.models),
        "built-in data": ", ".join(entry.data),
        "files of one's own": ", ".join(entry.formats),
        "metrics": ", ".join(f"{metric} ({goal})" for metric, goal in entry.metrics.items()),
    }
    shown = [f"- {name}: {value}" for name, value in rows.items() if value]
    yield "\n".join(shown) + "\n"
    if entry.hyperparameters:
        yield from _table(entry.hyperparameters)


def _models() -> Iterator[str]:
    yield "## Models\n"
    for name, entry in MODELS.items():
        yield f"### {name}\n\nTakes {', '.join(entry.inputs)}.\n"
        yield from _table(entry.hyperparameters)


def _training() -> Iterator[str]:
    yield "## Every training\n"
    yield from _table(TRAINING_HYPERPARAMETERS)
    yield DIAGNOSTICS
    yield "| metric | what it is |\n| --- | --- |"
    yield from (f"| `{name}` | {doc} |" for name, doc in DIAGNOSTIC_METRICS.items())


def _table(hyperparameters: Iterable[Hyperparameter]) -> Iterator[str]:
    yield "| name | default | may be | what it is |\n| --- | --- | --- | --- |"
    for each in hyperparameters:
        ways = ", or ".join(map(str, each.allowed))
        only = "".join(f" Only with {parent} {' or '.join(map(str, values))}." for parent, values in each.only_with.items())
        yield f"| `{each.name}` | {_shown(each.default)} | {ways} | {each.doc}{only} |"
    yield ""


def _shown(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
