"""The webhook's URL: whoever has it can write to the channel, so it comes from the environment, and of it only the host is ever shown."""

from __future__ import annotations

from urllib.parse import urlsplit

from hpsearch.config.environment import secret
from hpsearch.errors import InputError

VARIABLE = "HPSEARCH_WEBHOOK"
CURE = f"set {VARIABLE} to its URL, or {VARIABLE}_FILE to a file that holds it"


def find() -> str | None:
    """The URL that the environment tells; None where it tells none.

    Raises:
        InputError: it is no URL that a webhook can have; it is not shown.
    """
    told = secret(VARIABLE, "a webhook's URL")
    if told is None:
        return None
    if not _is_right(told.value):
        raise InputError(
            f"{told.origin}: must be the URL of a webhook, http:// or https:// with a host and without a user name, got something else "
            "(not shown, as it may be a secret)"
        )
    return told.value


def _is_right(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False


def host_of(url: str) -> str:
    """All that may be shown of it: `hooks.slack.com`."""
    return urlsplit(url).netloc
