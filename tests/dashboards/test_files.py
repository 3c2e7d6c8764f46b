"""The dashboards, data sources and rules as files: whole, and of one piece."""

from __future__ import annotations

import re
from typing import Any

import pytest
from board_files import BOARDS, FOLDER, RULES, SOURCES, read

PANELS = [pytest.param(board, panel, id=f"{board['uid']}-{panel['id']}") for board in BOARDS.values() for panel in board["panels"]]
PROVISIONED = {source["uid"]: source["type"] for source in SOURCES}


def test_the_dashboards_are_there() -> None:
    assert set(BOARDS) == {"sweeps", "cluster"}
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_ids_and_places_of_their_own(name: str) -> None:
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 0
    taken = [cell for panel in panels for cell in cells(panel["gridPos"])]
    assert len(taken) == len(set(taken))
    assert all(0 <= column < 24 for column, _ in taken)


def cells(place: dict[str, int]) -> list[tuple[int, int]]:
    return [(column, row) for column in range(place["x"], place["x"] + place["w"]) for row in range(place["y"], place["y"] + place["h"])]


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_a_panel_says_what_it_shows_in_what_unit_and_from_where(board: dict[str, Any], panel: dict[str, Any]) -> None:
    assert panel["title"].strip()
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
        assert PROVISIONED[source["uid"]] == source["type"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    known = {variable["name"] for variable in board["templating"]["list"]}
    assert set(re.findall(r"\$(\w+)", panel["title"])) <= known


def test_variables_have_provisioned_sources() -> None:
    variables = [variable for board in BOARDS.values() for variable in board["templating"]["list"]]
    assert [(each["name"], PROVISIONED[each["datasource"]["uid"]]) for each in variables] == [("sweep", "grafana-postgresql-datasource")]


def test_rules_have_ids_of_their_own_and_provisioned_sources() -> None:
    assert len({rule["uid"] for rule in RULES}) == len(RULES) == 5
    for rule in RULES:
        query, condition = rule["data"]
        assert query["datasourceUid"] in PROVISIONED
        assert condition["datasourceUid"] == "__expr__"
        assert condition["model"]["expression"] == query["refId"]
        assert rule["condition"] == condition["refId"]
        assert [step["model"]["refId"] for step in rule["data"]] == [query["refId"], condition["refId"]]


def test_rules_have_no_dollar_sign() -> None:
    """Grafana puts a variable of its environment in its place, which is nothing."""
    assert "$" not in (FOLDER / "provisioning" / "alerting" / "rules.yaml").read_text()


def test_no_password_is_in_the_files() -> None:
    """It is read from the secret that compose.yaml gives to Grafana."""
    (ledger,) = (source for source in SOURCES if source["uid"] == "ledger")
    assert ledger["secureJsonData"] == {"password": "$__file{/run/secrets/database_grafana_password}"}
    compose = read("compose.yaml")["services"]
    assert {"grafana_password", "database_grafana_password"} == set(compose["grafana"]["secrets"])
    (job,) = (job for job in read("compose/prometheus.yaml")["scrape_configs"] if job["job_name"] == "mlflow")
    assert job["basic_auth"] == {"username": "hpsearch", "password_file": "/run/secrets/mlflow_password"}
    assert compose["prometheus"]["secrets"] == ["mlflow_password"]


def test_grafana_leaves_the_data_sources_of_its_image_alone() -> None:
    """It would unload those that have a newer release, and could not write that into an image that is only read (grafana#132528)."""
    grafana = read("compose.yaml")["services"]["grafana"]
    assert grafana["environment"]["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"


def test_what_the_sources_and_prometheus_name_can_be_reached() -> None:
    services = read("compose.yaml")["services"]

    def meet(one: str, other: str) -> bool:
        return bool(set(services[one]["networks"]) & set(services[other]["networks"]))

    for source in SOURCES:
        assert meet("grafana", re.sub(r"^https?://|:\d+$", "", source["url"]))
    assert all(meet("prometheus", name) for name in ("mlflow", "head", "worker"))
    assert "./dashboards:/etc/dashboards:ro" in services["grafana"]["volumes"]
    assert services["grafana"]["environment"]["GF_PATHS_PROVISIONING"] == "/etc/dashboards/provisioning"
