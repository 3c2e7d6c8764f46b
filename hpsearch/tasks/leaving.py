"""What a re-test leaves beside its numbers, where its sweep registers the winner: the trained network, ready to be used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from hpsearch.errors import InputError
from hpsearch.tasks.predictor import Predictor
from hpsearch.training.storage import reason

if TYPE_CHECKING:
    from torch import nn

    from hpsearch.training.loop import Measure, Metrics
    from hpsearch.training.trial import Trial


class Leaving:
    """Measures the network of the step that counts, if there is anything to be measured, and leaves it as the trial's."""

    def __init__(self, trial: Trial, measure: Measure | None, predictor_of: Callable[[nn.Module], Predictor]) -> None:
        self.trial = trial
        self.measure = measure
        self.predictor_of = predictor_of

    def __call__(self, model: nn.Module) -> Metrics:
        measured = {} if self.measure is None else self.measure(model)
        try:
            self.trial.save_network(self.predictor_of(model).to_bytes())
        except (OSError, InputError) as error:  # what it has learned stands all the same
            why = reason(error) if isinstance(error, OSError) else str(error)
            print(f"the network cannot be left, and so not be registered: {why}", file=sys.stderr)
        return measured
