"""The view of a sweep that links open in MLflow's UI: its trials, the best first, with the columns and the charts that matter.

MLflow keeps a view as a tag of the experiment, `mlflow.sharedViewState.<key>`, and a link opens it with `viewStateShareKey=<key>`.
What is in it was read from the UI of MLflow 3.17: see `docs/decisions/shared-view.md`. Nothing here knows MLflow's client.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

from hpsearch.ledger.face import Sweep
from hpsearch.tracking.keys import SWEEP_KEY, fitting_name, sweep_key
from hpsearch.tracking.picture import objectives_of, value_key
from hpsearch.trial import Json

TAG = "mlflow.sharedViewState."
MAX_COLUMNS = 40
"""Parameters that have a column: nobody reads a table of more, and MLflow's tags are limited."""
MAX_AXES = 12
"""Parameters in the parallel coordinates."""
MAX_OBJECTIVES = 4
_MAX_CHARACTERS = 1_200
"""Of all names of parameters together, and of all objectives': a view says them up to six times, and a tag of an experiment has at most
20,000 characters."""

_SECTION = "hpsearch"
_OPEN = {"display": True, "isReordered": False, "deleted": False, "isGenerated": False}
_CARD = {"metricSectionId": _SECTION, "deleted": False, "isGenerated": False, "runsCountToCompare": 10}
_WIDEST = 260
_NARROWEST = 100


def view_key(sweep: Sweep) -> str:
    """What a link calls the sweep's view: letters and digits, the same for ever, and another for each sweep of an experiment."""
    return f"hpsearch{hashlib.sha256(sweep_key(sweep).encode()).hexdigest()[:12]}"


def view_tag(sweep: Sweep) -> str:
    """The experiment's tag that holds the view."""
    return TAG + view_key(sweep)


def view_value(sweep: Sweep) -> str:
    """What the tag should say: a view with a name, which the UI also lists among the experiment's saved views."""
    state = json.dumps(view_state(sweep), ensure_ascii=False)
    named = {"name": sweep.name, "createdAt": sweep.created_ms, "updatedAt": sweep.created_ms, "state": state}
    return json.dumps(named, ensure_ascii=False)


def view_state(sweep: Sweep) -> dict[str, Json]:
    """The view's state as the UI reads it, from the sweep's configuration alone."""
    objectives, space = objectives_of(sweep.config), sweep.config["space"]
    metrics = list(_known([o.metric for o in objectives], MAX_OBJECTIVES))
    values = list(_known([value_key(o) for o in objectives], MAX_OBJECTIVES))
    columns = _columns(list(dict.fromkeys([*values, *metrics])), list(_known(varied(space), MAX_COLUMNS)))
    return {
        "searchFilter": f"tags.`{SWEEP_KEY}` = '{sweep_key(sweep)}' AND tags.`hpsearch.kind` != 'retest'",
        "orderByKey": f"metrics.`{values[0]}`",
        "orderByAsc": objectives[0].goal == "minimize",
        "selectedColumns": list(columns),
        "columnOrder": ["attributes.`Run Name`", *columns, "duration", "runDateAndNestInfo"],
        "columnWidths": columns,
        "runsHiddenMode": "FIRST_10_RUNS",
        "compareRunSections": [
            {"uuid": _SECTION, "name": "Search", **_OPEN, "columns": 1, "cardHeight": 420},
            {"uuid": "metrics", "name": "Model metrics", **_OPEN},
            {"uuid": "system", "name": "System metrics", **_OPEN, "display": False},
        ],
        "compareRunCharts": [
            _parallel(values, list(_known(axes(space), MAX_AXES))),
            *(_curves(n, metric) for n, metric in enumerate(metrics)),
        ],
    }


def varied(space: Mapping[str, Json]) -> list[str]:
    """The parameters that differ from trial to trial, in the order of the sweep file."""
    return [name for name, value in space.items() if isinstance(value, Mapping)]


def axes(space: Mapping[str, Json]) -> list[str]:
    """Those that every trial has: a run without one of the axes is not drawn."""
    return [name for name in varied(space) if "when" not in space[name]]


def _known(names: Sequence[str], most: int) -> Iterator[str]:
    """What MLflow calls the first of them."""
    characters = 0
    for name in map(fitting_name, names[:most]):
        if (characters := characters + len(name)) > _MAX_CHARACTERS:
            return
        yield name


def _columns(metrics: Sequence[str], parameters: Sequence[str]) -> dict[str, int]:
    """Columns with their widths in pixels."""
    return {
        **{f"metrics.`{name}`": _width(name) for name in metrics},
        "tags.`hpsearch.state`": 140,
        **{f"params.`{name}`": _width(name) for name in parameters},
        "tags.`hpsearch.diagnosis`": 170,
        "tags.`hpsearch.reason`": 480,
    }


def _width(name: str) -> int:
    return min(_WIDEST, max(_NARROWEST, 40 + 8 * len(name)))


def _parallel(metrics: Sequence[str], parameters: Sequence[str]) -> dict[str, Json]:
    """Lines have their colour from the last axis: the objective that trials are sorted by."""
    return {
        **_CARD, "type": "PARALLEL", "uuid": "hpsearch-parallel", "showAllRuns": True, "selectedParams": list(parameters),
        "selectedMetrics": list(reversed(metrics)),
    }  # fmt: skip


def _curves(number: int, metric: str) -> dict[str, Json]:
    """The learning curves of the runs that are shown: at first the ten that are on top."""
    return {
        **_CARD, "type": "LINE", "uuid": f"hpsearch-curves-{number}", "metricKey": metric, "selectedMetricKeys": [metric],
        "lineSmoothness": 0, "scaleType": "linear", "xAxisScaleType": "linear", "xAxisKey": "step", "selectedXAxisMetricKey": "",
        "range": {}, "yAxisKey": "metric", "yAxisExpressions": [], "ignoreOutliers": False, "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }  # fmt: skip
