import pytest

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints, ListOf, complete

UNITS = Hyperparameter("hidden_units", 128, "Width.", (Ints(1, 512), ListOf(Ints(1, 512), max_length=3)))
RATE = Hyperparameter("rate", 0.1, "A rate.", (Floats(min=0, below=1),))
KIND = Hyperparameter("activation", "relu", "Which.", (Choices(("relu", "gelu", "tanh")),))
FLAG = Hyperparameter("nesterov", False, "Whether.", (Choices((True, False)),))
CLIP = Hyperparameter("clip_norm", None, "Largest.", (Floats(above=0), Choices((None,))))


@pytest.mark.parametrize(
    ("hyperparameter", "value"),
    [(UNITS, 1), (UNITS, 512), (UNITS, [3, 4]), (RATE, 0), (RATE, 0.99), (KIND, "gelu"), (FLAG, True), (CLIP, None), (CLIP, 3)],
)
def test_takes_what_is_allowed(hyperparameter, value):
    hyperparameter.check(value)


@pytest.mark.parametrize(
    ("hyperparameter", "value", "said"),
    [
        (UNITS, 0, "hidden_units must be an integer from 1 to 512, or a list of 1 to 3, each an integer from 1 to 512, got 0"),
        (UNITS, True, "got True"),
        (UNITS, 8.0, "got 8.0"),
        (UNITS, [1, 2, 3, 4], "got [1, 2, 3, 4]"),
        (UNITS, [1, 0], "got [1, 0]"),
        (RATE, 1, "rate must be a number >= 0 and < 1, got 1; the default is 0.1"),
        (RATE, float("nan"), "got nan"),
        (KIND, "rellu", "unknown activation 'rellu'; did you mean 'relu'?"),
        (FLAG, 1, "nesterov must be one of true, false, got 1"),
        (CLIP, 0, "clip_norm must be a number > 0, or null, got 0"),
    ],
)
def test_says_what_is_wrong_and_what_is_allowed(hyperparameter, value, said):
    with pytest.raises(ValueError) as error:
        hyperparameter.check(value)
    assert said in str(error.value)


def test_complete_fills_in_defaults_leaves_others_out_and_checks():
    assert complete((UNITS, RATE), {"rate": 0.5, "other": 1}) == {"hidden_units": 128, "rate": 0.5}
    with pytest.raises(ValueError):
        complete((RATE,), {"rate": 2})
