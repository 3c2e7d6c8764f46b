"""What Optuna sees during one proposal or one judgement: a storage that shows a part of the history, and keeps apart what is written.

The trials that are shown never change, so the mirror hands out the same ones again and again. What a sampler or pruner writes for itself
(system attributes) is found in `sweep_state` and `trial_state` afterwards.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Container, Mapping, Sequence
from typing import Any, NoReturn

from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection, load_study
from optuna.trial import FrozenTrial, TrialState

from hpsearch.trial import Json, SearchState

EPOCH = datetime.datetime(1970, 1, 1)
_PASSING = (":relative_params:",)
"""Parts of keys that samplers write to tell other processes what they are about to suggest; the ledger tells that already."""


class View(BaseStorage):  # type: ignore[misc]
    """What one call sees.

    Args:
        name: of the study; Hyperband draws a trial's bracket from it.
        trials: by number.
        completed: those of them that are COMPLETE, if that is known already.
        sweep: what was remembered of the sweep.
    """

    def __init__(
        self,
        name: str,
        trials: Sequence[FrozenTrial],
        directions: Sequence[StudyDirection],
        *,
        sweep: Mapping[str, Json] | None = None,
        completed: list[FrozenTrial] | None = None,
    ) -> None:
        self._name = name
        self._trials = trials
        self._directions = list(directions)
        self._sweep = sweep or {}
        self._completed = completed
        self._asked: FrozenTrial | None = None
        self._next = 0
        self.sweep_state: dict[str, Json] = {}
        self.trial_state: dict[str, Json] = {}

    def ask(self, number: int, sampler: BaseSampler) -> Any:
        """An Optuna trial of that number, to suggest values."""
        self._next = number
        return self._study(sampler, NopPruner()).ask()

    def should_prune(self, trial: FrozenTrial, pruner: BasePruner) -> bool:
        return bool(pruner.prune(self._study(RandomSampler(), pruner), trial))

    @property
    def remembered(self) -> SearchState:
        trial = {key: value for key, value in self.trial_state.items() if not any(part in key for part in _PASSING)}
        return SearchState(sweep=self.sweep_state, trial=trial)

    def _study(self, sampler: BaseSampler, pruner: BasePruner) -> Study:
        return load_study(study_name=self._name, storage=self, sampler=sampler, pruner=pruner)

    # What samplers and pruners read.

    def get_study_id_from_name(self, study_name: str) -> int:
        assert study_name == self._name
        return 0

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return {**self._sweep, **self.sweep_state}

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        trials = list(self._trials) if self._asked is None else [*self._trials, self._asked]
        if self._completed is not None and states == (TrialState.COMPLETE,):
            trials = self._completed
        elif states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial(self, trial_id: int) -> FrozenTrial:
        assert self._asked is not None
        assert self._asked.number == trial_id
        return self._asked

    # What they write.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self._asked = FrozenTrial(self._next, TrialState.RUNNING, None, EPOCH, None, {}, {}, {}, {}, {}, self._next)
        return self._next

    def set_trial_param(self, trial_id: int, param_name: str, param_value_internal: float, distribution: Any) -> None:
        trial = self.get_trial(trial_id)
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)
        trial.distributions[param_name] = distribution

    def set_study_system_attr(self, study_id: int, key: str, value: Json) -> None:
        self.sweep_state[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Json) -> None:
        self.trial_state[key] = value
        if self._asked is not None and self._asked.number == trial_id:
            self._asked.system_attrs[key] = value

    # What nobody calls: trials begin and end in the ledger.

    def _no(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("a view of a history cannot do this")

    create_new_study = delete_study = get_all_studies = set_study_user_attr = _no
    set_trial_state_values = set_trial_intermediate_value = set_trial_user_attr = _no
