"""What there is to tell of a sweep: folded from histories that really were committed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest

from hpsearch.events import Assigned, Body, Ended, Reported, SweepClosed, SweepOpened, TrialCreated
from hpsearch.ledger import fold
from hpsearch.ledger.memory import MemoryLedger
from hpsearch.notify.messages import APART_S, Message, News
from hpsearch.search.history import History
from hpsearch.trial import Objective, TrialKind, TrialState

ACCURACY = Objective("val_accuracy", "maximize")
COST = Objective("cost", "minimize")
ALL = ("end", "failure", "best")


class Sweep:
    """A sweep to which things happen."""

    def __init__(self, *objectives: Objective) -> None:
        self.objectives = objectives or (ACCURACY,)
        self.ledger = MemoryLedger()
        self.sweep = self.ledger.create("digits", {}, [])
        self.lease = self.ledger.acquire(self.sweep.id, "controller", "me", 3600)
        self.ledger.commit(self.lease, [SweepOpened("me")])

    @property
    def history(self) -> History:
        return fold(self.ledger, self.sweep.id, self.objectives)

    def trial(
        self, *values: float, state: TrialState = TrialState.COMPLETED, kind: TrialKind = TrialKind.SEARCH, reason: str | None = None
    ) -> History:
        self.ledger.commit(self.lease, list(self._bodies(values, state, kind, reason)))
        return self.history

    def _bodies(self, values: tuple[float, ...], state: TrialState, kind: TrialKind, reason: str | None) -> Iterator[Body]:
        number = len(self.history)
        yield TrialCreated(number, kind, {"learning_rate": 0.1 * number}, 0, 1, parent=0 if kind is TrialKind.RETEST else None)
        yield Assigned(number, 1, "here", 1)
        yield Reported(number, 1, 1, {o.metric: v for o, v in zip(self.objectives, values, strict=False)}, 0.1)
        yield Ended(number, 1, state, reason)


def looked(news: News, history: History, now_s: float = 0.0) -> list[Message]:
    return list(news.look(history, now_s))


def begun(sweep: Sweep, on=ALL) -> News:
    return News(on, "digits", sweep.history)


def test_a_baseline_alone_is_no_news_and_what_beats_it_is():
    sweep = Sweep()
    news = begun(sweep)
    assert looked(news, sweep.trial(0.9, kind=TrialKind.BASELINE)) == []
    assert looked(news, sweep.trial(0.92, kind=TrialKind.BASELINE)) == []
    assert looked(news, sweep.trial(0.8)) == []
    (message,) = looked(news, sweep.trial(0.95))
    assert (message.event, message.state, message.trial) == ("best", "running", 3)
    assert (message.values, message.params) == ({"val_accuracy": 0.95}, {"learning_rate": pytest.approx(0.3)})
    assert message.text == "*digits*: new best val_accuracy 0.95 (trial 3); the baseline has 0.92. learning_rate 0.3"


def test_the_first_trial_of_all_is_better_than_nothing_and_not_told_of():
    sweep = Sweep()
    news = begun(sweep)
    assert looked(news, sweep.trial(0.5)) == []
    assert [m.text for m in looked(news, sweep.trial(0.6))] == [
        "*digits*: new best val_accuracy 0.6 (trial 1), before 0.5. learning_rate 0.1"
    ]


@pytest.mark.parametrize(("state", "kind"), [(TrialState.PRUNED, TrialKind.SEARCH), (TrialState.COMPLETED, TrialKind.RETEST)])
def test_only_completed_trials_of_the_search_are_best(state, kind):
    sweep = Sweep()
    news = begun(sweep)
    sweep.trial(0.5)
    assert looked(news, sweep.trial(0.9, state=state, kind=kind)) == []


def test_nan_is_never_best():
    sweep = Sweep()
    news = begun(sweep)
    sweep.trial(0.5)
    assert looked(news, sweep.trial(math.nan)) == []


def test_of_many_new_bests_within_a_minute_the_newest_is_told_when_it_is_over():
    sweep = Sweep()
    news = begun(sweep)
    sweep.trial(0.1)
    assert [m.trial for m in looked(news, sweep.trial(0.2), 100.0)] == [1]
    assert looked(news, sweep.trial(0.3), 101.0) == []
    assert looked(news, sweep.trial(0.4), 100.0 + APART_S - 0.1) == []
    (message,) = looked(news, sweep.history, 100.0 + APART_S)
    assert message.text.startswith("*digits*: new best val_accuracy 0.4 (trial 3), before 0.2.")
    assert looked(news, sweep.history, 1e6) == [], "once"


def test_failures_are_counted_and_told_at_most_once_a_minute():
    sweep = Sweep()
    news = begun(sweep)
    (one,) = looked(news, sweep.trial(0.1, state=TrialState.FAILED, reason="ValueError: <b>no</b>"), 0.0)
    assert (one.event, one.trial) == ("failure", 0)
    assert one.text == "*digits*: 1 trial failed, last: trial 0 failed: ValueError: &lt;b&gt;no&lt;/b&gt;"
    sweep.trial(0.1, state=TrialState.OUT_OF_MEMORY)
    assert looked(news, sweep.trial(0.1, state=TrialState.DIVERGED), 1.0) == [], "that is found out, and no failure"
    assert [m.text for m in looked(news, sweep.history, 61.0)] == ["*digits*: 2 trials failed, last: trial 1 out of memory"]


def test_what_was_there_before_a_resume_is_not_new():
    sweep = Sweep()
    sweep.trial(0.5)
    sweep.trial(0.9)
    sweep.trial(0.1, state=TrialState.FAILED)
    news = begun(sweep)
    assert looked(news, sweep.history) == []
    assert looked(news, sweep.trial(0.7)) == []
    (message,) = looked(news, sweep.trial(0.95))
    assert "before 0.9." in message.text


@pytest.mark.parametrize("on", [("end",), ("failure",), ("best",), ()])
def test_only_what_is_asked_for_is_told(on):
    sweep = Sweep()
    news = begun(sweep, on)
    sweep.trial(0.5)
    sweep.trial(0.1, state=TrialState.FAILED)
    told = [*looked(news, sweep.trial(0.6)), *news.end(sweep.history, SweepClosed("completed"))]
    assert {m.event for m in told} == set(on)


def test_the_end_tells_all_and_what_waited_is_told_only_where_it_does_not():
    sweep = Sweep()
    for on, told in ((ALL, ["end"]), (("best", "failure"), ["best", "failure"])):
        news = begun(sweep, on)
        sweep.trial(0.1 + len(sweep.history))
        sweep.trial(0.1, state=TrialState.FAILED)
        looked(news, sweep.trial(0.2 + len(sweep.history)), 0.0)
        sweep.trial(0.0, state=TrialState.FAILED)
        looked(news, sweep.trial(0.3 + len(sweep.history)), 1.0)
        ended = list(news.end(sweep.history, SweepClosed("completed")))
        assert [m.event for m in ended] == told
        assert ended[0].trial == len(sweep.history) - 1


def test_how_a_sweep_ended():
    sweep = Sweep()
    news = begun(sweep, ("end",))
    sweep.trial(0.9, kind=TrialKind.BASELINE)
    (message,) = news.end(sweep.trial(0.95), SweepClosed("stopped", "interrupted"))
    assert (message.event, message.state, message.trial) == ("end", "stopped", 1)
    assert message.text.startswith(
        "*digits*: stopped (interrupted) after 0.0 s: 2 completed. Best: val_accuracy 0.95 (trial 1); the baseline"
    )


def test_a_sweep_in_which_nothing_completed_has_failed():
    sweep = Sweep()
    history = sweep.trial(0.9, state=TrialState.FAILED)
    closed = SweepClosed("failed", "no trial completed")
    for on in (("end",), ("failure",)):
        (message,) = News(on, "digits", History((ACCURACY,))).end(history, closed)
        assert (message.event, message.state, message.trial, message.values) == (on[0], "failed", None, None)
        assert "failed (no trial completed)" in message.text
    assert list(News(("best",), "digits", History((ACCURACY,))).end(history, closed)) == []


def test_a_run_that_broke_shows_no_password():
    sweep = Sweep()
    (message,) = begun(sweep).broken(sweep.history, RuntimeError("postgresql://ada:s3cret@host/db is away"))
    assert (message.event, message.state) == ("failure", "interrupted")
    assert "s3cret" not in message.text
    assert "RuntimeError: postgresql://ada:∗∗∗＠host/db is away" in message.text


def test_of_several_objectives_what_is_new_on_the_front_is_told():
    sweep = Sweep(ACCURACY, COST)
    news = begun(sweep)
    sweep.trial(0.5, 10.0)
    assert looked(news, sweep.trial(0.4, 11.0), 0.0) == []
    (message,) = looked(news, sweep.trial(0.4, 5.0), 0.0)
    assert message.text.startswith("*digits*: trial 2 is new on the front of 2 trials: val_accuracy 0.4, cost 5.")
    assert message.values == {"val_accuracy": 0.4, "cost": 5.0}
    (end,) = news.end(sweep.history, SweepClosed("completed"))
    assert "2 trials that no other beats in everything, the first: val_accuracy 0.5, cost 10." in end.text


def test_following_a_history_finds_the_same_front_as_looking_at_all_of_it():
    sweep = Sweep(ACCURACY, COST)
    news = begun(sweep)
    for i in range(40):
        history = sweep.trial(((i * 7919) % 101) / 101, ((i * 104729) % 97) / 97)
        looked(news, history, i * APART_S)
        assert {t.number for t in news._front} == {t.number for t in history.best()}


def test_as_json_it_is_what_the_page_says_and_bounded():
    message = Message("best", "a<b", "running", "*x*", 3, {"loss": math.nan, "acc": 1.0}, {"lr": math.inf, "units": [1, 2]})
    sent = json.loads(json.dumps(message.to_json("http://mlflow:5000/#/experiments/1"), allow_nan=False))
    assert sent == {
        "event": "best", "sweep": "a<b", "state": "running", "trial": 3, "values": {"loss": None, "acc": 1.0},
        "params": {"lr": None, "units": [1, 2]}, "mlflow": "http://mlflow:5000/#/experiments/1",
        "text": "*x* <http://mlflow:5000/#/experiments/1|MLflow>",
    }  # fmt: skip
    assert message.to_json(None)["mlflow"] is None


def test_names_and_values_do_nothing_and_no_text_is_longer_than_it_may_be():
    sweep = Sweep(Objective("<!channel>" * 50, "maximize"))
    number = len(sweep.history)
    wild = {f"*{i}*<@U1>" + "&" * 300: "`x`" * 300 for i in range(50)}
    for value in (0.1, 0.2):
        bodies = [
            TrialCreated(number, TrialKind.SEARCH, wild, 0, 1),
            Assigned(number, 1, "here", 1),
            Reported(number, 1, 1, {sweep.objectives[0].metric: value}, 0.1),
            Ended(number, 1, TrialState.COMPLETED),
        ]
        sweep.ledger.commit(sweep.lease, bodies)
        number += 1
    (message,) = News(("end",), "*_<n>_*", History(sweep.objectives)).end(sweep.history, SweepClosed("stopped", "*" * 9000))
    assert len(message.text) <= 3000
    assert not set(message.text.removeprefix("*").replace("*:", ":", 1)) & set("<>*`@~")


def test_what_is_told_does_not_depend_on_when_somebody_looks():
    values = [0.5, 0.4, 0.7, 0.7, 0.6, 0.9]
    for looks in (range(6), [5], [1, 4, 5]):
        sweep = Sweep()
        news = begun(sweep, ("best",))
        for i, value in enumerate(values):
            history = sweep.trial(value)
            told = looked(news, history, i * APART_S) if i in looks else []
        assert [m.trial for m in told] == [5]
