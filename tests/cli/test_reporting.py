"""report and compare."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hpsearch import ledger as ledgers
from hpsearch.cli import reporting
from hpsearch.report import page

pytestmark = pytest.mark.slow


def test_the_report_of_a_sweep(hp, copied: Path) -> None:
    (copied / "reports" / "small.html").unlink()
    ran = hp("report", "small", "--json")
    path = copied / "reports" / "small.html"
    assert (ran.code, ran.json) == (0, {"sweep": "small", "report": str(path)})
    assert "<title>small</title>" in path.read_text()


def test_it_goes_where_it_is_told(hp, copied: Path, tmp_path: Path) -> None:
    ran = hp("report", "small", "--output", "mine.html")
    assert (ran.code, ran.out) == (0, "mine.html\n")
    assert (tmp_path / "mine.html").stat().st_size > 1e6


def test_a_sweep_that_is_not_there(hp, copied: Path) -> None:
    ran = hp("report", "smal")
    assert ran.code == 2
    assert "small" in ran.err


def test_watching_ends_with_the_sweep(hp, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written while the sweep runs, and once more when it has ended: also where it ends while the page is being written."""
    ledger = ledgers.open(f"sqlite:///{copied / 'ledger.db'}")
    sweep = ledger.find("small").id
    lease = ledger.acquire(sweep, "controller", ledgers.holder(), 60)
    written = []
    write_report = page.write_report

    def ends_meanwhile(*arguments: Any) -> Path:
        path = write_report(*arguments)
        written.append('"renew_s":0.1' in path.read_text())
        if len(written) == 3:
            ledger.release(lease)
        return path

    monkeypatch.setattr(reporting, "_RENEW_S", 0.1)
    monkeypatch.setattr(page, "write_report", ends_meanwhile)
    assert hp("report", "small", "--watch").code == 0
    assert written == [True, True, True, False]
    ledger.close()


def test_two_sweeps_beside_each_other(hp, copied: Path, sweep_file: Path) -> None:
    assert hp("run", sweep_file, "--name", "second", "budget.trials=2", "--quiet").code == 0
    ran = hp("compare", "small", "second", "--json")
    assert ran.code == 0
    assert [s["sweep"] for s in ran.json["sweeps"]] == ["small", "second"]
    for sweep in ran.json["sweeps"]:
        best = hp("best", sweep["sweep"], "--json").json
        assert sweep["best"] == best["best"][0]["values"]["val_accuracy"]
        assert sweep["trials"] == hp("status", sweep["sweep"], "--json").json["trials"]
    assert Path(ran.json["report"]) == copied / "reports" / "small-vs-second.html"
    shown = hp("compare", "small", "second").out
    assert [line.split()[0] for line in shown.splitlines()[:3]] == ["name", "small", "second"]


def test_run_writes_the_report_and_says_where(finished) -> None:
    path = finished.home / "reports" / "small.html"
    assert finished.ran.json["report"] == str(path)
    text = path.read_text()
    assert "completed</span>" in text
    assert len(json.loads(text.partition('id="data-trials">')[2].partition("</script>")[0])["rows"]) == 4


def test_a_report_that_cannot_be_written_costs_no_sweep(hp, copied: Path) -> None:
    """`reports` is a file: the result stands, and the command says what is wrong."""
    shutil.rmtree(copied / "reports")
    (copied / "reports").write_text("")
    file = copied.parent / "small.yaml"
    assert hp("extend", "small", "--trials", "5").code == 0
    ran = hp("resume", "small", "--json")
    assert (ran.code, ran.json["report"], ran.json["trials"]) == (0, None, {"completed": 5})
    assert "no report of sweep 'small' was written" in ran.err
    assert not file.exists()
