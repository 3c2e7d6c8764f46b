"""What a sweep trains on, and what names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpsearch.trial import Json


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a sweep trains on, and how that is split.

    Args:
        name: a built-in set's, or the file's or folder's.
        digest: of the data and of all that says which of them are trained, validated and tested on (hex, 32 characters). It is the same on
            every machine, wherever the files lie: results of equal digests are comparable.
        format: builtin, csv, parquet, npz, idx or images.
        place: a built-in set's name, or the path.
        columns: the type of each (double, long, boolean, string), or the shape of what is no column.
        target: the column that is predicted; None where none is.
        rows: examples in train, validation and test.
        left_out: columns that are not among `columns`.
    """

    name: str
    digest: str
    format: str
    place: str
    columns: Mapping[str, Json]
    target: str | None
    rows: Mapping[str, int]
    left_out: int = 0


def digest_of(identity: Sequence[Json]) -> str:
    """What names data and their split, of all that they depend on."""
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
