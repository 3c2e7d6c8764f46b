"""Sweeps of every kind that register their winner; a fresh process loads each through MLflow, and it predicts as it did in training."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpsearch
from hpsearch.tasks.predictor import Predictor
from hpsearch.tracking import quiet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PLANTS = "plants <b>*'\"\\"
COMMON = """
training: {epochs: 3}
search: {sampler: random, scheduler: none, seed: 1}
budget: {trials: 1}
resources: {executor: inline}
"""

SWEEPS = {
    PLANTS: """
task:
  kind: classification
  data: {csv: plants.csv, target: "kind, <i>", categorical: [plot]}
  model: mlp
  metrics: [val_f1]
objective: {metric: val_loss, goal: minimize, at: best}
space: {learning_rate: {values: [0.03]}, hidden_units: 16, normalization: batch, dropout: 0.2}
winner: {top: 1, seeds: 2}
""",
    "images": """
task: {kind: classification, data: digits, model: cnn}
objective: {metric: val_accuracy, goal: maximize}
space: {learning_rate: {values: [0.01]}}
training: {epochs: 2, precision: bf16}
winner: {top: 1, seeds: 1}
""",
    "prices": """
task: {kind: regression, data: {csv: prices.csv, target: price}, model: mlp}
objective: {metric: val_rmse, goal: minimize}
space: {learning_rate: {values: [0.03]}, hidden_units: 16}
winner: {top: 1, seeds: 1}
""",
    "sales": """
task: {kind: forecasting, data: {csv: sales.csv, target: sold, time: day}, model: rnn, horizon: 3}
objective: {metric: val_rmse, goal: minimize}
space: {learning_rate: {values: [0.01]}, window: 7}
winner: {top: 1, seeds: 1}
""",
    "reviews": """
task: {kind: text_classification, data: reviews, model: rnn}
objective: {metric: val_accuracy, goal: maximize}
space: {learning_rate: {values: [0.01]}, vocabulary_size: 40, sequence_length: 12}
training: {epochs: 1}
winner: {top: 1, seeds: 1}
""",
    "odd": """
task: {kind: anomaly_detection, data: iris, normal: [setosa], model: autoencoder}
objective: {metric: val_auroc, goal: maximize}
space: {learning_rate: {values: [0.01]}}
winner: {top: 1, seeds: 1}
""",
    "groups": """
task: {kind: clustering, data: wine, model: autoencoder}
objective: {metric: val_silhouette, goal: maximize}
space: {learning_rate: {values: [0.01]}, clusters: 4}
winner: {top: 1, seeds: 1}
""",
    "made-images": """
task: {kind: generation, data: digits, model: gan}
objective: {metric: val_frechet_ratio, goal: minimize}
space: {learning_rate: {values: [0.001]}, latent_size: 8}
training: {epochs: 1}
winner: {top: 1, seeds: 1}
""",
    "made-rows": """
task: {kind: generation, data: {csv: prices.csv}, model: gan}
objective: {metric: val_frechet_ratio, goal: minimize}
space: {learning_rate: {values: [0.001]}, latent_size: 8, generator_average: 0.9}
winner: {top: 1, seeds: 1}
""",
}

LOADER = """
import json, sys
import mlflow, numpy as np, pandas as pd
uri, names = sys.argv[1], json.loads(sys.stdin.read())
mlflow.set_tracking_uri(uri)
found = {}
for name, given in names.items():
    model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    if given["dtypes"] is None:
        given = np.array(given["values"])
    else:
        given = pd.DataFrame({n: pd.Series(given["values"][n], dtype=d) for n, d in given["dtypes"].items()})
    said = model.predict(given)
    assert model.metadata.signature is not None and model.input_example is not None
    again = model.predict(model.input_example)
    found[name] = [x.tolist() if isinstance(x, np.ndarray) else {c: x[c].tolist() for c in x} for x in (said, again)]
    found[name].append([str(f) for f in model.metadata.signature.inputs.to_dict()])
