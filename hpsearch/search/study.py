"""A sweep as a study of Optuna's own, in a store of Optuna's own: for its plots, its dashboard, and whoever goes on there."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from hpsearch.config.home import mask
from hpsearch.errors import InputError
from hpsearch.search.history import History, TrialRecord
from hpsearch.space import SearchSpace
from hpsearch.trial import TrialKind, TrialState

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


def write_study(url: str, name: str, space: SearchSpace, history: History) -> int:
    """Make the study `name` in Optuna's store at `url`; how many trials it has.

    Trials have their states as in mirror.py, their curves (of one objective), times, and as user attributes `hpsearch_trial` (their number
    here), `hpsearch_kind`, `hpsearch_state`, `hpsearch_reason` and `hpsearch_seed`. Left out are re-tests, and trials that have not ended:
    nobody would ever end them there.

    Raises:
        InputError: the store cannot be used, or has a study of this name.
    """
    import optuna

    from hpsearch.search.mirror import Mirror
    from hpsearch.space.distributions import to_optuna

    mirror = Mirror(space, history.objectives, {key: to_optuna(parameter) for key, parameter in space.parameters.items()}, raw=True)
    mirror.follow(history)
    trials = [_told(mirror.trial(record.number), record) for record in _ended(history)]
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = optuna.storages.RDBStorage(url)
        study = optuna.create_study(study_name=name, storage=storage, directions=mirror.directions)
        _name_values(study, [objective.metric for objective in history.objectives])
        study.add_trials(trials)
    except optuna.exceptions.DuplicatedStudyError:
        raise InputError(f"--optuna {mask(url)}: it has a study {name!r} already; delete that, or name another store") from None
    except Exception as error:  # Optuna, SQLAlchemy and the driver each have errors of their own
        said = mask(str(error).strip().splitlines()[0]) if str(error).strip() else type(error).__name__
        raise InputError(
            f"--optuna {mask(url)}: Optuna cannot keep a study there ({said}); give the URL of a store of Optuna's own, such as "
            "sqlite:///study.db"
        ) from None
    finally:
        optuna.logging.set_verbosity(before)
    return len(trials)


def _name_values(study: Study, names: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental
        study.set_metric_names(names)


def _ended(history: History) -> Iterator[TrialRecord]:
    return (record for record in history if record.state.is_terminal and record.kind is not TrialKind.RETEST)


def _told(trial: FrozenTrial, record: TrialRecord) -> FrozenTrial:
    told = copy.copy(trial)
    told.datetime_start = _time(record.created_ms if record.begun_ms is None else record.begun_ms)
    told.datetime_complete = _time(record.created_ms if record.ended_ms is None else record.ended_ms)
    told.system_attrs = {key: value for key, value in trial.system_attrs.items() if record.state is TrialState.INFEASIBLE}
    told.user_attrs = {
        "hpsearch_trial": record.number,
        "hpsearch_kind": str(record.kind),
        "hpsearch_state": str(record.state),
        "hpsearch_reason": record.reason,
        "hpsearch_seed": record.seed,
    }
    return told


def _time(at_ms: int) -> datetime:
    """Optuna's times are the machine's own, without a zone."""
    return datetime.fromtimestamp(at_ms / 1000)
