"""Runs assignments on a Ray cluster, by Ray Tune: its searcher, scheduler and trainable are thin adapters to the controller's calls.

One Tune trial is one assignment. Tune's own experiment state, loggers and pauses are not used: a sweep resumes from the ledger.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

os.environ.update(  # Ray reads them when it is imported
    {
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_BACKEND_LOG_LEVEL": "fatal",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_NUM_REDIS_GET_RETRIES": "3",  # how often to knock at a cluster that refuses our token, once a second
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
        "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    }
)

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from hpsearch.executors import ray_cluster
from hpsearch.executors.job import Job, Room
from hpsearch.executors.ray_actor import SAID, TICKET, Batch, Carried, Ticket, Worker
from hpsearch.executors.ray_cluster import HeadWatch
from hpsearch.executors.ray_grants import Grants, request
from hpsearch.training.artifacts import ArtifactFolder
from hpsearch.trial import Answer, Assignment, Continue, Control, Done, Outcome, Pause, Place, Report, TrialState, Wait

NODE_S = 1.0
"""How long after a worker's end to look whether its node is there: a node that dies takes some moments over it."""

DRAINED = "its node is being drained"
"""Why a trial goes on elsewhere."""

UNBEGUN = 3
"""How often a trial may lose its worker before it trains, at no cost: its node has gone, or is broken."""

WITHOUT_END = 1_000_000_000
"""Of Tune's own samples: the controller says when there are no more."""


class RayExecutor:
    """Places on the nodes of a cluster, each an actor that lives on from trial to trial; by default as many as fit."""

    def __init__(self, job: Job, room: Room) -> None:
        self._job = job
        self._room = room
        self._folder = Path()

    def __enter__(self) -> Self:
        ray_cluster.join(self._room, self._job.task.code)
        self._folder = Path(tempfile.mkdtemp(prefix="hpsearch-tune-"))
        return self

    def __exit__(self, *_: object) -> None:
        ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, controller: Control) -> None:
        """Work until the controller has no more."""
        places = ray_cluster.places(self._room.resources, self._room.workers)
        ray_cluster.check_nodes(self._job.checkpoints)
        head = ray_cluster.HeadWatch(ray.get_runtime_context().gcs_address)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it would tell of trials that ended as the ledger says
        bridge = _Bridge(controller, self._job, head, Grants(self._room.resources.packed))
        head.start()
        try:
            self._tuner(bridge, places).fit()
        except Exception:
            if bridge.broken is None:
                raise
        finally:
            head.stop()
        if bridge.broken is not None:
            raise bridge.broken

    def _tuner(self, bridge: _Bridge, places: int) -> tune.Tuner:
        trainable = tune.with_parameters(Worker, job=self._job, carried=Carried.of(self._job.task))
        return tune.Tuner(
            tune.with_resources(trainable, lambda config: request(config[TICKET].assignment.resources)),
            tune_config=tune.TuneConfig(
                search_alg=_Asks(bridge),
                scheduler=_Tells(bridge),
                num_samples=WITHOUT_END,
                max_concurrent_trials=places,
                reuse_actors=True,
                trial_name_creator=lambda trial: trial.trial_id,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=str(self._folder),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # by default Tune would save at the end
            ),
        )


