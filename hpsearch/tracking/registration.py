"""The process that registers a network: `python -m hpsearch.tracking.registration`, started by `registering`, with all of MLflow.

In, one line of JSON: the `Order`. It goes on only while its input is open: who has started it is there to hear of it.
Out, a JSON object a line: {"at": …} while it works, then {"registered": {…}} or {"error": …}.

It may be killed at any moment and started again: each step looks first for what is there. What was made twice is made one again.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.tracking import quiet
from hpsearch.tracking.champion import ALIAS, Verdict, judge
from hpsearch.tracking.keys import MAX_NAME, MODEL_KEY, SYSTEM, VERDICT
from hpsearch.tracking.model import Registered

if TYPE_CHECKING:
    from hpsearch.tasks.predictor import Given, Predictor

LOADER = "hpsearch.tracking.loader"
VERSIONS = "mlflow.modelVersions"
PACKAGES = ("hpsearch", "torch", "numpy", "pandas")
"""What a model needs besides MLflow."""

MOST_SHOWN = 10_000
"""Numbers in an input example that is an array, unless one example alone has more."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be registered, and where.

    Args:
        network: the file that the re-test has left.
        experiment_id, run_id: of the re-test's run, which has its metrics.
    """

    tracking_uri: str
    network: str
    experiment_id: str
    run_id: str
    name: str
    key: str
    description: str
    tags: Mapping[str, str]
    params: Mapping[str, str]


class Registration:
    """Carries out an order. `say` is told what is being done."""

    def __init__(self, client: Any, order: Order, say: Callable[[str], None]) -> None:
        self._client = client
        self._order = order
        self._say = say

    def run(self) -> Registered:
        """Whatever of it has been done before."""
        self._say("logging the model")
        model_id = self._logged_model()
        self._say("registering it")
        version = self._version(model_id)
        self._link(model_id, int(version.version))
        is_champion, said = self._crown(version)
        return Registered(self._order.key, self._order.name, int(version.version), is_champion, said)

    def _logged_model(self) -> str:
        """The one of the order's key: READY, with its files and metrics."""
        order = self._order
        found = self._client.search_logged_models([order.experiment_id], f"tags.`{MODEL_KEY}` = '{order.key}'")
        first, *others = sorted(found, key=lambda model: (model.creation_timestamp, model.model_id)) or [self._create_logged_model()]
        for model in others:
            self._client.delete_logged_model(model.model_id)
        if str(first.status) != "READY":
            self._fill(first.model_id)
            self._client.finalize_logged_model(first.model_id, "READY")
        return str(first.model_id)

    def _create_logged_model(self) -> Any:
        order = self._order
        return self._client.create_logged_model(
            order.experiment_id, logged_name(order.name), order.run_id, dict(order.tags), dict(order.params), model_type="hpsearch"
        )

    def _fill(self, model_id: str) -> None:
        from mlflow.entities import LoggedModelOutput, Metric

        order = self._order
        with tempfile.TemporaryDirectory(prefix="hpsearch-model-") as folder:
            path = Path(folder, "model")
            save_model(path, Path(order.network), model_id, order.run_id)
            self._client.log_model_artifacts(model_id, str(path))
        run = self._client.get_run(order.run_id)
        last = [self._client.get_metric_history(order.run_id, key)[-1] for key in run.data.metrics if not key.startswith(SYSTEM)]
        points = [Metric(m.key, m.value, m.timestamp, m.step, model_id=model_id, run_id=order.run_id) for m in last]
        self._client.log_batch(order.run_id, metrics=points)
        if model_id not in {output.model_id for output in (run.outputs.model_outputs if run.outputs else ())}:
            self._client.log_outputs(order.run_id, [LoggedModelOutput(model_id, max((m.step for m in last), default=0))])

    def _version(self, model_id: str) -> Any:
        """The version that is this model; one that has lost its model goes."""
        order, source = self._order, f"models:/{model_id}"
        self._ensure_registered()
        found = [v for v in self._client.search_model_versions(f"tags.`{MODEL_KEY}` = '{order.key}'") if v.name == order.name]
        mine = sorted((v for v in found if v.source == source), key=lambda v: int(v.version))
        for version in (*mine[1:], *(v for v in found if v.source != source)):
            self._client.delete_model_version(order.name, version.version)
        if mine:
            return mine[0]
        return self._client.create_model_version(
            order.name, source, order.run_id, tags=dict(order.tags), description=order.description, model_id=model_id
        )

    def _ensure_registered(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(self._order.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            self._client.create_registered_model(self._order.name)

    def _link(self, model_id: str, version: int) -> None:
        """What the UI shows beside the logged model."""
        known = json.loads(self._client.get_logged_model(model_id).tags.get(VERSIONS, "[]"))
        if (mine := {"name": self._order.name, "version": version}) not in known:
            self._client.set_logged_model_tags(model_id, {VERSIONS: json.dumps([*known, mine])})

    def _crown(self, version: Any) -> tuple[bool, str]:
        """Decided once: who moves the alias later has their reasons."""
        order = self._order
        champion = self._champion()
        if VERDICT in version.tags:
            return champion is not None and champion.version == version.version, version.tags[VERDICT]
        verdict = self._verdict(version, champion)
        if verdict.is_champion:
            self._client.set_registered_model_alias(order.name, ALIAS, version.version)
        said = f"version {version.version} of {order.name} {verdict.why}"
        self._client.set_model_version_tag(order.name, version.version, VERDICT, said)
        return verdict.is_champion, said

    def _verdict(self, version: Any, champion: Any | None) -> Verdict:
        if champion is None:
            return judge(self._order.tags, None, {})
        if champion.version == version.version:  # the process before was killed when it had the alias, and had not said so
            return Verdict(True, "is the champion")
        return judge(self._order.tags, int(champion.version), champion.tags)

    def _champion(self) -> Any | None:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_model_version_by_alias(self._order.name, ALIAS)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return None


def logged_name(name: str) -> str:
    """A registered model's name as a logged model may have it."""
    return re.sub(r"""[/:.%"']""", "_", name)[:MAX_NAME]


def save_model(path: Path, network: Path, model_id: str, run_id: str) -> None:
    """Write a folder in MLflow's own form of a model, which `mlflow.pyfunc` loads by LOADER."""
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature, infer_signature

    from hpsearch.tasks.predictor import Predictor

    predictor = Predictor.load(network)
    answers = infer_signature(None, predictor.example.predictions).outputs
    pyfunc.save_model(
        str(path),
        loader_module=LOADER,
        data_path=str(network),
        mlflow_model=Model(artifact_path="model", run_id=run_id, model_uuid=model_id, model_id=model_id),
        signature=ModelSignature(input_schema(predictor), answers),
        input_example=few_of(predictor.example.given),
        pip_requirements=[_requirement(name) for name in PACKAGES],
    )


def input_schema(predictor: Predictor) -> Any:
    """MLflow's `Schema` of what it is given."""
    import numpy as np
    from mlflow.types import ColSpec, Schema, TensorSpec

    schema, example = predictor.form.schema(), predictor.example.given
    if isinstance(example, np.ndarray):
        return Schema([TensorSpec(example.dtype, (-1, *schema["shape"]))])
    return Schema([ColSpec(kind, name) for name, kind in schema["columns"]])


def few_of(given: Given) -> Given:
    """So many examples as a person may look at."""
    import numpy as np

    if not isinstance(given, np.ndarray):
        return given
    return given[: max(1, MOST_SHOWN // max(1, given[0].size))]


def _requirement(name: str) -> str:
    """Of this very version, without what says for which hardware it was built."""
    return f"{name}=={importlib.metadata.version(name).partition('+')[0]}"


def main() -> None:
    """Carries out the order on its input."""
    order = Order(**json.loads(sys.stdin.readline()))
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else prints is no message of ours
    threading.Thread(target=_end_with_input, daemon=True).start()

    def say(**message: object) -> None:
        print(json.dumps(message), file=out, flush=True)

    try:
        say(at="loading MLflow")
        os.environ["MLFLOW_UV_AUTO_DETECT"] = "false"  # the project that this is run in is not the model's
        client = quiet.client(order.tracking_uri)
        _use(order.tracking_uri)
        say(registered=asdict(Registration(client, order, lambda at: say(at=at)).run()))
    except Exception as error:  # MLflow raises its own, SQLAlchemy's, requests' and OSError
        message = quiet.masked(f"{error}", order.tracking_uri).strip().partition("\n")[0]
        say(error=f"{quiet.masked(order.tracking_uri)}: {message or type(error).__name__}")
    os._exit(0)


def _use(tracking_uri: str) -> None:
    """Parts of MLflow's client ask another one, that of the process."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)


def _end_with_input() -> None:
    with contextlib.suppress(OSError):
        sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
