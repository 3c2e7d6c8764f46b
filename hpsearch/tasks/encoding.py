"""A table's inputs as numbers to train on: standardised, its categorical columns as indicators; all fitted on the training split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.models.inputs import Inputs
from hpsearch.tasks.categories import OneHot
from hpsearch.tasks.forms import Array, Column, Columns, column_type
from hpsearch.tasks.prepared import Kept
from hpsearch.tasks.splits import Scale, Split
from hpsearch.tasks.tables import Table
from hpsearch.trial import Json


@dataclass(frozen=True, slots=True)
class EncodedInputs:
    """Inputs of each split, what meta.json says of them, and what a trained network keeps of them."""

    splits: Mapping[str, NDArray[np.float32]]
    meta: Mapping[str, Json]
    kept: Kept


EXAMPLES = 5
"""Rows of the validation split that are kept as they were given."""


def encode_inputs(table: Table, split: Split) -> EncodedInputs:
    """The numbers standardised, and an indicator for each value of a categorical column beside them."""
    rows = {"train": split.train, "validation": split.validation, "test": split.test}
    scale = Scale.fit(table.inputs[split.train], table.kind)
    indicators = {name: OneHot.fit(values[split.train]) for name, values in table.categorical.items()}
    splits = {}
    for name, chosen in rows.items():
        blocks = [scale.apply(table.inputs[chosen])]
        blocks += [indicators[column].apply(values[chosen]) for column, values in table.categorical.items()]
        splits[name] = np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0]
    features = [*table.features, *(f"{column}={value}" for column, one in indicators.items() for value in one.names)]
    meta = {
        "inputs": Inputs(table.kind, splits["train"].shape[1:]).to_json(),
        "features": features,
        "target": table.target_name,
        "mean": scale.mean.ravel().tolist(),
        "deviation": scale.deviation.ravel().tolist(),
        "rows": {name: len(chosen) for name, chosen in rows.items()},
    }
    return EncodedInputs(splits, meta, _kept(table, split, scale, indicators))


def _kept(table: Table, split: Split, scale: Scale, indicators: Mapping[str, OneHot]) -> Kept:
    rows = split.validation[:EXAMPLES]
    if table.frame is None:
        return Kept(Array(Inputs(table.kind, table.inputs.shape[1:]), scale).to_json(), table.inputs[rows])
    coded = {**dict.fromkeys(table.features), **indicators}
    columns = [Column(name, column_type(table.frame[name]), one_hot) for name, one_hot in coded.items()]
    frame = table.frame[[column.name for column in columns]]
    return Kept(Columns(tuple(columns), scale).to_json(), frame.iloc[rows])
