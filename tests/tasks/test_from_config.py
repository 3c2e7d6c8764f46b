import pytest

from hpsearch import config
from hpsearch.tasks import TASKS
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source

FILE = """
task:
  kind: {kind}
  data: {data}
  metrics: [val_loss]
  split: {{validation: 0.2, test: 0.1, seed: 4}}
objective: {{metric: val_loss, goal: minimize}}
space: {{learning_rate: {{min: 0.001, max: 0.1}}}}
budget: {{trials: 1}}
training: {{epochs: 7, patience: 3, device: cpu}}
"""


def make(tmp_path, kind="classification", data="iris"):
    path = tmp_path / "sweep.yaml"
    path.write_text(FILE.format(kind=kind, data=data))
    loaded = config.load(path)
    return TASKS[kind].make(loaded)


@pytest.mark.parametrize(("kind", "data"), [("classification", "iris"), ("regression", "diabetes")])
def test_takes_what_the_file_says(tmp_path, kind, data):
    task = make(tmp_path, kind, data)
    assert task.kind == kind
    assert task.source == Source("builtin", data)
    assert task.shares == Shares(0.2, 0.1, 4)
    assert (task.epochs, task.patience, task.device, task.model, task.metrics) == (7, 3, "cpu", "mlp", ("val_loss",))
    assert [objective.metric for objective in task.objectives] == ["val_loss"]


def test_paths_are_relative_to_the_file(tmp_path):
    task = make(tmp_path, data="{csv: sub/my.csv, target: y}")
    assert task.source == Source("csv", str(tmp_path / "sub" / "my.csv"), "y")
