"""What `validate` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from hpsearch.cli.session import Session
from hpsearch.cli.tables import plain_table
from hpsearch.cli.words import clean, number
from hpsearch.space import Categorical
from hpsearch.trial import Json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hpsearch.preview import Preview, Sample
    from hpsearch.space import Parameter, SearchSpace
    from hpsearch.tasks.label_errors import LabelCheck


_SUSPECTS = 10
"""So many are shown; `--json` has all."""


def show_preview(session: Session, seen: Preview, checked: LabelCheck | None) -> None:
    """The space as a table, then the samples, then what was found in the data."""
    config = seen.config
    session.show(Text.assemble((clean(config.name), "bold"), f": {_task(seen)}"))
    session.show(f"objective: {', '.join(f'{o.goal} {o.metric}' for o in config.objectives)}")
    session.show(f"search: {seen.search}; {_size(config.space)}", "")
    session.show(_space_table(config.space), "")
    session.show(_samples_table(seen), "")
    for warning in seen.warnings:
        session.show(Text(f"warning: {clean(warning)}", style="yellow"), "")
    if checked is not None:
        session.show(*_suspects(checked), "")
    session.show(Text("the file is good; nothing was run", style="green"))
    session.result(
        {
            "sweep": config.name,
            "valid": True,
            "space": {name: _describe(p) for name, p in config.space.parameters.items()} | dict(config.space.fixed),
            "size": config.space.size(),
            "samples": [_sample_json(sample) for sample in seen.samples],
            "warnings": list(seen.warnings),
        }
        | ({} if checked is None else {"label_errors": _label_errors_json(checked)})
    )


def _task(seen: Preview) -> str:
    task = seen.config.task
    data = task.data if isinstance(task.data, str) else ""
    return " ".join(clean(part) for part in (task.kind, data, task.model, task.target, *(task.run or ())) if part)


def _size(space: SearchSpace) -> str:
    size = space.size()
    return "a space without end" if size is None else f"{size} configurations"


def _space_table(space: SearchSpace) -> Table:
    table = plain_table("hyperparameter", "values", "scale", "only when")
    for name, parameter in space.parameters.items():
        table.add_row(Text(clean(name), style="bold"), _describe(parameter), _scale(parameter), _condition(parameter))
    for name, value in space.fixed.items():
        table.add_row(Text(clean(name)), number(value), "fixed", "", style="dim")
    return table


def _describe(parameter: Parameter) -> str:
    if isinstance(parameter, Categorical):
        return ", ".join(number(value) for value in parameter.values)
    return f"{number(parameter.min)} to {number(parameter.max)}"


def _scale(parameter: Parameter) -> str:
    if isinstance(parameter, Categorical):
        return "one of"
    step = f", step {number(parameter.step)}" if parameter.step not in (None, 1) else ""
    return ("log" if parameter.log else "linear") + step


def _condition(parameter: Parameter) -> str:
    return " and ".join(f"{clean(parent)} is {' or '.join(number(v) for v in values)}" for parent, values in parameter.when.items())


def _samples_table(seen: Preview) -> Table:
    names = list(dict.fromkeys(name for sample in seen.samples for name in sample.parameters if name not in seen.config.space.fixed))
    table = plain_table("it would try", *(str(i + 1) for i in range(len(seen.samples))))
    for name in names:
        table.add_row(clean(name), *(number(s.parameters[name]) if name in s.parameters else "–" for s in seen.samples))
    for metric in dict.fromkeys(metric for sample in seen.samples for metric in sample.metrics):
        table.add_row(Text(f"({clean(metric)})", style="dim"), *(_metric(sample, metric) for sample in seen.samples))
    return table


def _metric(sample: Sample, metric: str) -> Text:
    text = Text(f"{sample.metrics.get(metric, 0):,.0f}", style="dim")
    return text.append(" (infeasible)", style="yellow") if sample.broken else text


def _suspects(checked: LabelCheck) -> list[RenderableType]:
    """The count, and the first of them."""
    of = f"{checked.rows:,} rows"
    if checked.checked < checked.rows:
        of = f"{checked.checked:,} of {of}, drawn at random"
    if not checked.suspects:
        return [f"labels: none is doubtful among {of}"]
    table = plain_table("", "label", "more likely", "probability")
    for suspect, place in zip(checked.suspects[:_SUSPECTS], checked.places, strict=False):
        table.add_row(clean(place), number(suspect.given), number(suspect.likely), f"{suspect.probability:.2f}")
    found = Text(f"labels: {len(checked.suspects):,} are probably wrong among {of}; look at them before you change any", style="yellow")
    return [found, table, *([f"and {more:,} more; --json lists all"] if (more := len(checked.suspects) - _SUSPECTS) > 0 else [])]


def _label_errors_json(checked: LabelCheck) -> dict[str, Json]:
    rows = [
        {"row": s.row + 1, "place": place, "label": s.given, "likely": s.likely, "probability": s.probability}
        for s, place in zip(checked.suspects, checked.places, strict=True)
    ]
    return {"checked": checked.checked, "rows": checked.rows, "found": rows}


def _sample_json(sample: Sample) -> dict[str, Json]:
    return {"params": dict(sample.parameters), "metrics": dict(sample.metrics), "infeasible": sample.broken}
