"""What a command was started without."""

from __future__ import annotations

import os
import sys


def have_streams() -> None:
    """Where one of the three standard streams is closed (`>&-`), put nothing in its place.

    Otherwise the next file that is opened, which may be the ledger, would get its number, and what a child process prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115, PTH123
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