class _Bridge:
    """Between Tune's hooks, which are all called in the driver's main thread, and the controller."""

    def __init__(self, controller: Control, job: Job, head: HeadWatch, grants: Grants) -> None:
        self.broken: BaseException | None = None
        """What the controller failed with: Tune would make a text of it."""
        self._controller = controller
        self._job = job
        self._head = head
        self._grants = grants
        self._assignments: dict[str, Assignment] = {}
        self._nodes: dict[str, str] = {}
        self._lost: dict[str, float] = {}
        self._moved: set[str] = set()
        """Those that were told to pause because of where they are."""
        self._unbegun: Counter[int] = Counter()
        """How often a trial, by number, has lost its worker before it trained."""

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return (object, ())  # Tune pickles searchers into an experiment state that nobody reads

    def next(self, trial_id: str) -> Assignment | Wait | Done:
        """What the Tune trial of this id is to do."""
        if self._lost:  # perhaps nothing is live, and then Tune asks for trials and does nothing else
            self.tick()
        if not self._grants.have_room():
            return Wait(0.0)
        found = self._controller.next(Place("ray"))
        if isinstance(found, Assignment):
            self._assignments[trial_id] = found
            self._grants.given(trial_id, found)
        return found

    def newest_first(self) -> Iterator[str]:
        """The Tune trials that have an assignment."""
        return reversed(self._assignments)

    def heard(self, trial: Any, batch: Batch) -> bool:
        """Takes in what a worker has said; whether its assignment is over, and it may have another."""
        trial_id, actor = trial.trial_id, trial.temporary_state.ray_actor
        assignment = self._assignments[trial_id]
        self._keep_files(assignment, batch)
        if batch.began is not None:
            self._nodes[trial_id] = batch.began.node
            self._grants.begun(trial_id)
            self._controller.begin(assignment, batch.began.worker, batch.began.from_step)
        is_drained = self._nodes[trial_id] in self._head.draining
        if batch.reports:
            answers = self._controller.report([(assignment, report) for report in batch.reports])
            if is_drained and self._job.task.resumable:
                answers = self._moving(trial_id, batch.reports, answers)
            steps = (report.step for report in batch.reports)
            actor.answer.remote(list(zip(steps, answers, strict=True)))
        outcome = Outcome(TrialState.WAITING, DRAINED) if batch.began is not None and is_drained else batch.outcome
        if outcome is not None:
            self._end(trial_id, outcome)
            if is_drained:
                ray.kill(actor)  # else Tune would give it another; now it hears of an error, where nothing is running
        return outcome is not None and not is_drained

    def _moving(self, trial_id: str, reports: Sequence[Report], answers: Sequence[Answer]) -> list[Answer]:
        """The controller's answers, but that the trial is to pause where it may go on."""
        moved: list[Answer] = []
        for report, answer in zip(reports, answers, strict=True):
            if isinstance(answer, Continue) and report.step < answer.until_step:
                self._moved.add(trial_id)
                answer = Pause()
            moved.append(answer)
        return moved

    def lost(self, trial: Any) -> None:
        """Its worker is gone, by itself or with its node: which of them, `tick` finds out."""
        if trial.trial_id in self._assignments:
            self._lost[trial.trial_id] = time.monotonic() + NODE_S

    def _settle_lost(self) -> None:
        now = time.monotonic()
        for trial_id in [each for each, due in self._lost.items() if now >= due]:
            node = self._nodes.get(trial_id)
            if node is None and self._may_begin_again(self._assignments[trial_id].trial):
                self._end(trial_id, Outcome(TrialState.WAITING, "its worker was lost before it began"))
            elif node is None or ray_cluster.is_there(node):
                self._end(trial_id, Outcome(TrialState.FAILED, "its worker process was lost"))
            else:
                self._end(trial_id, Outcome(TrialState.WAITING, "its node was lost"))

    def _may_begin_again(self, trial: int) -> bool:
        self._unbegun[trial] += 1
        return self._unbegun[trial] <= UNBEGUN

    def tick(self, live: Sequence[Any] = ()) -> None:
        """What is due; ends the workers of what must end now, among Tune's live trials."""
        self._head.check()
        aborted = {assignment.key for assignment in self._controller.tick()}
        for trial_id in [each for each in self._lost if self._assignments[each].key in aborted]:
            self._end(trial_id, Outcome(TrialState.FAILED, "aborted"))
        self._settle_lost()
        for trial in live if aborted else ():
            assignment = self._assignments.get(trial.trial_id)
            actor = trial.temporary_state.ray_actor
            if assignment is not None and assignment.key in aborted and actor is not None:
                ray.kill(actor)  # Tune then calls on_trial_error

    def _keep_files(self, assignment: Assignment, batch: Batch) -> None:
        if batch.log:
            log = self._job.log_file(assignment.trial)
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as file:
                file.write(batch.log)
        for name, content in batch.files.items():
            ArtifactFolder(self._job.outputs_of(assignment.trial)).save(name, content)

    def _end(self, trial_id: str, outcome: Outcome) -> None:
        self._nodes.pop(trial_id, None)
        self._lost.pop(trial_id, None)
        self._grants.ended(trial_id)
        if trial_id in self._moved and outcome.state is TrialState.PAUSED:
            outcome = Outcome(TrialState.WAITING, DRAINED, outcome.checkpoint)
        self._moved.discard(trial_id)
        self._controller.end(self._assignments.pop(trial_id), outcome)


class _Asks(Searcher):  # type: ignore[misc]
    """Tune asks this for what to run next."""

    def __init__(self, bridge: _Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        try:
            found = self._bridge.next(trial_id)
        except BaseException as error:
            self._bridge.broken = error
            raise
        match found:
            case Assignment():
                return {TICKET: Ticket(found)}
            case Done():
                return str(Searcher.FINISHED)
            case Wait():
                return None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the scheduler was told."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a sweep resumes from the ledger."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: as `save`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: as `save`."""


class _Tells(FIFOScheduler):  # type: ignore[misc]
    """Tune tells this of results and errors."""

    def __init__(self, bridge: _Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The newest that waits. Called in each of Tune's rounds: at least ten times a second while anything is live.

        An older one waits for an actor that starts for it: given the one that has become free, Tune would end that other, and places
        would stay empty for as long as trials are shorter than the start of an actor.
        """
        live = tune_controller.get_live_trials()
        try:
            self._bridge.tick(live)
        except BaseException as error:
            self._bridge.broken = error
            raise
        waiting = {trial.trial_id: trial for trial in live if trial.status == Trial.PENDING}
        return next((waiting[trial_id] for trial_id in self._bridge.newest_first() if trial_id in waiting), None)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        try:
            is_over = self._bridge.heard(trial, result[SAID])
        except BaseException as error:
            self._bridge.broken = error
            raise
        return str(self.STOP if is_over else self.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        try:
            self._bridge.lost(trial)
        except BaseException as error:
            self._bridge.broken = error
            raise
