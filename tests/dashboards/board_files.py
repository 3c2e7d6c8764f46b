"""What is in dashboards/, as a test can use it: every query with its name, and Grafana's variables filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dashboards"
BOARDS: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}


def read(path: str) -> Any:
    return YAML(typ="safe").load((ROOT / path).read_text())


SOURCES: list[dict[str, Any]] = read("dashboards/provisioning/datasources/stores.yaml")["datasources"]
RULES: list[dict[str, Any]] = [rule for group in read("dashboards/provisioning/alerting/rules.yaml")["groups"] for rule in group["rules"]]


@dataclass(frozen=True)
class Query:
    """`kind`: `sql` or `promql`. `where` names the dashboard or rule, and the panel or variable."""

    where: str
    kind: str
    text: str


def queries(kind: str) -> list[Query]:
    return [query for query in _all() if query.kind == kind]


def query(where: str) -> str:
    (found,) = {each.text for each in _all() if each.where == where}
    return found


def _all() -> Iterator[Query]:
    for board in BOARDS.values():
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield _query(f"{board['title']}: {panel['title']}", target)
        for variable in board["templating"]["list"]:
            yield Query(f"{board['title']}: {variable['name']}", "sql", variable["query"])
    for rule in RULES:
        for step in rule["data"]:
            if step["datasourceUid"] != "__expr__":
                yield _query(f"alert: {rule['title']}", step["model"])


def _query(where: str, target: Mapping[str, Any]) -> Query:
    return Query(where, "sql", target["rawSql"]) if "rawSql" in target else Query(where, "promql", target["expr"])


def filled(sql: str, sweep: str, from_ms: int, to_ms: int, interval_ms: int = 1000) -> str:
    """The SQL as Grafana sends it to PostgreSQL."""
    quoted = "'" + sweep.replace("'", "''") + "'"
    values = {"${sweep:sqlstring}": quoted, "$__from": from_ms, "$__to": to_ms, "$__interval_ms": interval_ms}
    for variable, value in values.items():
        sql = sql.replace(variable, str(value))
    assert "$" not in sql, f"a variable that the test does not know: {sql}"
    return sql
