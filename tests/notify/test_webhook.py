"""Messages on their way, by real HTTP: answers of every kind, and none."""

from __future__ import annotations

import logging
import socket
import threading
import time
from email.utils import formatdate

import pytest
from receivers import SECRET, Receiver

from hpsearch.notify import webhook
from hpsearch.notify.messages import Message
from hpsearch.notify.webhook import Refused, Webhook, send

pytestmark = pytest.mark.slow

BEST, FAILURE, END = (Message(event, "digits", "running", f"*digits*: {event}") for event in ("best", "failure", "end"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries that follow each other at once."""
    monkeypatch.setattr(webhook, "AGAIN_AFTER_S", (0.01,) * 3)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tries, each of which ends soon."""
    monkeypatch.setattr(webhook, "AGAIN_AFTER_S", (0.01,))
    monkeypatch.setattr(webhook, "TRY_S", 0.2)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture):
    """The warnings so far; none ever holds the secret."""
    caplog.set_level(logging.DEBUG)
    yield lambda: [r.getMessage() for r in caplog.records if r.name.startswith("hpsearch")]
    assert not any(part in caplog.text for part in SECRET.split("/"))


def test_a_message_arrives_as_json_once(receiver: Receiver, warned) -> None:
    hook = Webhook(receiver.url, lambda: "http://mlflow/x")
    hook.post(END)
    hook.close(10)
    assert receiver.got == [END.to_json("http://mlflow/x")]
    assert receiver.paths == [f"/services/{SECRET}"]
    assert receiver.headers[0]["Content-Type"] == "application/json"
    assert warned() == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_may_pass_is_tried_again(receiver: Receiver, warned, status: int) -> None:
    receiver.answers = [(status, {}), (status, {}), (200, {})]
    hook = Webhook(receiver.url)
    hook.post(END)
    hook.close(10)
    assert receiver.events() == ["end"] * 3
    assert warned() == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_what_will_not_pass_is_given_up_with_one_warning(receiver: Receiver, warned, status: int) -> None:
    receiver.answers = [(status, {})]
    hook = Webhook(receiver.url)
    for message in (BEST, FAILURE, END):
        hook.post(message)
        receiver.wait(lambda sent=message: sent.event in receiver.events())
    hook.close(10)
    assert receiver.events() == ["best", "failure", "end"], "each is tried once"
    (warning,) = warned()
    assert warning == (
        f"the webhook at 127.0.0.1:{receiver.port} was not told of a new best trial: it answers with HTTP status {status}; "
        "see whether HPSEARCH_WEBHOOK is right"
    )


@pytest.mark.usefixtures("quick")
def test_redirections_are_not_followed(receiver: Receiver, warned) -> None:
    receiver.answers = [(302, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}), (200, {})]
    hook = Webhook(receiver.url)
    hook.post(END)
    hook.close(10)
    assert receiver.paths == [f"/services/{SECRET}"]
    assert "redirections are not followed" in warned()[0]


@pytest.mark.usefixtures("quick")
def test_a_server_that_only_gets_worse_is_given_up_after_a_few_tries_and_warned_of_once(receiver: Receiver, warned) -> None:
    receiver.answers = [(500, {})]
    hook = Webhook(receiver.url)
    hook.post(BEST)
    receiver.wait(lambda: bool(warned()))
    assert receiver.events() == ["best"] * 4
    hook.post(END)
    hook.close(10)
    assert receiver.events() == ["best"] * 4 + ["end"] * 4
    assert len(warned()) == 1


@pytest.mark.usefixtures("quick")
def test_after_it_was_taken_again_the_next_failure_is_warned_of(receiver: Receiver, warned) -> None:
    receiver.answers = [(404, {}), (200, {}), (404, {})]
    hook = Webhook(receiver.url)
    for n, message in enumerate((BEST, FAILURE, END), 1):
        hook.post(message)
        receiver.wait(lambda n=n: len(receiver.got) == n)
    hook.close(10)
    assert len(warned()) == 2


@pytest.mark.slow
def test_it_waits_as_long_as_it_is_told_to(receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "1"}), (200, {})]
    hook = Webhook(receiver.url)
    hook.post(BEST)
    receiver.wait(lambda: len(receiver.got) == 1)
    hook.post(END)
    hook.close(10)
    assert receiver.events() == ["best", "end", "best"]
    assert receiver.at_s[1] - receiver.at_s[0] >= 1, "whatever is posted meanwhile"


