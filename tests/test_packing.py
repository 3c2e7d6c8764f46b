"""What part of a GPU a trial gets, on histories written by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hpsearch.events import Assigned, Ended, Event, Measured, TrialCreated
from hpsearch.packing import GRANTS, grant
from hpsearch.search.history import History
from hpsearch.trial import Objective, TrialKind, TrialState

GB = 10**9


def past(*bodies):
    history = History((Objective("loss", "minimize"),))
    return history.apply(Event(seq, 0, body) for seq, body in enumerate(bodies, start=1))


def trial(number, gpus=1.0, peak_gb=None, total_gb=16):
    made = [TrialCreated(number, TrialKind.SEARCH, {}, 0, 5), Assigned(number, 1, "here", 5, gpus=gpus)]
    return [*made, Measured(number, 1, int(peak_gb * GB), total_gb * GB)] if peak_gb else made


def test_while_nothing_is_measured_a_trial_gets_a_whole_gpu():
    assert grant(past(), None) == 1
    history = past(*trial(0))
    assert (grant(history, None), grant(history, history.trials[0])) == (1, 1)


@pytest.mark.parametrize(
    ("peak_gb", "expected"), [(0.1, 1 / 8), (1.7, 1 / 8), (1.8, 1 / 4), (3.4, 1 / 4), (3.6, 1 / 2), (6.9, 1 / 2), (7, 1), (20, 1)]
)
def test_it_is_the_smallest_part_that_holds_the_peak_and_fifteen_percent(peak_gb, expected):
    """Of 16 GB the parts are 2, 4, 8 and 16: without the margin 1.74, 3.48 and 6.96."""
    history = past(*trial(0, peak_gb=peak_gb))
    assert grant(history, history.trials[0]) == expected


def test_a_trial_that_is_not_measured_yet_gets_what_is_usual():
    """1/8, 1/8, 1/2, 1 and 1/4 were needed: the one in the middle is 1/4; of 1/8 and 1 it is the smaller."""
    peaks = (1, 1.5, 6, 12, 3)
    history = past(*(body for number, peak in enumerate(peaks) for body in trial(number, peak_gb=peak)))
    assert grant(history, None) == 1 / 4
    history = past(*trial(0, peak_gb=1), *trial(1, peak_gb=12), *trial(2))
    assert grant(history, history.trials[2]) == 1 / 8


def test_what_ran_out_of_memory_gets_twice_as_much_up_to_a_whole_gpu():
    history = past(*trial(0, peak_gb=1), *trial(1, gpus=1 / 8), Ended(1, 1, TrialState.WAITING, starved=True))
    assert grant(history, history.trials[1]) == 1 / 4
    for attempt, given, expected in ((2, 1 / 4, 1 / 2), (3, 1 / 2, 1), (4, 1.0, 1)):
        more = (Assigned(1, attempt, "here", 5, gpus=given), Ended(1, attempt, TrialState.WAITING, starved=True))
        history = history.apply(Event(history.seq + 1 + i, 0, body) for i, body in enumerate(more))
        assert grant(history, history.trials[1]) == expected
    assert grant(history, history.trials[0]) == 1 / 8, "others are not concerned"


def test_the_smallest_gpu_counts_and_the_highest_peak():
    history = past(*trial(0, peak_gb=1, total_gb=80), *trial(1, peak_gb=1, total_gb=8))
    assert [grant(history, history.trials[number]) for number in (0, 1)] == [1 / 4] * 2
    history = past(*trial(0, peak_gb=3), Measured(0, 1, 6 * GB, 16 * GB), Measured(0, 1, 2 * GB, 16 * GB))
    assert grant(history, history.trials[0]) == 1 / 2


def test_parts_of_parts_fill_a_gpu_without_a_gap():
    assert all(larger == 2 * smaller for smaller, larger in pairwise(GRANTS))
    assert GRANTS[-1] == 1


def test_a_re_test_is_its_parent_again():
    again = (TrialCreated(2, TrialKind.RETEST, {}, 0, 5, parent=0), Assigned(2, 1, "here", 5))
    history = past(*trial(0, peak_gb=6), *trial(1, peak_gb=1), *again)
    assert grant(history, history.trials[2]) == 1 / 2
