from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.config.home import Home, mask
from hpsearch.errors import InputError


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HPSEARCH_HOME", "HPSEARCH_STORE", "HPSEARCH_STORE_FILE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_by_default_everything_is_under_a_hidden_folder_here(tmp_path: Path) -> None:
    home = Home.find()
    assert home.root == tmp_path / ".hpsearch"
    assert home.ledger_url == f"sqlite:///{tmp_path}/.hpsearch/ledger.db"
    assert home.tracking_uri == f"sqlite:///{tmp_path}/.hpsearch/mlflow.db"
    assert not home.root.exists()
    home.create()
    assert all(folder.is_dir() for folder in (home.artifacts, home.checkpoints, home.logs, home.outputs, home.data))


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HPSEARCH_HOME", str(tmp_path / "env"))
    monkeypatch.setenv("HPSEARCH_STORE", "postgresql://env/db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert Home.find() == Home(tmp_path / "env", "postgresql://env/db", "http://mlflow:5000")
    assert Home.find(Path("arg"), "sqlite:///x.db") == Home(tmp_path / "arg", "sqlite:///x.db", "http://mlflow:5000")


def test_the_store_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    monkeypatch.setenv("HPSEARCH_STORE_FILE", str(secret))
    with pytest.raises(InputError, match="HPSEARCH_STORE_FILE"):
        Home.find()
    secret.write_text("\n")
    with pytest.raises(InputError, match="must be a SQLAlchemy URL"):
        Home.find()
    secret.write_text("postgresql://u:p@h/d\n")
    assert Home.find().ledger_url == "postgresql://u:p@h/d"


@pytest.mark.parametrize("store", ["", "ledger.db"])
def test_a_store_that_is_no_url(store: str) -> None:
    with pytest.raises(InputError, match="--store: must be a SQLAlchemy URL"):
        Home.find(store=store)


def test_a_home_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another home"):
        Home.find(tmp_path / "file").create()
    with pytest.raises(InputError, match=r"'\?'"):
        Home.find("what?")
    with pytest.raises(InputError, match="is a URL; name a folder"):
        Home.find(Path("s3://bucket/home"))
    with pytest.raises(InputError, match="no text in UTF-8"):
        Home.find("\udcff")


def test_a_password_in_a_store_without_a_scheme_is_not_shown() -> None:
    with pytest.raises(InputError) as error:
        Home.find(store="ada:s3cret@host/db")
    assert "s3cret" not in str(error.value)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("letter", ["xxxxxxxxxxxxxxxx", "?", "a://", "?password"])
def test_masking_a_long_text_takes_no_time(letter: str) -> None:
    text = letter * 5_000
    assert mask(text) == text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:s3cret@host/db", "postgresql://ada:***@host/db"),
        ("postgresql+psycopg://ada:p@ss:w/rd@host/db", "postgresql+psycopg://ada:***@host/db"),
        ("postgresql://ada@host/db", "postgresql://ada@host/db"),
        ("sqlite:////tmp/x@y:z.db", "sqlite:////tmp/x@y:z.db"),
        ("postgresql:///db?host=/tmp&password=s3cret&x=1", "postgresql:///db?host=/tmp&password=***&x=1"),
        ("cannot reach http://u:s3cret@mlflow:5000 now", "cannot reach http://u:***@mlflow:5000 now"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert mask(url) == shown
