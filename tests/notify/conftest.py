"""A webhook that is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from receivers import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as seen:
        yield seen
