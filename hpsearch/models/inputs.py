"""What one example is, as far as a network must know before it is built. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from hpsearch.trial import Json

InputKind: TypeAlias = Literal["rows", "image", "sequence", "tokens"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The kind and the shape of one example.

    Args:
        kind: decides how the shape is read: rows (columns,); image (channels, height, width); sequence (steps, features), both of
            float32; tokens (steps,) of int64.
        vocabulary: of tokens: how many ids there are, from 0, which is padding at the end.
    """

    kind: InputKind
    shape: tuple[int, ...]
    vocabulary: int = 0

    @property
    def size(self) -> int:
        """How many numbers an example has."""
        return math.prod(self.shape)

    @property
    def as_sequence(self) -> tuple[int, int]:
        """Steps and features: an image is read row by row, a row column by column; a token has one feature, its id."""
        if self.kind == "image":
            channels, height, width = self.shape
            return height, channels * width
        return (self.shape[0], 1) if len(self.shape) == 1 else (self.shape[0], self.shape[1])

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Inputs:
        return cls(content["kind"], tuple(content["shape"]), content["vocabulary"])
