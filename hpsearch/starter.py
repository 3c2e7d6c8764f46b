"""The commented sweep file that `hpsearch init` writes."""

from __future__ import annotations

from pathlib import Path

from hpsearch.config import template
from hpsearch.errors import InputError


def write_starter(file: Path) -> Path:
    """Write the file, and give back where it is. Raises `InputError` where one is there already, or the folder cannot be written."""
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(template())
    except FileExistsError:
        raise InputError(f"{file} exists already and is not overwritten; name another file") from None
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}; name a file in a folder that exists and is yours") from None
    return file.absolute()