print(json.dumps(found))
"""


@dataclass
class Sample:
    """Sweeps that have registered their winners, the rows that they read, and what was said of them since."""

    home: Path
    rows: dict[str, list[dict[str, Any]]]
    results: dict[str, Any]
    network: dict[str, Predictor]


def plants(chance: random.Random) -> list[dict[str, Any]]:
    """Numbers, whole numbers that are none, truths, and colours of which some are missing."""
    rows = []
    for _ in range(120):
        colour = chance.choice(["red", "blue", ""])
        height = chance.gauss(3.0 if colour == "red" else 1.0, 0.4)
        kind = "rose" if height > 2 else "dandelion"
        rows.append({"height <cm>": height, "leaves": chance.randrange(9), "wet": chance.random() < 0.5, "plot": chance.randrange(3)})
        rows[-1] |= {"colour": colour, "kind, <i>": kind}
    return rows


def prices(chance: random.Random) -> list[dict[str, Any]]:
    rows = [{"rooms": chance.randrange(1, 8), "area": chance.uniform(20, 200), "town": chance.choice("ABC")} for _ in range(100)]
    return [{**row, "price": 1000 * row["area"] + 500 * row["rooms"] + chance.gauss(0, 50)} for row in rows]


def sales(chance: random.Random) -> list[dict[str, Any]]:
    return [{"day": day, "sold": 100 + 5 * (day % 7) + chance.randrange(4), "rain": chance.random()} for day in range(150)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    place, chance = tmp_path_factory.mktemp("registered"), random.Random(0)
    rows = {name: make(chance) for name, make in (("plants", plants), ("prices", prices), ("sales", sales))}
    for name, table in rows.items():
        with (place / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    home = place / "home"
    results, network = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HPSEARCH_STORE", "HPSEARCH_STORE_FILE", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        for index, (name, text) in enumerate(SWEEPS.items()):
            path = place / f"{index}.yaml"
            body = text if "training:" in text else text + "training: {epochs: 3}\n"
            path.write_text(COMMON.replace("training: {epochs: 3}\n", "") + body, encoding="utf-8")
            config = hpsearch.load(path, [f"name=sweep{index}", f"tracking.register={json.dumps(name)}"])
            result = results[name] = hpsearch.run(config, home=home)
            assert result.tracked.up_to_date, result.tracked.error
            (file,) = sorted((home / "outputs" / f"sweep{index}").glob("*/hpsearch-network.npz"))[:1]
            network[name] = Predictor.load(home / "outputs" / f"sweep{index}" / chosen_folder(result) / file.name)
    return Sample(home, rows, results, network)


def chosen_folder(result: Any) -> str:
    """Of the re-test that was registered: its run is the model's source."""
    client = quiet.client(result.tracking_uri)
    version = client.get_model_version(result.tracked.model["name"], result.tracked.model["version"])
    key = client.get_run(version.run_id).data.tags["hpsearch.trial_key"]
    return f"trial-{int(key.rpartition('/')[2]):05d}"


def of_user(rows: list[dict[str, Any]], dtypes: dict[str, str]) -> dict[str, Any]:
    """A table as somebody has it who never heard of the sweep."""
    values = {name: [None if row[name] == "" else row[name] for row in rows] for name in dtypes}
    return {"values": values, "dtypes": dtypes}


def given_to(sample: Sample, name: str) -> dict[str, Any]:
    """The rows of the example, found again in the user's own data; where those are built in, the example itself."""
    example = sample.network[name].example.given
    if name == PLANTS:
        heights = [row["height <cm>"] for row in sample.rows["plants"]]
        rows = [sample.rows["plants"][heights.index(value)] for value in example["height <cm>"]]
        types = {"wet": "bool", "plot": "int64", "leaves": "int64", "height <cm>": "float64", "colour": "object"}
        return of_user(rows, types)
    if name == "prices":
        areas = [row["area"] for row in sample.rows["prices"]]
        rows = [sample.rows["prices"][areas.index(value)] for value in example["area"]]
        return of_user(rows, {"town": "object", "rooms": "int64", "area": "float64"})
    if name == "sales":
        until = 1 + [row["rain"] for row in sample.rows["sales"]].index(example["rain"].iloc[-1])
        return of_user(sample.rows["sales"][until - 20 : until], {"rain": "float64", "sold": "int64"})
    if isinstance(example, np.ndarray):
        return {"values": example.tolist(), "dtypes": None}
    return {"values": {c: example[c].tolist() for c in example}, "dtypes": {c: str(example[c].dtype) for c in example}}


@pytest.fixture(scope="module")
def said(sample: Sample) -> dict[str, Any]:
    """By model: what a fresh process got for the rows, and for the input example; and its inputs' signature."""
    names = {name: given_to(sample, name) for name in SWEEPS}
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONPATH": str(Path(hpsearch.__file__).parents[1]),
    }
    uri = f"sqlite:///{sample.home}/mlflow.db"
    command = [sys.executable, "-W", "ignore", "-c", LOADER, uri]
    done = subprocess.run(command, input=json.dumps(names), capture_output=True, text=True, env=environment, cwd=sample.home, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", SWEEPS)
def test_it_predicts_as_it_did_in_training(sample: Sample, said: dict[str, Any], name: str) -> None:
    trained = sample.network[name].example.predictions
    expected = trained.tolist() if isinstance(trained, np.ndarray) else {c: trained[c].tolist() for c in trained}
    assert said[name][0] == expected
