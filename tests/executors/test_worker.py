"""What a worker process says and hears, over a real pipe."""

from __future__ import annotations

import multiprocessing
import time

from hpsearch.executors.worker import ANSWER_SHARE, Answered, _Piped
from hpsearch.trial import Continue, Report, Stop


def test_it_waits_for_an_answer_for_its_share_of_a_step_and_not_for_whole_milliseconds():
    ours, _theirs = multiprocessing.Pipe()
    channel, waited = _Piped(ours), []
    for step in range(1, 201):
        began = time.perf_counter()
        assert channel.report(Report(step, {"loss": 1.0}, duration_s=0.01), last=False) is None
        waited.append(time.perf_counter() - began)
    assert ANSWER_SHARE * 0.01 <= min(waited) < 0.001, "however busy the machine is, once in 200 times it comes through"


def test_what_has_been_answered_is_heard():
    ours, theirs = multiprocessing.Pipe()
    channel = _Piped(ours)
    theirs.send(Answered(1, Continue(9)))
    theirs.send(Answered(2, Stop("enough")))
    assert channel.report(Report(3, {"loss": 1.0}, duration_s=60.0), last=False) == Stop("enough")