@pytest.mark.parametrize("retry_after", ["3600", formatdate(time.time() + 3600, usegmt=True)], ids=["seconds", "date"])
def test_it_does_not_wait_for_an_hour(receiver: Receiver, warned, retry_after: str) -> None:
    receiver.answers = [(429, {"Retry-After": retry_after})]
    hook = Webhook(receiver.url)
    hook.post(END)
    hook.close(10)
    assert (receiver.events(), len(warned())) == (["end"], 1)


@pytest.mark.parametrize("retry_after", ["soon", "-1", "", "٣"])
def test_what_cannot_be_read_of_a_wait_is_nothing(receiver: Receiver, retry_after: str) -> None:
    receiver.answers = [(503, {"Retry-After": retry_after})] if retry_after.isascii() else [(503, {})]
    refused = send(receiver.url, {})
    assert refused == Refused("it answers with HTTP status 503", 0.0)


@pytest.mark.usefixtures("impatient")
def test_one_that_hangs_keeps_nobody(receiver: Receiver, warned) -> None:
    receiver.answers = ["hang"]
    hook = Webhook(receiver.url)
    hook.post(END)
    receiver.wait(lambda: len(receiver.got) >= 1)
    hook.post(END)
    assert not receiver.let_go.is_set(), "whoever posts does not wait for the try that hangs"
    hook.close(10)
    (warning,) = warned()
    assert "was not told of the end of the sweep: no answer within 0.2 s" in warning


@pytest.mark.usefixtures("impatient")
def test_the_end_does_not_wait_until_a_hanging_one_is_given_up(receiver: Receiver, warned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TRY_S", 60.0)
    receiver.answers = ["hang"]
    hook = Webhook(receiver.url)
    hook.post(END)
    receiver.wait(lambda: len(receiver.got) == 1)
    hook.close(0.1)
    assert not receiver.let_go.is_set()
    assert "was not told of the end of the sweep: it has not answered yet" in warned()[0]


@pytest.mark.usefixtures("impatient")
def test_one_that_drips_is_cut_off(warned) -> None:
    """A byte now and then would keep a time limit for each read waiting for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000:
                    if over.wait(0.1):
                        return
                    connection.sendall(bytes([byte]))

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        hook = Webhook(f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}")
        hook.post(END)
        hook.close(10)
        over.set()
        thread.join()
    assert "no answer within 0.2 s" in warned()[0]


@pytest.mark.usefixtures("quick")
def test_nobody_there(warned) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    hook = Webhook(f"http://127.0.0.1:{port}/{SECRET}")
    hook.post(END)
    hook.close(10)
    (warning,) = warned()
    assert f"the webhook at 127.0.0.1:{port} was not told of the end of the sweep: Connection refused" in warning


@pytest.mark.usefixtures("quick")
def test_one_that_hangs_up_without_a_word(warned) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: [server.accept()[0].close() for _ in range(4)], daemon=True)
        thread.start()
        hook = Webhook(f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}")
        hook.post(END)
        hook.close(10)
        thread.join()
    assert len(warned()) == 1


def test_what_is_no_tls_is_refused_in_few_words(receiver: Receiver) -> None:
    refused = send(receiver.url.replace("http:", "https:"), {})
    assert refused is not None
    assert refused.why
    assert SECRET not in refused.why


@pytest.mark.usefixtures("impatient")
def test_of_each_kind_the_newest_waits(receiver: Receiver) -> None:
    receiver.answers = ["hang", (200, {})]
    hook = Webhook(receiver.url)
    hook.post(FAILURE)
    receiver.wait(lambda: len(receiver.got) == 1)
    for n in range(100):
        hook.post(Message("best", "digits", "running", str(n)))
    hook.post(END)
    hook.close(10)
    assert receiver.events()[:2] == ["failure", "end"], "the end before all else"
    assert [m["text"] for m in receiver.got if m["event"] == "best"][-1] == "99"


def test_what_cannot_be_written_as_json_is_not_sent_for_ever(receiver: Receiver) -> None:
    odd = Message("end", "digits", "completed", "x", 1, {}, {"layers": [float("nan")], "\udcff": "\udcff"})
    assert send(receiver.url, {**odd.to_json(None), "params": {"\udcff": object()}}) is None
    with pytest.raises(ValueError, match="JSON"):
        send(receiver.url, odd.to_json(None))
