"""A real web server that takes messages, or does what else it is told."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "T0SECRET/B0SECRET/x7secretx7"


@dataclass
class Receiver:
    """`answers` are used up one a request, the last one for all that follow: a status, with headers, or `hang`, until `let_go`."""

    port: int = 0
    answers: list[Any] = field(default_factory=lambda: [(200, {})])
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/{SECRET}"

    def wait(self, is_there: Callable[[], bool], timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_there():
            assert time.monotonic() < deadline, (self.got, self.paths)
            time.sleep(0.01)

    def events(self) -> list[str]:
        return [message["event"] for message in self.got]


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """One, as long as it is open."""
    seen = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.at_s.append(time.monotonic())
            seen.paths.append(self.path)
            seen.headers.append(dict(self.headers))
            seen.got.append(json.loads(body) if body else {})
            answer = seen.answers.pop(0) if len(seen.answers) > 1 else seen.answers[0]
            if answer == "hang":
                seen.let_go.wait(60)
                return
            status, headers = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        do_POST = do_GET = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Not on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    seen.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield seen
    seen.let_go.set()
    server.shutdown()
    server.server_close()
    thread.join()
