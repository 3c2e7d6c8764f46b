"""Generation: a network that makes examples like those of the data, judged by how far theirs and the data's features are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.models.gan_plan import settle
from hpsearch.models.inputs import Inputs
from hpsearch.tasks import prepared, tables
from hpsearch.tasks.answers import Answer, Made
from hpsearch.tasks.data_task import PREFIX, Data, DataTask, Encoded
from hpsearch.tasks.encoding import EXAMPLES, EncodedInputs, encode_inputs
from hpsearch.tasks.findings import examine
from hpsearch.tasks.forms import Array, Draws, Form, draw_latent
from hpsearch.tasks.frechet import Features, frechet_distance
from hpsearch.tasks.picture import grid_png
from hpsearch.tasks.prepared import Arrays, Kept
from hpsearch.tasks.splits import Scale, Split, split_published
from hpsearch.tasks.tables import Table
from hpsearch.trial import Json

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.tasks.predictor import Given
    from hpsearch.training.loop import Learner, Measure, Metrics
    from hpsearch.training.trial import Trial

SAMPLES = 1_000
"""Examples that are made to be judged."""

SHOWN = 64
"""Examples in the picture."""


class Generation(DataTask[Table]):
    """Learns what the training split looks like; of images those that it makes last are an artifact of the trial, samples.png."""

    kind = "generation"

    @property
    def outputs(self) -> int:
        return 0

    def read(self) -> Table:
        return tables.read(replace(self.source, needs_target=False))

    def encode(self, raw: Table) -> Encoded:
        """Images are in [-1, 1], rows standardised. `noise_distance` is what val_frechet_distance is of noise, see `noise`."""
        if raw.kind == "sequence":
            raise DataError("generation makes rows and images, and an example of these data is a sequence; use another task")
        split = split_published(len(raw.inputs), raw.test_rows, self.shares)
        warnings = examine(raw, split)
        encoded = _encode_images(raw, split) if raw.kind == "image" else encode_inputs(raw, split)
        train = encoded.splits["train"]
        features = Features.fit(train)
        distance = frechet_distance(features(encoded.splits["validation"]), features(noise(train)))
        return Encoded({**encoded.meta, "noise_distance": distance}, *Arrays(encoded.splits, {}).parts(), encoded.kept, warnings)

    def form(self, parameters: Mapping[str, Json], kept: Json) -> Form:
        """Nothing of the data, but random numbers."""
        return Draws(settle(parameters, self.inputs(parameters))["latent_size"])

    def example(self, parameters: Mapping[str, Json], kept: Given, data: Data) -> tuple[Given, torch.Tensor]:
        import pandas as pd
        import torch

        asked = pd.DataFrame({"examples": [EXAMPLES], "seed": [0]})
        latent = draw_latent(EXAMPLES, 0, settle(parameters, self.inputs(parameters))["latent_size"])
        return asked, torch.from_numpy(latent).to(data.inputs["train"].device)

    def answer(self, parameters: Mapping[str, Json], kept: Json, model: nn.Module, data: Data) -> Answer:
        return Made.of(kept)

    def learner(self, trial: Trial, model: nn.Module, data: Data) -> Learner:
        from hpsearch.models.gan import GAN
        from hpsearch.training.duel import Duel

        assert isinstance(model, GAN)
        return Duel(trial, model, data.inputs["train"], self.epochs)

    def measure(self, trial: Trial, data: Data, split: str) -> Measure:
        assert self.prepared is not None, "the task is not prepared"
        features = _features(self.prepared.folder)
        measure = GenerationMeasure(features, data.inputs[split], self.meta["noise_distance"], PREFIX[split])
        if self.inputs({}).kind != "image" or split == "test":
            return measure
        return Pictured(measure, trial, ends_early=self.patience is not None)


def _encode_images(table: Table, split: Split) -> EncodedInputs:
    """In [-1, 1], the range of a generator. Raises `DataError` for pixels that it can never give."""
    low, high = float(table.inputs.min()), float(table.inputs.max())
    if low < 0 or high > 1:
        raise DataError(
            f"pixels must lie in [0, 1] to be generated, and reach from {low:g} to {high:g}; save bytes (uint8), or divide them"
        )
    rows = {"train": split.train, "validation": split.validation, "test": split.test}
    splits = {name: table.inputs[chosen].astype(np.float32) * 2 - 1 for name, chosen in rows.items()}
    inputs = Inputs("image", table.inputs.shape[1:])
    half = np.full((1, 1, 1), 0.5)
    kept = Kept(Array(inputs, Scale(half, half)).to_json(), table.inputs[split.validation[:EXAMPLES]])
    return EncodedInputs(splits, {"inputs": inputs.to_json(), "rows": {name: len(chosen) for name, chosen in rows.items()}}, kept)


def noise(train: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """SAMPLES examples of which each number is drawn for itself from those that the training split has at its place.

    A stricter reference than uniform or Gaussian noise: each number by itself is as it should be, and only what holds them together is not.
    """
    rows = np.random.default_rng(0).integers(len(train), size=(SAMPLES, *train.shape[1:]))
    drawn: NDArray[np.floating[Any]] = np.take_along_axis(train, rows, axis=0)
    return drawn


@lru_cache(maxsize=2)
def _features(folder: Path) -> Features:
    """Fitted on the training split; once in a process."""
    return Features.fit(prepared.load_search(folder).inputs["train"])


class GenerationMeasure:
    """The Fréchet distance of what the generator makes, from the same random numbers each time, and its share of that of noise."""

    def __init__(self, features: Features, real: torch.Tensor, noise_distance: float, prefix: str) -> None:
        self.features = features
        self.real = features(real.cpu().numpy())
        self.noise_distance = noise_distance
        self.prefix = prefix

    def __call__(self, model: nn.Module) -> dict[str, float]:
        made = make_examples(model, SAMPLES)
        distance = frechet_distance(self.real, self.features(made)) if np.isfinite(made).all() else float("nan")
        return {f"{self.prefix}frechet_distance": distance, f"{self.prefix}frechet_ratio": distance / self.noise_distance}


class Pictured:
    """Measures, and keeps a picture of images that are made at the trial's last step; where it `ends_early`, each may be that."""

    def __init__(self, measure: Measure, trial: Trial, ends_early: bool) -> None:
        self.measure = measure
        self.trial = trial
        self.ends_early = ends_early

    def __call__(self, model: nn.Module) -> Metrics:
        if self.ends_early or self.trial.is_last:
            made = make_examples(model, SHOWN)
            if np.isfinite(made).all():
                self.trial.save_artifact("samples.png", grid_png((made + 1) / 2))
        return self.measure(model)


def make_examples(model: nn.Module, examples: int) -> NDArray[np.float32]:
    """(examples, *shape): from the same random numbers in each step, trial and attempt."""
    import torch

    from hpsearch.models.gan import GAN

    assert isinstance(model, GAN)
    device = next(model.parameters()).device
    latent = torch.from_numpy(draw_latent(examples, 0, model.latent_size)).to(device)
    made: NDArray[np.float32] = model(latent).cpu().numpy()
    return made
