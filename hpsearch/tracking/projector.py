"""Brings MLflow up to the ledger, again and again: it may be killed at any moment, and MLflow may fail at any moment."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace

from hpsearch.errors import InputError, TrackerError
from hpsearch.events import Event
from hpsearch.ledger.face import Lease, Ledger, Projection, Sweep
from hpsearch.tracking import view
from hpsearch.tracking.documents import Document, documents
from hpsearch.tracking.files import TrialFile, TrialFiles, tag
from hpsearch.tracking.keys import ARTIFACTS, MODEL_KEY, PARENT_RUN, REPORT, TRIAL_KEY
from hpsearch.tracking.links import REPORT_FILE, report_link, runs_link
from hpsearch.tracking.model import ModelWanted, Registered, model_wanted
from hpsearch.tracking.origin import Input
from hpsearch.tracking.picture import Of, Picture, Point, Wanted, objectives_of
from hpsearch.tracking.registering import register
from hpsearch.tracking.runs import Found, Runs

BATCH = 5_000
"""Events a round. A round is noted in the ledger at its end: it is also what is written again after a kill."""

_ATTACH_AGAIN_S = 10.0
"""After a failure of the artifact store, which may take as long itself."""


class Projector:
    """Writes what is new in a sweep's events into MLflow.

    It writes differences to what it has read from MLflow or written there itself. After a failure it reads again: a run that was made
    although the call failed is found, of several for one trial the oldest is kept, one that is gone is written again from the first event.

    Args:
        ledger: where the events come from, and where it is noted how far they have been written.
        lease: of the role projector; it is renewed while writing.
        sweep: whose events.
        runs: the sweep's experiment.
        files: where its trials leave theirs; None: out of reach.
    """

    def __init__(self, ledger: Ledger, lease: Lease, sweep: Sweep, runs: Runs, files: TrialFiles | None = None) -> None:
        self.sweep = sweep
        self.runs = runs
        self.found: dict[Of, Found] = {}
        self.pending: dict[Of, list[Point]] = {}
        self.deleted = 0
        """Runs that were one too many."""
        self.views = 0
        """How often the view that links open had to be written."""
        self._ledger = ledger
        self._lease = lease
        self._renewed = time.monotonic()
        self._noted = ledger.projection(sweep.id)
        self._known: dict[Of, str] = dict(ledger.runs(sweep.id).items())
        if self._noted.run_id is not None:
            self._known[None] = self._noted.run_id
        self._new: dict[int, str] = {}
        self._files = files
        self._unattached: set[int] = set()
        self._attach_at = 0.0
        self._is_sure = False
        self.picture = Picture(sweep, objectives_of(sweep.config))
        for events in self._events(until=self._noted.seq):
            self.picture.apply(events)

    @property
    def run_id(self) -> str | None:
        """The sweep's own run, once it is there."""
        return found.run_id if (found := self.found.get(None)) else None

    def catch_up(self) -> bool:
        """One round; False if there was nothing to do.

        Raises:
            TrackerError: MLflow failed; what was not written is tried again by the next call.
            LeaseLost: another projector writes this sweep now.
        """
        if not self._is_sure:
            self.look()
        self.add(self._ledger.events(self.sweep.id, self.picture.seq, BATCH))
        if time.monotonic() >= self._attach_at:
            _merge(self.pending, {of: [] for of in self._unattached})
            if self.picture.has_ended and self.has_new_files():
                _merge(self.pending, {None: []})
        if not self.pending:
            return False
        self.write()
        return True

    def add(self, events: Sequence[Event]) -> None:
        """Fold events; what they touch is pending."""
        _merge(self.pending, self.picture.apply(events))

    def look(self) -> None:
        """Read from MLflow which runs are there; what has been lost is pending, whole."""
        self._keep_lease()
        self.runs.open()
        self._keep_view()
        self.found = self._one_each(self.runs.search(self.picture.key))
        lost = {of for of, run_id in self._known.items() if of not in self.found or self.found[of].run_id != run_id}
        if lost:
            for of, points in self.all_points().items():
                if of in lost:
                    self.pending[of] = points
        self._known = {of: run.run_id for of, run in self.found.items()}
        if None in self.found:
            self._adopt(self.found)
            self._link_report(self.found[None])
            self._link_model(self.found[None])
        self._attach_at = 0.0
        self._unattached = {of for of, found in self.found.items() if of is not None and self._unattached_files(of, found)}
        self._is_sure = True

    def _keep_view(self) -> None:
        """Write the view that links open, unless it is there."""
        tag, wanted = view.view_tag(self.sweep), view.view_value(self.sweep)
        if self.runs.experiment_tag(tag) != wanted:
            self.runs.tag_experiment(tag, wanted)
            self.views += 1
        experiment, key = self.runs.experiment_id or "", view.view_key(self.sweep)
        self.picture.trials = runs_link(experiment, key), runs_link(experiment, key, charts=True)

    def all_points(self) -> dict[Of, list[Point]]:
        """Every point so far of every run, from the ledger."""
        everything: dict[Of, list[Point]] = {}
        again = Picture(self.sweep, self.picture.history.objectives)
        for events in self._events(until=self.picture.seq):
            _merge(everything, again.apply(events))
        return everything

    def write(self) -> None:
        """Write what is pending, then note in the ledger how far that was."""
        try:
            if None not in self.found:
                self._create(None)
                self._adopt(self.found)
            while (of := next((of for of in self.pending if of is not None), None)) is not None:
                self._bring(of)
            self._bring(None)
        except TrackerError:
            self._is_sure = False
            raise
        model = self.picture.model and asdict(self.picture.model)
        projection = Projection(self.picture.seq, self.runs.experiment_id, self.run_id, model or self._noted.model)
        if projection != self._noted or self._new:
            self._ledger.project(self._lease, projection, self._new)
        self._noted, self._new = projection, {}

    def _bring(self, of: Of) -> None:
        """Make one run what it should be."""
        self._keep_lease()
        if of is not None and (parent := self.picture.parent(of)) is not None and parent not in self.found:
            self._bring(parent)
        found = self.found.get(of) or self._create(of)
        attached = self._with_sweep_files(found) if of is None else self._with_files(of, found)
        wanted = self.wanted(of)
        params = {k: v for k, v in wanted.params.items() if k not in found.params}
        tags = {**missing_tags(found, wanted), **attached}
        self.runs.log(found.run_id, self.pending.get(of, []), params, tags)
        if inputs := missing_inputs(found, wanted):
            self.runs.log_inputs(found.run_id, inputs)
        if has_other_status(found, wanted):
            self.runs.set_status(found.run_id, wanted.status, wanted.end_ms)
        self.found[of] = replace(
            found, status=wanted.status, end_ms=wanted.end_ms, params={**found.params, **params}, tags={**found.tags, **tags},
            inputs=found.inputs | {each.key for each in inputs},
        )  # fmt: skip
        self.pending.pop(of, None)

    def _create(self, of: Of) -> Found:
        found = self.found[of] = self.runs.create(self.wanted(of))
        self._known[of] = found.run_id
        if of is not None:
            self._new[of] = found.run_id
            self._adopt(self.picture.children[of])
        return found

    def _adopt(self, children: Iterable[Of]) -> None:
        """Those that have another parent than they should, or none, get the right one."""
        for of in children:
            if of in self.found and of in self.picture.history.trials and self.found[of].tags.get(PARENT_RUN) != self._parent_run(of):
                self.pending.setdefault(of, [])

    def _parent_run(self, of: Of) -> str | None:
        """The run that a run is the child of, once that is there."""
        parent = None if of is None else self.picture.parent(of)
        return found.run_id if (found := self.found.get(parent)) else None

    def wanted(self, of: Of) -> Wanted:
        """How a run should be now."""
        return self.picture.wanted(of, self._parent_run(of))

    def _with_sweep_files(self, found: Found) -> dict[str, str]:
        """Attach the sweep's documents, and its report as it is now; gives the tags that say so."""
        tags: dict[str, str] = {}
        with self._attaching() as may_attach:
            for document in self.new_documents() if may_attach else ():
                self.runs.attach(found.run_id, document.name, document.text)
                tags[document.tag] = document.digest
            if may_attach and self._files is not None and self._files.report and (digest := self.new_report()) is not None:
                self.runs.attach_page(found.run_id, self._files.report, REPORT_FILE)
                tags[REPORT] = digest
        self._link_report(replace(found, tags={**found.tags, **tags}))
        return tags

    def has_new_files(self) -> bool:
        """Whether the sweep's run lacks one, or has an older one."""
        return self.new_report() is not None or bool(self.new_documents())

    def new_documents(self) -> list[Document]:
        """Those that MLflow has not, or not as they should be."""
        tags = found.tags if (found := self.found.get(None)) is not None else {}
        return [each for each in documents(self.picture, self._files) if tags.get(each.tag) != each.digest]

    def new_report(self) -> str | None:
        """The digest of a report that MLflow has not, of a sweep that has ended: while it runs, its page is out of date at once."""
        if self._files is None or not self.picture.has_ended:
            return None
        digest = self._files.report_digest()
        return None if (found := self.found.get(None)) is not None and found.tags.get(REPORT) == digest else digest

    def _link_report(self, found: Found) -> None:
        if REPORT in found.tags:
            self.picture.report = report_link(self.runs.experiment_id or "", found.run_id)

    def _link_model(self, found: Found) -> None:
        """What the ledger knows of the model, where MLflow has it."""
        noted = self._noted.model
        self.picture.model = Registered(**noted) if noted and found.tags.get(MODEL_KEY) == noted["key"] else None

    def unregistered(self) -> ModelWanted | None:
        """What is still to be registered: the winner's network, where the sweep file asks for that."""
        wanted = model_wanted(self.picture)
        return None if wanted is None or (self.picture.model and self.picture.model.key == wanted.key) else wanted

    def register(self, wanted: ModelWanted, tick: Callable[[str], None]) -> None:
        """Have it registered; the next `write` tells of it.

        Raises:
            InputError: its network is not to be found.
            TrackerError: MLflow failed.
        """
        network = self._files.network(wanted.trial) if self._files else None
        if network is None:
            raise InputError(
                f"the model cannot be registered: re-test {wanted.trial} has left no network here; its log may say why, and if it was "
                f"trained with another home, run `hpsearch sync` there"
            )

        def keep(at: str) -> None:
            self._keep_lease()
            tick(at)

        self.picture.model = register(
            {
                "tracking_uri": self.runs.tracking_uri,
                "network": str(network),
                "experiment_id": self.runs.experiment_id,
                "run_id": self.found[wanted.trial].run_id,
                **{name: getattr(wanted, name) for name in ("name", "key", "description", "tags", "params")},
            },
            keep,
        )
        self.pending.setdefault(None, [])

    def _with_files(self, of: int, found: Found) -> dict[str, str]:
        """Attach what an ended trial has left; gives the tag that says so, which comes last: without it they are attached again."""
        files = self._unattached_files(of, found)
        with self._attaching() as may_attach:
            if may_attach:
                for file in files:
                    self._attach(of, file, found.run_id)
                self._unattached.discard(of)
                return {ARTIFACTS: tag(files)} if files else {}
        self._unattached |= {of} if files else set()
        return {}

    def _attach(self, of: int, file: TrialFile, run_id: str) -> None:
        if file.left_out is None:
            self.runs.attach_file(run_id, file.path)
        else:
            print(f"{file.path} of trial {of} is left out of MLflow: it has {file.left_out}", file=sys.stderr)

    def _unattached_files(self, of: int, found: Found) -> Sequence[TrialFile]:
        trial = self.picture.history.trials.get(of)
        if trial is None or not trial.state.is_terminal or ARTIFACTS in found.tags:
            return ()
        return self.files_of(of)

    def files_of(self, of: int) -> Sequence[TrialFile]:
        """What a trial has left so far."""
        return self._files.of(of) if self._files is not None else ()

    @contextlib.contextmanager
    def _attaching(self) -> Iterator[bool]:
        """Whether the artifact store may be tried now. Its failure ends the block, and not the round."""
        try:
            yield time.monotonic() >= self._attach_at
        except TrackerError as error:
            print(f"no artifact can be stored: {error}; it is tried again, and `hpsearch sync` does it too", file=sys.stderr)
            self._attach_at = time.monotonic() + _ATTACH_AGAIN_S

    def _one_each(self, runs: Sequence[Found]) -> dict[Of, Found]:
        """By trial. Of several for one trial, that which the ledger knows, else the oldest, stays; the others are deleted."""
        kept: dict[Of, Found] = {}
        known = set(self._known.values())
        for run in sorted(runs, key=lambda run: (run.run_id not in known, run.start_ms, run.run_id)):
            key = run.tags.get(TRIAL_KEY)
            of = None if key is None else int(key.rpartition("/")[2])
            if of not in kept:
                kept[of] = run
            else:
                self.runs.delete(run.run_id)
                self.deleted += 1
        self._new |= {of: run.run_id for of, run in kept.items() if of is not None and self._known.get(of) != run.run_id}
        return kept

    def _events(self, until: int) -> Iterator[list[Event]]:
        """The sweep's first `until` events, in portions."""
        after = 0
        while after < until and (events := self._ledger.events(self.sweep.id, after, min(BATCH, until - after))):
            yield events
            after = events[-1].seq

    def _keep_lease(self) -> None:
        if time.monotonic() - self._renewed > self._lease.ttl_s / 3:
            self._ledger.renew(self._lease)
            self._renewed = time.monotonic()


def missing_tags(found: Found, wanted: Wanted) -> dict[str, str]:
    """The tags that are not there or not so; an empty one need not be there."""
    return {k: v for k, v in wanted.tags.items() if found.tags.get(k, "") != v}


def missing_inputs(found: Found, wanted: Wanted) -> list[Input]:
    """The datasets that are not there."""
    return [each for each in wanted.inputs if each.key not in found.inputs]


def has_other_status(found: Found, wanted: Wanted) -> bool:
    """MLflow cannot forget an end, so that a run which goes on again may keep its old one."""
    return found.status != wanted.status or wanted.end_ms not in (None, found.end_ms)


def _merge(into: dict[Of, list[Point]], more: Mapping[Of, list[Point]]) -> None:
    for of, points in more.items():
        into.setdefault(of, []).extend(points)
