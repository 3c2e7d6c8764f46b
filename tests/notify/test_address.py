"""The webhook's URL: from the environment, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.errors import InputError
from hpsearch.notify.address import find, host_of

URL = "https://hooks.slack.com/services/T0/B0/s3cret"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HPSEARCH_WEBHOOK", "HPSEARCH_WEBHOOK_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_it_is_in_the_environment_or_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find() is None
    file = tmp_path / "secret"
    monkeypatch.setenv("HPSEARCH_WEBHOOK_FILE", str(file))
    with pytest.raises(InputError, match=r"HPSEARCH_WEBHOOK_FILE: cannot read .*; it must hold a webhook's URL"):
        find()
    file.write_text(f"{URL}\n")
    assert find() == URL
    monkeypatch.setenv("HPSEARCH_WEBHOOK", "http://127.0.0.1:8080/x")
    assert find() == "http://127.0.0.1:8080/x", "the variable wins, as it does for the store"


@pytest.mark.parametrize(
    "url",
    [
        "s3cret", "ftp://host/s3cret", "file:///s3cret", "https:///s3cret", "https://ada:s3cret@host/x", "http://host:99999/s3cret",
        "http://host:0/s3cret", "https://host/s3cret x", "https://host/s3cret\x7f", "https://host/é/s3cret", "http://[::1/s3cret",
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_in_file", [False, True])
def test_what_is_no_url_of_a_webhook_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, is_in_file: bool
) -> None:
    file = tmp_path / "file"
    file.write_text(url)
    monkeypatch.setenv(*(("HPSEARCH_WEBHOOK_FILE", str(file)) if is_in_file else ("HPSEARCH_WEBHOOK", url)))
    with pytest.raises(InputError, match="must be the URL of a webhook") as refused:
        find()
    assert "s3cret" not in str(refused.value)
    assert str(refused.value).startswith("HPSEARCH_WEBHOOK")


def test_the_host_alone_is_shown() -> None:
    assert host_of(URL) == "hooks.slack.com"
    assert host_of("http://[::1]:8080/s3cret?token=s3cret#s3cret") == "[::1]:8080"
