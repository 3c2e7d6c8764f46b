"""Sweeps of every kind that register their winner; a fresh process loads each through MLflow, and it predicts as it did in training."""

from __future__ import annotations

import csv
import json
import os
import pickle
import pickletools
import random
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpsearch
from hpsearch.tasks.predictor import Predictor
from hpsearch.tasks.splits import Shares, split_rows, split_stratified
from hpsearch.tracking import quiet
from hpsearch.tracking.note import plain

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

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

PLANT_TYPES = {"wet": "bool", "plot": "int64", "leaves": "int64", "height <cm>": "float64", "colour": "object"}
PRICE_TYPES = {"town": "object", "rooms": "int64", "area": "float64"}
"""Of the columns in a user's own table, in another order than in the file."""

LOADER = """
import json, sys
import mlflow, numpy as np, pandas as pd
uri, names = sys.argv[1], json.loads(sys.stdin.read())
mlflow.set_tracking_uri(uri)
found = {}
for name, given in names.items():
    model = mlflow.pyfunc.load_model(f"models:/{given['model']}@champion")
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
        return of_user(rows, PLANT_TYPES)
    if name == "prices":
        areas = [row["area"] for row in sample.rows["prices"]]
        rows = [sample.rows["prices"][areas.index(value)] for value in example["area"]]
        return of_user(rows, PRICE_TYPES)
    if name == "sales":
        until = 1 + [row["rain"] for row in sample.rows["sales"]].index(example["rain"].iloc[-1])
        return of_user(sample.rows["sales"][until - 20 : until], {"rain": "float64", "sold": "int64"})
    if isinstance(example, np.ndarray):
        return {"values": example.tolist(), "dtypes": None}
    return {"values": {c: example[c].tolist() for c in example}, "dtypes": {c: str(example[c].dtype) for c in example}}


@pytest.fixture(scope="module")
def said(sample: Sample) -> dict[str, Any]:
    """By model: what a fresh process got for the rows, and for the input example; and its inputs' signature."""
    names = {name: {"model": name, **given_to(sample, name)} for name in SWEEPS}
    names["all plants"] = {"model": PLANTS, **of_user(sample.rows["plants"], PLANT_TYPES)}
    names["all prices"] = {"model": "prices", **of_user(sample.rows["prices"], PRICE_TYPES)}
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


def test_the_input_example_is_of_the_signature_and_says_the_same(said: dict[str, Any]) -> None:
    for name in SWEEPS:
        given, example, _ = said[name]
        if name != "sales":  # the user's table began earlier
            assert given == example, name
    assert [column for column in said[PLANTS][2] if "height <cm>" in column and "double" in column]
    assert [column for column in said[PLANTS][2] if "plot" in column and "long" in column]


def test_what_it_says_of_the_test_split_is_what_was_measured_there(sample: Sample, said: dict[str, Any]) -> None:
    plants, prices = (sample.results[name] for name in (PLANTS, "prices"))
    kinds = np.array([row["kind, <i>"] for row in sample.rows["plants"]])
    classes, labels = np.unique(kinds, return_inverse=True)
    rows = split_stratified(labels, tuple(classes), Shares(0.15, 0.15, 0)).test
    right = (np.array(said["all plants"][0]["prediction"]) == kinds)[rows].mean()
    assert right == pytest.approx(registered_report(plants)["test_accuracy"], abs=1e-12)
    target = np.array([row["price"] for row in sample.rows["prices"]])
    error = np.array(said["all prices"][0]["prediction"]) - target
    rmse = float(np.sqrt((error[split_rows(len(target), Shares(0.15, 0.15, 0)).test] ** 2).mean()))
    assert rmse == pytest.approx(registered_report(prices)["test_rmse"], rel=1e-5)


def registered_report(result: Any) -> Any:
    """The last report of the re-test whose network was registered."""
    return result.history.trials[int(chosen_folder(result).partition("-")[2])].reports[-1]


def test_nothing_in_the_store_needs_unpickling(sample: Sample) -> None:
    files = [file for file in (sample.home / "artifacts").rglob("*") if file.is_file()]
    networks = [file for file in files if file.name == "hpsearch-network.npz"]
    assert len(networks) == len(SWEEPS)
    for file in files:
        assert not is_pickle(file.read_bytes()), file
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                assert {Path(name).suffix for name in archive.namelist()} == {".npy"}
            with np.load(file, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype.kind in "fiubU" for name in arrays.files), file
    described = [file for file in files if file.name == "MLmodel"]
    assert len(described) == len(SWEEPS)
    assert not [file for file in described if "pickle" in file.read_text()]
    assert is_pickle(pickle.dumps([1])), "it would be seen"
    assert is_pickle(pickle.dumps([1], protocol=0))


def is_pickle(data: bytes) -> bool:
    """Whether pickle's own parser reads it to its end."""
    try:
        *_, (last, _, _) = pickletools.genops(data)
    except Exception:
        return False
    return last.name == "STOP"


def test_the_network_is_no_artifact_of_its_run_besides(sample: Sample) -> None:
    assert not [file for file in (sample.home / "artifacts").rglob("hpsearch-network.npz") if "models" not in file.parts]


def test_whoever_asks_is_told_which_version_it_is(sample: Sample) -> None:
    for name, result in sample.results.items():
        model = result.to_json()["model"]
        assert model == {
            "name": name,
            "version": 1,
            "uri": f"models:/{name}/1",
            "champion": True,
            "said": f"version 1 of {name} is the champion: there was none",
        }
    client = quiet.client(sample.results[PLANTS].tracking_uri)
    tags = client.get_run(sample.results[PLANTS].tracked.run_id).data.tags
    assert tags["hpsearch.model"] == f"models:/{PLANTS}/1"
    assert f"**Model:** version 1 of {plain(PLANTS)} is the champion" in tags["mlflow.note.content"]
    version = client.get_model_version(PLANTS, "1")
    winner = sample.results[PLANTS].winner
    assert version.tags["hpsearch.value"] == repr(winner.chosen.mean)
    assert version.tags["hpsearch.test_accuracy"] == repr(winner.chosen.test["test_accuracy"])
    assert version.tags["hpsearch.trial"] == str(winner.trial.number)


def test_what_is_made_is_in_the_form_of_the_data(said: dict[str, Any]) -> None:
    images = np.array(said["made-images"][0])
    assert images.shape == (5, 1, 8, 8)
    assert images.min() >= 0
    assert images.max() <= 1
    rows = said["made-rows"][0]
    assert sorted(rows) == ["area", "price", "rooms", "town"]
    assert set(rows["town"]) <= set("ABC")
