"""`hpsearch.run`: opens a sweep in the ledger (or the one that is there), sets its parts going, and tells how it ended."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from hpsearch import ledger as ledgers
from hpsearch.config import SweepConfig, diff
from hpsearch.config import load as load_config
from hpsearch.config.home import Home, mask
from hpsearch.config.sections import BudgetConfig
from hpsearch.controller import Controller
from hpsearch.errors import InputError, LeaseLost, NameTaken
from hpsearch.events import SweepExtended
from hpsearch.export import keep_export
from hpsearch.ledger.face import Lease, Ledger, Sweep
from hpsearch.notify import address
from hpsearch.notify.notifier import Notifier
from hpsearch.plan import Plan, make_plan
from hpsearch.provenance import Provenance, commit_of, environment_now
from hpsearch.result import SweepResult
from hpsearch.search.history import History
from hpsearch.tracking.files import TrialFiles
from hpsearch.tracking.links import server_link
from hpsearch.tracking.model import Registered
from hpsearch.tracking.process import ProjectorProcess, Tracked
from hpsearch.trial import Executor, Json

log = logging.getLogger(__name__)

LEASE_TTL_S = 15.0
TRACKING_PATIENCE_S = 30.0
"""For how long the end of a run waits for MLflow to take in something more, while it has not everything."""

Watch = Callable[[Controller], AbstractContextManager[object]]
"""Called with the controller just before work begins, entered around it: a live display, say."""

Warn = Callable[[str], None]
"""Called with each warning, before work begins: about the data, or that nobody is told of the sweep."""


def load(path: str | Path, overrides: Sequence[str] = ()) -> SweepConfig:
    """Read a sweep file, with `KEY=VALUE` overrides. Raises `ConfigError` with file, line, key, value and cure."""
    return load_config(Path(path), overrides)


def _watch_nothing(_: Controller) -> AbstractContextManager[object]:
    return nullcontext()


def _warn_nobody(_: str) -> None:
    """The result has them too."""


def run(
    config: SweepConfig,
    *,
    executor: str | None = None,
    address: str | None = None,
    home: Path | None = None,
    store: str | None = None,
    watch: Watch = _watch_nothing,
    warn: Warn = _warn_nobody,
) -> SweepResult:
    """Run a sweep to its budget, or go on with it where it stopped; a finished one is given back as it is.

    Args:
        config: from `load`.
        executor: in place of the file's `resources.executor`.
        address: of the Ray cluster, `HOST:PORT` or `auto`, for the executor ray; by default the one that `hpsearch cluster up` has started
            for the home, and where there is none, one of this machine alone for as long as the sweep runs.
        home: in place of `$HPSEARCH_HOME`, by default `./.hpsearch`.
        store: the ledger's SQLAlchemy URL, in place of `$HPSEARCH_STORE`, by default a SQLite file in the home.
        watch: entered around the work.
        warn: told of what was found in the data, and that nobody is told of the sweep.

    Raises:
        InputError: the file asks for what cannot be, or is not the one that the sweep of this name was begun with.
        LeaseHeld: another process runs the sweep.
        StoreError: the ledger cannot be reached.
        ClusterError: the Ray cluster cannot be reached, or has not what a trial needs.
        StorageError: the file's `storage` cannot be reached, or not be written.
    """
    plan = make_plan(config, executor, address)
    place = Home.find(home, store)
    place.create()
    with contextlib.closing(ledgers.open(place.ledger_url)) as ledger:
        while True:
            found = next((sweep for sweep in ledger.sweeps() if sweep.name == config.name), None)
            try:
                return _Run(plan, place, ledger, found, watch, warn).run()
            except NameTaken:  # another process began it while we prepared: now it is there to be found
                continue


def resume(
    name: str,
    *,
    executor: str | None = None,
    address: str | None = None,
    home: Path | None = None,
    store: str | None = None,
    watch: Watch = _watch_nothing,
    warn: Warn = _warn_nobody,
) -> SweepResult:
    """Go on with a sweep of the ledger, by its name; otherwise as `run`."""
    place = Home.find(home, store)
    with contextlib.closing(ledgers.open(place.ledger_url)) as ledger:
        found = ledger.find(name)
        plan = make_plan(SweepConfig.from_json(found.config), executor, address)
        return _Run(plan, place, ledger, found, watch, warn).run()


@dataclass
class _Run:
    """One run of a sweep. `found` is the sweep of this name that the ledger has, if any."""

    plan: Plan
    home: Home
    ledger: Ledger
    found: Sweep | None
    watch: Watch
    warn: Warn

    def run(self) -> SweepResult:
        began = time.monotonic()
        extension = self._extension()
        if self.found is not None and self._is_finished(self.found, extension):
            report = self._written_report(self.found)
            return replace(self._result(self.found, self._catch_up(self.found), 0.0, finished_before=True), report=report)
        self._refuse_if_held()
        self.plan.check_storage(self.home)
        url = self._webhook_url()
        executor = self.plan.executor(self.home)
        with self._projector() as projector, executor:
            # mlflow and torch are imported meanwhile
            self.plan.prepare(self.home)
            self._refuse_other_data()
            sweep = self.found or self.ledger.create(self.plan.config.name, self.plan.config.to_json(), self.plan.baselines())
            for warning in self.plan.task.warnings:
                self.warn(warning)
            with self._notifier(url, lambda: server_link(self.home.tracking_uri, projector.tracked.experiment_id, sweep)) as notifier:
                self._work(sweep, extension, executor, projector, notifier)
                self._keep_export(sweep)
                report = self._write_report(sweep)
                tracked = projector.finish(TRACKING_PATIENCE_S)
        result = self._result(self.ledger.find(sweep.name), tracked, time.monotonic() - began, self.plan.task.warnings)
        return replace(result, report=report)

    def _extension(self) -> SweepExtended:
        """What the file raises of the found sweep's budget. Raises `InputError` where it changes anything else."""
        if self.found is None:
            return SweepExtended()
        changed = _refused_changes(self.found.config, self.plan.config.to_json())
        if changed:
            lines = "\n  ".join(changed)
            name = self.plan.config.name
            raise InputError(
                f"sweep {name!r} was begun with another file:\n  {lines}\n"
                "take the change back, or run the changed file as a sweep of its own with --new or --name NAME"
            )
        budget = self.plan.config.budget
        return SweepExtended(budget.trials, budget.total_epochs, budget.time)

    def _refuse_if_held(self) -> None:
        """Say so before anything is started; what counts is the lease, which is taken when all is ready."""
        if self.found is not None:
            self.ledger.release(self._lease(self.found))

    def _refuse_other_data(self) -> None:
        before = self._history(self.found).data_digest if self.found else None
        now = self.plan.task.data_digest
        if before is not None and before != now:
            name = self.plan.config.name
            raise InputError(
                f"the data of sweep {name!r} have changed since it was begun (SHA-256 {before[:12]}… then, {now[:12]}… now): "
                "put the old ones back, or search on the new ones as a sweep of its own with --new or --name NAME"
            )

    def _is_finished(self, found: Sweep, extension: SweepExtended) -> bool:
        if found.state not in ("completed", "failed"):
            return False
        history = self._history(found)
        rules = self.plan.rules(_budget_of(found)).extended(history.extended_to).extended(extension)
        for request in self.ledger.waiting_requests(found.id):
            if request.kind == "extend":  # it came after the controller before us had heard for the last time
                rules = rules.extended(SweepExtended(**request.payload))
        return rules.are_spent(history, history.active_ms / 1000)

    def _webhook_url(self) -> str | None:
        """Where the file has somebody told. Raises `InputError` where the environment has no URL but something else."""
        if not self.plan.config.notify.on:
            return None
        url = address.find()
        if url is None:
            self.warn(f"notify: nobody is told of this sweep, as no webhook is set; {address.CURE}")
        return url

    def _notifier(self, url: str | None, link: Callable[[], str | None]) -> Notifier:
        on, name = self.plan.config.notify.on, self.plan.config.name
        if url is None:
            return Notifier(on, name, None)
        from hpsearch.notify.webhook import Webhook

        return Notifier(on, name, Webhook(url, link))

    def _work(self, sweep: Sweep, extension: SweepExtended, executor: Executor, projector: ProjectorProcess, notifier: Notifier) -> None:
        provenance = self._provenance()
        lease = self._lease(sweep)
        projector.open(self.home.ledger_url, sweep.name, self._files(sweep))
        history = self._history(sweep)
        budget = _budget_of(sweep)
        rules = self.plan.rules(budget).extended(history.extended_to)
        search = self.plan.search(budget.trials)
        controller = Controller(self.ledger, lease, history, search, rules, self.plan.broken_constraint, retests=self.plan.retests().due)
        try:
            controller.open(self.plan.task.data_digest, ledgers.user(), provenance)
            controller.extend(extension)
            with _interruptible(controller), self.watch(controller), notifier.following(lambda: controller.history):
                executor.run(controller)
        except BaseException as error:
            controller.abandon()
            if isinstance(error, Exception) and not isinstance(error, LeaseLost):  # then another process goes on with it
                notifier.broken(controller.history, error)
            raise
        closed = controller.close()
        notifier.end(controller.history, closed)

    def _provenance(self) -> Provenance:
        """The code of the user's own lies beside the sweep file, so that both are of one commit."""
        config = self.plan.config
        return Provenance(self.plan.task.dataset, commit_of(config.directory), environment_now(), str(config.file) if config.file else None)

    def _lease(self, sweep: Sweep) -> Lease:
        return self.ledger.acquire(sweep.id, "controller", ledgers.holder(), LEASE_TTL_S)

    def _projector(self) -> ProjectorProcess:
        return ProjectorProcess.start(self.home.tracking_uri, self.home.artifacts, self.home.logs / "tracking.log")

    def _files(self, sweep: Sweep) -> TrialFiles:
        return TrialFiles.in_home(self.home, sweep.name)

    def _keep_export(self, sweep: Sweep) -> None:
        """The winner as a sweep file. Whatever goes wrong in writing it, the result stands."""
        try:
            keep_export(self.ledger, self.home, sweep.name)
        except Exception as error:
            log.warning("the winner of sweep %r was not written as a sweep file (%s); try again with: hpsearch export", sweep.name, error)

    def _write_report(self, sweep: Sweep) -> Path | None:
        """The sweep's page. Whatever goes wrong in writing it, the result stands."""
        from hpsearch.report.page import write_report

        try:
            return write_report(self.ledger, self.home, sweep.name)
        except Exception as error:
            log.warning("no report of sweep %r was written (%s); try again with: hpsearch report", sweep.name, error)
            return None

    def _written_report(self, finished: Sweep) -> Path | None:
        path = self.home.report_of(finished.name)
        return path if path.exists() else self._write_report(finished)

    def _catch_up(self, finished: Sweep) -> Tracked:
        """What the run that finished it could not bring to MLflow any more is brought there now."""
        projection = self.ledger.projection(finished.id)
        is_registered = projection.model is not None or self.plan.config.tracking.register is None
        if projection.seq >= finished.last_seq and is_registered:
            model = projection.model and Registered(**projection.model).to_json()
            return Tracked(projection.experiment_id, projection.run_id, projection.seq, True, model=model)
        with self._projector() as projector:
            projector.open(self.home.ledger_url, finished.name, self._files(finished))
            return projector.finish(TRACKING_PATIENCE_S)

    def _history(self, sweep: Sweep) -> History:
        return ledgers.fold(self.ledger, sweep.id, self.plan.config.objectives)

    def _result(
        self, sweep: Sweep, tracked: Tracked, wall_s: float, warnings: Sequence[str] = (), finished_before: bool = False
    ) -> SweepResult:
        history = self._history(sweep)
        return SweepResult(sweep, history, mask(self.home.tracking_uri), tracked, wall_s, finished_before, tuple(warnings))


def _budget_of(sweep: Sweep) -> BudgetConfig:
    """What it was begun with, whatever a file says now: what a file adds is an extension, on record like any other."""
    return SweepConfig.from_json(sweep.config).budget


def _refused_changes(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    """What makes a file another search: not where and how its trials run, who is told of it, nor a budget that is only raised."""
    is_raised = all(_is_raised(limit, new["budget"][name]) for name, limit in old["budget"].items())
    free = {"directory", "resources", "notify"} | ({"budget"} if is_raised else set())
    return diff({k: v for k, v in old.items() if k not in free}, {k: v for k, v in new.items() if k not in free})


def _is_raised(old: float | None, new: float | None) -> bool:
    return old == new or (old is not None and new is not None and new > old)


@contextlib.contextmanager
def _interruptible(controller: Controller) -> Iterator[None]:
    """SIGINT and SIGTERM end the run in order, a second one at once. Only a main thread can hear them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: controller.interrupt()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
