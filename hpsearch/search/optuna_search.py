"""The search that Optuna does: a sampler says what to try, a pruner what to stop.

Both are asked about a view of the history, and nothing is kept between two calls but the mirror that makes views quickly: the same history
gives the same proposal and the same answer in every process. What an Optuna sampler or pruner wants to remember goes out with the decision
and comes back in the history.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from typing import Any

from hpsearch.events import Reported
from hpsearch.search.choice import check_search
from hpsearch.search.grid import Grid
from hpsearch.search.history import History, TrialRecord
from hpsearch.search.samplers import SAMPLERS, Draw, quiet, shown
from hpsearch.search.schedulers import SCHEDULERS, build_pruner
from hpsearch.space import SearchSpace
from hpsearch.trial import Continue, Done, Json, Objective, Start, Stop, TrialKind


class OptunaSearch:
    """Composes a sampler with a scheduler, both by name.

    Args:
        max_steps: the steps of a full training; proposals are until there.
        trials: the budget's trials as the sweep began; `auto` depends on it, so a sweep that is extended keeps the first.

    Raises:
        InputError: a name or an option is wrong, or they do not suit the space or the objectives.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: tuple[Objective, ...],
        *,
        sampler: str,
        sampler_options: Mapping[str, Json],
        scheduler: str,
        scheduler_options: Mapping[str, Json],
        seed: int,
        max_steps: int,
        trials: int | None,
    ) -> None:
        self.choice = check_search(
            space, objectives, sampler=sampler, sampler_options=sampler_options, scheduler=scheduler,
            scheduler_options=scheduler_options, seed=seed, max_steps=max_steps, trials=trials,
        )  # fmt: skip
        self._space = space
        self._objectives = objectives
        self._seed = seed
        self._max_steps = max_steps
        self._name = f"hpsearch-{seed}"
        from hpsearch.search.mirror import Mirror
        from hpsearch.space.distributions import to_optuna

        self._distributions = {name: to_optuna(parameter) for name, parameter in space.parameters.items()}
        self._groups = _groups(space, self._distributions)
        self._raw = SCHEDULERS[self.choice.scheduler].raw
        self._mirror = Mirror(space, objectives, self._distributions, raw=self._raw)
        self._grid = Grid(space, seed) if self.choice.sampler == "grid" else None
        self._pruner = build_pruner(self.choice.scheduler, self.choice.scheduler_options, max_steps)

    def describe(self) -> str:
        """`tpe, median after 4 epochs`: what `auto` came to."""
        return self.choice.describe()

    # ---- what to try

    def propose(self, history: History) -> Start | Done:
        """A new trial; Done when a grid has no configuration left."""
        if self._grid is None:
            return self._ask(history)
        parameters = self._grid.next(history)
        return Done() if parameters is None else Start(parameters, self._max_steps)

    def _ask(self, history: History) -> Start:
        from hpsearch.search.view import View

        number = len(history)
        trials = self._shown(history)
        view = View(self._name, trials, self._mirror.directions, sweep=history.search_state)
        with quiet():
            trial = view.ask(number, self._sampler(number))
            parameters = self._suggest(trial)
        return Start(parameters, self._max_steps, view.remembered)

    def _shown(self, history: History) -> list[Any]:
        most = shown(self.choice.sampler, self.choice.sampler_options)
        if most == 0:
            return []
        self._mirror.follow(history)
        trials = self._mirror.some(most)
        if not SAMPLERS[self.choice.sampler].learns_from_all:
            return trials
        from hpsearch.search.observations import observations

        return observations(trials, self._mirror.directions)

    def _sampler(self, number: int) -> Any:
        build = SAMPLERS[self.choice.sampler].build
        assert build is not None
        draw = Draw(self._seed, number, self._groups, len(self._objectives))
        return build(self.choice.sampler_options, draw)

    def _suggest(self, trial: Any) -> Mapping[str, Json]:
        """Parents first, so that whether a parameter is active is known when it is its turn."""
        from hpsearch.space.distributions import decode

        chosen: dict[str, Json] = dict(self._space.fixed)
        for name, parameter in self._space.parameters.items():
            if self._space.active(name, chosen):
                chosen[name] = decode(parameter, _suggest(trial, name, self._distributions[name]))
        return self._space.complete(chosen)

    # ---- what to stop

    def judge(self, history: History, reported: Reported) -> Continue | Stop:
        """Whether the trial goes on after this report, which the history holds already.

        The scheduler is not asked about a trial's last step (it is done anyway), about re-tests, or about a step whose objective is missing
        or not finite (that it diverged is training's to say). Baselines are compared like others, but never stopped: they are what to beat.
        """
        record = history.trials[reported.trial]
        go_on = Continue(record.until_step)
        if self._pruner is None or record.kind == TrialKind.RETEST or reported.step >= record.until_step:
            return go_on
        if not math.isfinite(reported.metrics.get(self._objectives[0].metric, math.nan)):
            return go_on
        return self._prune(history, record)

    def _prune(self, history: History, record: TrialRecord) -> Continue | Stop:
        from hpsearch.search.reasons import Case, in_words
        from hpsearch.search.view import View

        self._mirror.follow(history)
        trials, trial = self._mirror.all(), self._mirror.trial(record.number)
        view = View(self._name, trials, self._mirror.directions, completed=self._mirror.completed())
        with warnings.catch_warnings():
            if self.choice.scheduler in ("wilcoxon", "patient"):
                warnings.simplefilter("ignore", UserWarning)
            stops = view.should_prune(trial, self._pruner)
        if not stops or record.kind == TrialKind.BASELINE:
            return Continue(record.until_step, view.remembered)
        case = Case(self._objectives[0], trial, trials, view.trial_state, self.choice.scheduler_options, self._raw)
        return Stop(in_words(self.choice.scheduler, case), view.remembered)


def _suggest(trial: Any, name: str, distribution: Any) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, FloatDistribution):
        return float(trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log))
    return int(trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log))


def _groups(space: SearchSpace, distributions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The distributions by condition. Those without any come first, so that a sampler is asked for them before any others."""
    groups: dict[str, dict[str, Any]] = {"{}": {}}
    for name in space.parameters:
        condition = json.dumps({parent: list(values) for parent, values in sorted(space.parameters[name].when.items())})
        groups.setdefault(condition, {})[name] = distributions[name]
    return [dict(sorted(group.items())) for group in groups.values() if group]
