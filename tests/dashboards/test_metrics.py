"""Every Prometheus expression names metrics, labels and values that a running Ray and MLflow export, scraped as Prometheus is told to.

Three kinds are exported only where there is something to count, and are compared with Ray's own list of what it exports: what a GPU does
(there is none here), and nodes that are idle, pending or failed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from board_files import Query, queries, read
from compose_file import ROOT, Services, free_port
from prometheus_client.parser import text_string_to_metric_families

LOAD = Path(__file__).with_name("load.py")
RARE = re.compile(r"ray_(node_gpus|node_gram|cluster_(idle|pending|failed)_nodes)")
FUNCTIONS = {"sum", "max", "by", "rate", "histogram_quantile", "or", "vector"}


def on_a_cluster(test: Any) -> Any:
    for mark in (pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(600)):
        test = mark(test)
    return test


class Selector(NamedTuple):
    """A metric's name with what it asks of its labels: (label, operator, value)."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


def selectors(expression: str) -> list[Selector]:
    """Words that are neither functions nor labels of `by` are metrics."""
    found = []
    text = re.sub(r"\bby \([^)]*\)|\[\w+\]", " ", expression)
    for match in re.finditer(r"([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})?", text):
        if match[1] not in FUNCTIONS:
            found.append(Selector(match[1], tuple(re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', match[2] or ""))))
    return found


def grouped(expression: str) -> set[str]:
    return {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")}


def test_selectors_are_read() -> None:
    text = 'sum by (a, b) (rate(x_total{status=~"5.."}[5m])) / sum(y) or vector(0)'
    assert selectors(text) == [Selector("x_total", (("status", "=~", "5.."),)), Selector("y", ())]
    assert grouped(text) == {"a", "b"}


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """MLflow and the head of compose.yaml, by their own commands; the head has a CPU, and MLflow's store is a file."""
    folder = Path(tempfile.mkdtemp(prefix="hpd-"))  # short: Ray's sockets are in it, and their names have at most 107 bytes
    subprocess.run([sys.executable, ROOT / "compose" / "make_secrets.py", folder / "secrets"], check=True, capture_output=True)
    store = folder / "secrets" / "mlflow_store"
    store.unlink()
    store.write_text(f"sqlite:///{folder}/mlflow.db")
    services = Services(folder)
    try:
        services.start("mlflow")
        services.start("head", [*services.argv("head"), "--num-cpus", "1", "--dashboard-agent-listen-port", free_port()])
        for name in ("mlflow", "head"):
            wait(lambda name=name: services.is_healthy(name), f"{name}: {services.log(name)}")
        yield services
    finally:
        services.stop()
        shutil.rmtree(folder, ignore_errors=True)


def wait(is_so: Any, what: str, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(1)


@dataclass
class Scraped:
    """Label sets of each metric's samples, by the sample's name."""

    samples: dict[str, list[Mapping[str, str]]]

    def matching(self, selector: Selector) -> list[Mapping[str, str]]:
        return [labels for labels in self.samples.get(selector.name, []) if all(fits(labels, *each) for each in selector.matchers)]


def fits(labels: Mapping[str, str], label: str, operator: str, value: str) -> bool:
    if label not in labels:
        return False
    is_equal = re.fullmatch(value, labels[label]) is not None if "~" in operator else labels[label] == value
    return is_equal != operator.startswith("!")


def scrape(services: Services, job: str) -> Scraped:
    """One target of a job of compose/prometheus.yaml, at its port and with its credentials."""
    (config,) = (each for each in read("compose/prometheus.yaml")["scrape_configs"] if each["job_name"] == job)
    if job == "ray":
        target, auth = f"127.0.0.1:{services.translate('head', str(config['dns_sd_configs'][0]['port']))}", None
    else:
        target = services.translate(job, config["static_configs"][0]["targets"][0])
        password = services.translate(job, config["basic_auth"]["password_file"])
        auth = (config["basic_auth"]["username"], Path(password).read_text())
    answer = requests.get(f"http://{target}/metrics", auth=auth, timeout=60)
    answer.raise_for_status()
    samples: dict[str, list[Mapping[str, str]]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample.labels)
    return Scraped(samples)


@pytest.fixture(scope="module")
def scraped(services: Services) -> Iterator[Scraped]:
    """Both, while Ray has work that runs and that waits, and after MLflow was asked for what is there, what is not, and by a stranger."""
    port = services.ports["5000"]
    password = (services.folder / "secrets" / "mlflow_password").read_text()
    for path, auth in (("search?max_results=1", password), ("get?experiment_id=99", password), ("get?experiment_id=99", "guessed")):
        requests.get(f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/{path}", auth=("hpsearch", auth), timeout=60)
    head = f"127.0.0.1:{services.ports['6379']}"
    with (services.folder / "load.log").open("wb") as log:
        load = subprocess.Popen(
            [sys.executable, LOAD, head], env=services.environment("head"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
    try:
        assert load.stdout is not None
        assert load.stdout.readline() == b"done\n", (services.folder / "load.log").read_text()
        found = Scraped({})

        def is_complete() -> bool:
            found.samples = {**scrape(services, "ray").samples, **scrape(services, "mlflow").samples}
            return not [each for query in queries("promql") for each in missing(found, query)]

        deadline = time.monotonic() + 90  # Ray exports its counts every ten seconds
        while not is_complete() and time.monotonic() < deadline:
            time.sleep(2)
        yield found
    finally:
        load.communicate(timeout=60)


def missing(scraped: Scraped, query: Query) -> list[str]:
    """What of the expression no sample has, but for what is rare, and for `up`, which is Prometheus' own."""
    lacks = []
    for selector in selectors(query.text):
        if selector.name == "up" or RARE.match(selector.name):
            continue
        plain = [each for each in selector.matchers if (each[0], each[2]) not in NOT_HERE]
        samples = scraped.matching(selector._replace(matchers=tuple(plain)))
        lacks += [] if samples else [f"{query.where}: {selector}"]
        lacks += [f"{query.where}: by {label}" for label in grouped(query.text) if samples and label not in samples[0]]
    return lacks


def test_what_is_not_exported_is_missed() -> None:
    scraped = Scraped({"x": [{"State": "USED", "Name": "CPU"}]})

    def lacks(expression: str) -> bool:
        return bool(missing(scraped, Query("", "promql", expression)))

    assert not lacks('sum by (Name) (x{State="USED",Name!~"G.*"})')
    assert [lacks(text) for text in ("y", 'x{State="FREE"}', 'x{Stat="USED"}', 'x{Name!="CPU"}', "sum by (Nam) (x)", "max(x + y)")] == [
        True
    ] * 6


NOT_HERE = {("Name", "GPU"), ("status", "5..")}
"""Values of labels that need a GPU, or a server that fails."""


@on_a_cluster
@pytest.mark.parametrize("query", queries("promql"), ids=lambda query: query.where)
def test_what_an_expression_names_is_exported(scraped: Scraped, query: Query) -> None:
    assert selectors(query.text)
    assert not missing(scraped, query)


@on_a_cluster
def test_every_job_that_an_expression_names_is_scraped(services: Services) -> None:
    jobs = {job["job_name"] for job in read("compose/prometheus.yaml")["scrape_configs"]}
    asked = {value for query in queries("promql") for each in selectors(query.text) for label, _, value in each.matchers if label == "job"}
    assert asked == jobs
    for job in jobs:
        assert scrape(services, job).samples


@on_a_cluster
def test_mlflows_metrics_need_its_password(services: Services) -> None:
    address = f"http://127.0.0.1:{services.ports['5000']}/metrics"
    assert requests.get(address, timeout=60).status_code == 401
    assert requests.get(address, auth=("hpsearch", "guessed"), timeout=60).status_code == 401


@on_a_cluster
def test_both_workers_of_mlflow_are_counted(services: Services, scraped: Scraped) -> None:
    """Whichever of its two processes answers, it tells of both: asked five times more, the count is higher by five."""

    def asked() -> float:
        (config,) = (each for each in read("compose/prometheus.yaml")["scrape_configs"] if each["job_name"] == "mlflow")
        password = Path(services.translate("mlflow", config["basic_auth"]["password_file"])).read_text()
        answer = requests.get(f"http://127.0.0.1:{services.ports['5000']}/metrics", auth=("hpsearch", password), timeout=60)
        (value,) = re.findall(r'^mlflow_http_request_total\{method="GET",status="404"\} (\S+)$', answer.text, re.MULTILINE)
        return float(value)

    before = asked()
    password = (services.folder / "secrets" / "mlflow_password").read_text()
    for number in range(5):
        path = f"api/2.0/mlflow/experiments/get?experiment_id={900 + number}"
        requests.get(f"http://127.0.0.1:{services.ports['5000']}/{path}", auth=("hpsearch", password), timeout=60)
    assert asked() == before + 5


@pytest.mark.slow
def test_what_is_rare_is_among_what_ray_exports() -> None:
    """Its own list, of which a node exports those that it has: GPU's, and nodes of each state."""
    from ray.dashboard.modules.reporter.reporter_agent import METRICS_GAUGES

    known = {f"ray_{name}" for name in METRICS_GAUGES}
    rare = {each.name for query in queries("promql") for each in selectors(query.text) if RARE.match(each.name)}
    assert rare
    assert rare <= known
