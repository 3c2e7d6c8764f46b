"""What is no user's mistake: defects, interrupts, readers that go away."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from hpsearch.cli import guard
from hpsearch.cli.session import Session, Settings


def boom() -> int:
    raise RuntimeError("connect to postgresql://ada:secret@host/db failed")


def test_a_defect_is_one_line_and_its_traceback_a_file(tmp_path: Path, capsys):
    code = guard.guard(Session(Settings(home=tmp_path / "home", json=True)), boom)
    out, err = capsys.readouterr()
    assert code == 70
    assert "Traceback" not in out + err
    assert "a defect of hpsearch: RuntimeError: connect to postgresql://ada:***@host/db failed" in err
    (file,) = (tmp_path / "home" / "logs").iterdir()
    assert str(file) in err
    told = file.read_text()
    assert "Traceback" in told
    assert "boom" in told
    assert "secret" not in told + out + err


def test_verbose_shows_the_traceback(tmp_path: Path, capsys):
    assert guard.guard(Session(Settings(home=tmp_path / "home", verbose=True)), boom) == 70
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "secret" not in err
    assert not (tmp_path / "home").exists()


def test_an_interrupt_is_130(tmp_path: Path, capsys):
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert guard.guard(Session(Settings(home=tmp_path)), interrupted) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_what_the_library_logs_is_shown_masked_and_quietly(tmp_path: Path, capsys):
    def logs() -> int:
        logging.getLogger("hpsearch.somewhere").warning("no \x1b[31m%s", "postgresql://ada:secret@host/db")
        logging.getLogger("hpsearch.somewhere").debug("details")
        return 0

    guard.guard(Session(Settings(home=tmp_path)), logs)
    assert capsys.readouterr().err == "warning: no postgresql://ada:***@host/db\n"
    guard.guard(Session(Settings(home=tmp_path, verbose=True)), logs)
    assert "debug: details" in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(processes, finished):
    for arguments in (["schema"], ["show", "small", "--home", finished.home, "--json"], ["list", "--home", finished.home]):
        with processes.start(*arguments) as process:
            process.stdout.close()
            assert process.stderr.read() == ""
        assert process.returncode == 0


@pytest.mark.slow
def test_a_terminal_that_knows_ascii_only(processes, finished, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    ran = processes.run("show", "small", 1, "--home", finished.home)
    assert ran.code == 0, ran.err
    assert "val_accuracy" in ran.out


def test_what_takes_long_is_announced_and_what_does_not_is_not(capsys):
    session = Session(Settings())
    session.announce("this takes long", after_s=0.0)
    time.sleep(0.2)
    session.settle()
    session.announce("this does not", after_s=60.0)
    session.settle()
    assert capsys.readouterr().out == "this takes long\n"
