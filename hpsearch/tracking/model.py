"""What a sweep is to register: the network of one of its winner's re-tests, and what is said of it. Nothing here knows MLflow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpsearch.search.history import History, TrialRecord
from hpsearch.tracking.champion import DIGEST, GOAL, METRIC, VALUE
from hpsearch.tracking.keys import MAX_TAG, MODEL_KEY, SWEEP_KEY, cut, param, trial_key
from hpsearch.trial import Json, TrialKind, TrialState
from hpsearch.winner import Winner, choose

if TYPE_CHECKING:
    from hpsearch.tracking.picture import Picture


def problem_of_name(name: str) -> str | None:
    """Why MLflow would not take it for a registered model's; None where it does."""
    if "/" in name or ":" in name:
        return "a registered model's name has no '/' and no ':'"
    return "a registered model's name is not '.' and does not begin with '..'" if name == "." or name.startswith("..") else None


def fitting_model_name(name: str) -> str:
    """One that MLflow takes, and that is like it."""
    return re.sub(r"[/:.]+", "-", name).strip("-") or "model"


@dataclass(frozen=True, slots=True)
class Registered:
    """Where a sweep's model is in MLflow's registry.

    Args:
        key: of the network: the sweep's and the re-test's.
        champion: whether it got the alias when it was registered.
        said: `version 3 of digits-mlp is not the champion: val_accuracy 0.981 against 0.989 of version 2`.
    """

    key: str
    name: str
    version: int
    champion: bool
    said: str

    @property
    def uri(self) -> str:
        """What `mlflow.pyfunc.load_model` takes."""
        return f"models:/{self.name}/{self.version}"

    def to_json(self) -> dict[str, Json]:
        return {"name": self.name, "version": self.version, "uri": self.uri, "champion": self.champion, "said": self.said}


@dataclass(frozen=True, slots=True)
class ModelWanted:
    """A version of the registered model `name`, as it should be.

    Args:
        trial: the re-test whose network it is.
        key: tells the network from any other.
    """

    name: str
    trial: int
    key: str
    description: str
    tags: Mapping[str, str]
    params: Mapping[str, str]


def model_wanted(picture: Picture) -> ModelWanted | None:
    """What is to be registered; None where nothing is, or not yet."""
    name = (picture.sweep.config.get("tracking") or {}).get("register")
    if name is None or picture.state in ("created", "running") or (winner := choose(picture.history)) is None:
        return None
    assert picture.dataset is not None, "a sweep file that registers a model has a task with data"
    chosen = median_of(picture.history, winner.trial)
    key = trial_key(picture.key, chosen.number)
    objective = picture.history.objectives[0]
    tags = {
        MODEL_KEY: key,
        SWEEP_KEY: picture.key,
        "hpsearch.sweep": cut(picture.sweep.name, MAX_TAG),
        "hpsearch.trial": str(winner.trial.number),
        DIGEST: picture.dataset.digest,
        METRIC: objective.metric,
        GOAL: objective.goal,
        VALUE: repr(winner.chosen.mean),
        **({"hpsearch.interval": f"{winner.interval.low!r} to {winner.interval.high!r}"} if winner.interval else {}),
        **{f"hpsearch.{metric}": repr(value) for metric, value in winner.chosen.test.items()},
    }
    params = {name: param(value) for name, value in winner.trial.parameters.items()}
    return ModelWanted(name, chosen.number, key, _description(picture, winner, chosen), tags, params)


def median_of(history: History, trial: TrialRecord) -> TrialRecord:
    """The re-test whose value is the median: the network that the mean over seeds and its interval speak of.

    The best of several seeds is the luckiest too, and its value would promise what the next data do not keep. Of two in the middle the
    better one is taken. The test split has no part in it.
    """
    objective = history.objectives[0]
    sign = -1.0 if objective.goal == "maximize" else 1.0
    completed = [t for t in history if t.kind is TrialKind.RETEST and t.parent == trial.number and t.state is TrialState.COMPLETED]
    ranked = sorted((sign * values[0], t.number) for t in completed if (values := history.values(t)) and values[0] == values[0])
    return history.trials[ranked[(len(ranked) - 1) // 2][1]]


def _description(picture: Picture, winner: Winner, chosen: TrialRecord) -> str:
    from hpsearch.tracking.note import plain

    said = "; ".join(plain(words) for words in winner.in_words())
    return f"Of sweep {plain(picture.sweep.name)}: {said}. This network is that of re-test {chosen.number}, the median of its seeds."
