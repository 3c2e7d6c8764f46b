"""Re-tests and the choice: a controller on the in-memory ledger, driven by hand, with measurements that a test decides."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean

import pytest

from hpsearch.controller import Controller
from hpsearch.events import SweepExtended, TrialCreated
from hpsearch.ledger import fold
from hpsearch.ledger.memory import MemoryLedger
from hpsearch.rules import Rules
from hpsearch.search import OptunaSearch
from hpsearch.search.history import History
from hpsearch.search.replay import replay
from hpsearch.space import Float, SearchSpace
from hpsearch.trial import Assignment, Done, Objective, Outcome, Place, Report, TrialKind, TrialState, Wait
from hpsearch.winner import Retests, Winner, choose, contenders

ACCURACY = (Objective("accuracy", "maximize"),)
SPACE = SearchSpace({"x": Float(0.0, 1.0)})
STEPS = 2
HERE = Place("here")

Measure = Callable[[Assignment], dict[str, float]]


def noise(assignment: Assignment) -> dict[str, float]:
    return {"accuracy": random.Random(assignment.seed).random()}


def by_x(assignment: Assignment) -> dict[str, float]:
    """What x says, and a little of what the seed says; a re-test has a test split too."""
    value = assignment.parameters["x"] + random.Random(assignment.seed).gauss(0, 0.001)
    tested = {"test_accuracy": value - 0.1} if assignment.kind is TrialKind.RETEST else {}
    return {"accuracy": value, **tested}


@dataclass
class Sweep:
    """A sweep, and the controllers that take it one after the other."""

    measure: Measure = by_x
    top: int = 2
    seeds: int = 3
    trials: int = 6
    seed: int = 0
    baselines: tuple[float, ...] = (0.2,)
    objectives: tuple[Objective, ...] = ACCURACY
    time_s: float | None = None
    ledger: MemoryLedger = field(default_factory=MemoryLedger)

    def __post_init__(self) -> None:
        first = [TrialCreated(i, TrialKind.BASELINE, {"x": x}, i, STEPS) for i, x in enumerate(self.baselines)]
        self.id = self.ledger.create("s", {}, first).id
        self.now = 0.0

    @property
    def history(self) -> History:
        return fold(self.ledger, self.id, self.objectives)

    def search(self) -> OptunaSearch:
        return OptunaSearch(
            SPACE, self.objectives, sampler="random", sampler_options={}, scheduler="none", scheduler_options={},
            seed=self.seed, max_steps=STEPS, trials=None,
        )  # fmt: skip

    def take(self) -> Controller:
        """As after the death of the controller before."""
        lease = self.ledger.acquire(self.id, "controller", "test/boot/space/1/1", 3600.0)
        rules = Rules(self.seed, STEPS, self.trials, time_s=self.time_s).extended(self.history.extended_to)
        due = Retests(self.top, self.seeds, self.seed, STEPS).due
        controller = Controller(self.ledger, lease, self.history, self.search(), rules, clock=lambda: self.now, retests=due)
        controller.open()
        return controller

    def run(self, most: int = 10_000) -> None:
        """Go on for at most so many assignments; the last is left under way where that is not the end."""
        controller = self.take()
        for n in range(1, most + 1):
            assignment = controller.next(HERE)
            if isinstance(assignment, Done):
                controller.close()
                break
            assert isinstance(assignment, Assignment)
            if n < most or most == 10_000:
                self.train(controller, assignment)
        controller.abandon()

    def go_on(self, controller: Controller, assignments: int) -> None:
        for _ in range(assignments):
            assignment = controller.next(HERE)
            assert isinstance(assignment, Assignment)
            self.train(controller, assignment)

    def train(self, controller: Controller, assignment: Assignment) -> None:
        measured = self.measure(assignment)
        for step in range(controller.history.trials[assignment.trial].step + 1, STEPS + 1):
            controller.report([(assignment, Report(step, measured, 0.1))])
        is_number = measured["accuracy"] == measured["accuracy"]
        controller.end(assignment, Outcome(TrialState.COMPLETED if is_number else TrialState.FAILED, None if is_number else "broken"))


def retests(history: History) -> list[tuple[int, int]]:
    """Origin and seed of each."""
    return [(t.parent, t.seed) for t in history if t.kind is TrialKind.RETEST]


def won(sweep: Sweep) -> Winner:
    winner = choose(sweep.history)
    assert winner is not None
    return winner


def test_the_best_and_the_baseline_are_trained_again_on_fresh_seeds():
    sweep = Sweep()
    sweep.run()
    history = sweep.history
    searched = [t for t in history if t.kind is not TrialKind.RETEST]
    ranked = sorted(searched, key=lambda t: -t.reports[-1]["accuracy"])
    assert Counter(parent for parent, _ in retests(history)) == {t.number: 3 for t in [*ranked[:2], searched[0]]}
    assert len({t.seed for t in history}) == len(history), "each seed is fresh"
    again = [t for t in history if t.kind is TrialKind.RETEST]
    assert all(t.parameters == history.trials[t.parent].parameters and t.step == STEPS for t in again)
    assert len(searched) == sweep.trials, "they are no part of the budget"


def test_the_winner_is_the_best_mean_and_the_test_split_is_only_reported():
    def measure(assignment: Assignment) -> dict[str, float]:
        told = by_x(assignment)
        return told | {"test_accuracy": -assignment.parameters["x"]} if "test_accuracy" in told else told

    sweep = Sweep(measure)
    sweep.run()
    winner = won(sweep)
    means = {parent: fmean(t.reports[-1]["accuracy"] for t in sweep.history if t.parent == parent) for parent, _ in retests(sweep.history)}
    assert winner.trial.number == max(means, key=means.__getitem__)
    assert winner.chosen.mean == pytest.approx(means[winner.trial.number])
    assert winner.chosen.test == {"test_accuracy": pytest.approx(-winner.trial.parameters["x"])}
    assert winner.against is not None
    assert winner.against.verdict == "better"
    assert winner.against.gain == pytest.approx(winner.chosen.mean - means[0])
    assert winner.interval is not None
    assert winner.interval.low < winner.chosen.mean < winner.interval.high


def test_a_loss_is_better_when_it_is_less():
    loss = (Objective("accuracy", "minimize"),)
    sweep = Sweep(objectives=loss, baselines=(0.9,))
    sweep.run()
    winner = won(sweep)
    assert winner.trial.parameters["x"] == min(t.parameters["x"] for t in sweep.history)
    assert winner.against is not None
    assert winner.against.verdict == "better"
    assert winner.against.gain > 0


def test_without_top_nothing_is_trained_again():
    sweep = Sweep(top=0)
    sweep.run()
    assert retests(sweep.history) == []
    assert choose(sweep.history) is None


@pytest.mark.parametrize("at", [*range(5, 17)])
def test_killed_anywhere_and_resumed_there_are_never_more_re_tests_than_asked(at):
    whole, killed = Sweep(), Sweep()
    whole.run()
    killed.run(most=at)
    killed.run()
    assert retests(killed.history) == retests(whole.history)
    assert {t.state for t in killed.history} == {TrialState.COMPLETED}
    assert won(killed).to_json() == won(whole).to_json()


def test_a_finished_sweep_has_nothing_more_to_do():
    sweep = Sweep()
    sweep.run()
    before = len(sweep.history)
    sweep.run()
    assert len(sweep.history) == before


def test_no_re_test_begins_while_a_trial_of_the_search_runs():
    sweep = Sweep(trials=2, baselines=())
    controller = sweep.take()
    first, second = controller.next(HERE), controller.next(HERE)
    assert isinstance(first, Assignment)
    assert isinstance(second, Assignment)
    sweep.train(controller, first)
    assert isinstance(controller.next(HERE), Wait)
    sweep.train(controller, second)
    again = controller.next(HERE)
    assert isinstance(again, Assignment)
    assert again.kind is TrialKind.RETEST


def test_one_that_fails_counts_as_such_and_others_go_before_its_trial():
    def breaks(assignment: Assignment) -> dict[str, float]:
        broken = assignment.kind is TrialKind.RETEST and assignment.parameters["x"] == best and assignment.trial % 3 == 0
        return {"accuracy": float("nan")} if broken else by_x(assignment)

    plain = Sweep()
    plain.run()
    best = won(plain).trial.parameters["x"]
    sweep = Sweep(breaks)
    sweep.run()
    history = sweep.history
    assert sweep.ledger.find("s").state == "completed"
    assert [t.state for t in history].count(TrialState.FAILED) == 1
    assert len(retests(history)) == 9, "it is not made up for"
    assert won(sweep).trial.parameters["x"] != best


def test_where_all_fail_there_is_no_winner():
    sweep = Sweep(lambda a: {"accuracy": float("nan")} if a.kind is TrialKind.RETEST else by_x(a))
    sweep.run()
    assert choose(sweep.history) is None
    assert sweep.ledger.find("s").state == "completed"


def test_the_budgets_time_does_not_end_re_tests():
    sweep = Sweep(time_s=100.0, trials=3)
    controller = sweep.take()
    sweep.go_on(controller, 3)
    sweep.now = 200.0
    again = controller.next(HERE)
    assert isinstance(again, Assignment)
    assert again.kind is TrialKind.RETEST
    assert controller.tick() == []


def test_a_stop_between_re_tests_leaves_the_rest_for_later():
    sweep = Sweep()
    controller = sweep.take()
    sweep.go_on(controller, 8)
    controller.interrupt()
    controller.tick()
    assert controller.next(HERE) == Done()
    assert controller.close().state == "stopped"
    assert choose(sweep.history) is None, "not all have ended"
    sweep.run()
    assert len(retests(sweep.history)) == 9


def test_an_extended_sweep_chooses_again_and_trains_only_what_is_new():
    sweep = Sweep()
    sweep.run()
    first = retests(sweep.history)
    controller = sweep.take()
    controller.extend(SweepExtended(trials=20))
    controller.abandon()
    sweep.run()
    assert retests(sweep.history)[: len(first)] == first
    parents = {parent for parent, _ in retests(sweep.history)}
    assert parents == {parent for parent, _ in first} | {t.number for t in contenders(sweep.history, 2)}
    assert all(count == 3 for count in Counter(parent for parent, _ in retests(sweep.history)).values())
    assert won(sweep).trial.parameters["x"] == max(t.parameters["x"] for t in sweep.history)


def test_a_sweep_that_is_extended_between_re_tests_goes_on_searching_and_chooses_when_that_is_done():
    sweep = Sweep()
    controller = sweep.take()
    sweep.go_on(controller, 7)
    controller.extend(SweepExtended(trials=10))
    controller.abandon()
    sweep.run()
    history = sweep.history
    assert sum(t.kind is not TrialKind.RETEST for t in history) == 10
    assert {t.number for t in contenders(history, 2)} <= {parent for parent, _ in retests(history)}
    assert set(Counter(parent for parent, _ in retests(history)).values()) == {3}


def test_decisions_replay_with_re_tests_among_them():
    sweep = Sweep()
    sweep.run()
    assert replay(sweep.ledger.events(sweep.id), sweep.search(), sweep.objectives) == []


def test_a_configuration_that_was_tried_twice_is_one_contender():
    sweep = Sweep(baselines=(0.7, 0.7, 0.6), trials=3)
    sweep.run()
    assert len({t.parameters["x"] for t in contenders(sweep.history, 3)}) == 2


def test_of_several_objectives_the_first_leads_along_the_front():
    def measure(assignment: Assignment) -> dict[str, float]:
        x = assignment.parameters["x"]
        return {"accuracy": x, "size": x if x > 0.5 else 1 - x}  # below a half nothing is on the front

    both = (Objective("accuracy", "maximize"), Objective("size", "minimize"))
    sweep = Sweep(measure, objectives=both, top=3, trials=20)
    sweep.run()
    front = sorted((t.parameters["x"] for t in sweep.history.best()), reverse=True)
    assert [t.parameters["x"] for t in contenders(sweep.history, 3)] == front[:3]
    assert won(sweep).trial.parameters["x"] == front[0]


def test_the_baseline_may_win():
    sweep = Sweep(baselines=(2.0,))
    sweep.run()
    winner = won(sweep)
    assert winner.trial.kind is TrialKind.BASELINE
    assert winner.in_words()[1] == "it is the baseline itself: no other trial has a better mean"
    assert winner.to_json()["verdict"] == "indistinguishable"


def test_of_one_seed_nothing_is_claimed():
    sweep = Sweep(seeds=1)
    sweep.run()
    winner = won(sweep)
    assert winner.interval is None
    assert winner.against is not None
    assert winner.against.verdict == "indistinguishable"
    assert "one seed says nothing of chance" in winner.in_words()[1]


def test_without_a_baseline_there_is_nothing_to_be_better_than():
    sweep = Sweep(baselines=())
    sweep.run()
    assert won(sweep).against is None
    assert won(sweep).to_json()["verdict"] is None


def test_in_words():
    sweep = Sweep()
    sweep.run()
    who, gained = won(sweep).in_words()
    assert who.startswith(f"trial {won(sweep).trial.number}, accuracy 0.")
    assert "on average over 3 fresh seeds (95 % interval 0." in who
    assert "; on the test split test_accuracy 0." in who
    assert gained.startswith("better than the baseline's 0.1997 by 0.")


@pytest.mark.slow
def test_on_pure_noise_at_least_95_of_100_winners_cannot_be_told_from_the_baseline():
    verdicts = Counter()
    for seed in range(100):
        sweep = Sweep(noise, top=3, seeds=3, trials=12, seed=seed, baselines=(0.5,))
        sweep.run()
        winner = won(sweep)
        verdicts[winner.to_json()["verdict"]] += 1
        best = sweep.history.best()[0]
        assert best.reports[-1]["accuracy"] > 0.5, "the search itself is always taken in"
    assert verdicts["indistinguishable"] >= 95, verdicts
