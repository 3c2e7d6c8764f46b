"""What the samples say, against what other programs say of the same processes: ps, and the arithmetic of what they do."""

import math
import os
import subprocess
import sys
import time

import pytest
from channel import Channel

from hpsearch.training import run_assignment, usage
from hpsearch.training.usage import Usage
from hpsearch.trial import Assignment, Objective, TrialKind

pytestmark = pytest.mark.slow

CPU, MEMORY = "cpu_utilization_percentage", "system_memory_usage_megabytes"


def sampled(seconds, work=time.sleep, **given):
    with Usage(first_s=0.3, every_s=0.3, **given) as made:
        work(seconds)
    return made.take()


def compute(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        math.sqrt(2)


def resident_mb(pid):
    """As ps has it."""
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout) * 1024 / 1e6


def test_memory_is_what_ps_says_and_cpu_what_the_process_counts():
    sampled(0.4)  # the very first imports psutil
    before_ms = time.time() * 1000
    began_s, began = time.process_time(), time.monotonic()
    busy = sampled(1.0, compute)
    percent = 100 * (time.process_time() - began_s) / (time.monotonic() - began)
    idle = sampled(1.0)
    assert all(set(sample.used) == {CPU, MEMORY} for sample in (*busy, *idle))
    assert all(before_ms < sample.taken_ms < time.time() * 1000 for sample in (*busy, *idle))
    assert busy[0].used[MEMORY] == pytest.approx(resident_mb(os.getpid()), rel=0.1)
    assert sum(sample.used[CPU] for sample in busy) / len(busy) == pytest.approx(percent, abs=25)
    assert max(sample.used[CPU] for sample in idle) < percent / 2


def test_what_is_shorter_than_the_first_sample_has_none_and_is_not_held_up():
    began = time.monotonic()
    with Usage() as made:
        pass
    assert (made.take(), time.monotonic() - began < 0.1) == ((), True)


def test_processes_that_the_trial_starts_count_and_earlier_ones_do_not():
    hungry = [sys.executable, "-c", "x = bytearray(200_000_000); import time; time.sleep(60)"]
    with subprocess.Popen(hungry) as earlier:
        try:
            time.sleep(1.0)
            (alone, *_) = sampled(0.5)
            with Usage(first_s=2.0) as made, subprocess.Popen(hungry) as own:
                time.sleep(2.5)
                own.kill()
            (both,) = made.take()
        finally:
            earlier.kill()
    assert both.used[MEMORY] - alone.used[MEMORY] == pytest.approx(210, abs=15)


def test_another_root_is_sampled_in_place_of_the_worker():
    with Usage(first_s=1.0) as made, subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"]) as process:
        made.of(process.pid)
        time.sleep(1.4)
        process.kill()
    (sample,) = made.take()
    assert sample.used[MEMORY] < 40 < resident_mb(os.getpid())
    assert sample.used[CPU] > 5, "a busy machine may have given its cores to others"


def test_one_that_has_ended_is_no_error():
    process = subprocess.Popen([sys.executable, "-c", ""])
    with Usage(first_s=0.3) as made:
        made.of(process.pid)
        process.wait()
        time.sleep(0.5)
    assert made.take() == ()


def test_samples_come_with_reports_and_the_outcome(tmp_path, monkeypatch):
    class Task:
        objectives = (Objective("loss", "minimize"),)

        def run(self, trial):
            for step in trial.steps():
                time.sleep(0.35)
                trial.report(step, {"loss": 1.0})
            time.sleep(0.35)

    channel = Channel()
    monkeypatch.setattr(usage.Usage.__init__, "__kwdefaults__", {"first_s": 0.3, "every_s": 0.35})
    outcome = run_assignment(Task(), Assignment(0, 1, TrialKind.SEARCH, {}, 0, 3), channel, tmp_path)
    heard = channel.reports
    assert [len(report.samples) for report in heard] == [1, 1, 1]
    assert len(outcome.samples) == 1
    assert heard[0].samples[0].taken_ms < heard[1].samples[0].taken_ms < outcome.samples[0].taken_ms
