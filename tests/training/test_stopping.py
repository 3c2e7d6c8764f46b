from hpsearch.training.stopping import Patience
from hpsearch.trial import Objective

LOSS = Objective("val_loss", "minimize")


def ends(patience, values, goal="minimize"):
    stopping = Patience(Objective("m", goal), patience)
    return next((step for step, value in enumerate(values, 1) if stopping.observe({"m": value})), None)


def test_ends_after_so_many_steps_without_improvement():
    assert ends(2, [3, 2, 2.5, 2.5, 1]) == 4
    assert ends(2, [3, 2, 2.5, 1.9, 2, 2]) == 6
    assert ends(1, [1, 2], goal="maximize") is None
    assert ends(1, [2, 2], goal="maximize") == 2
    assert ends(None, [1.0] * 50) is None


def test_says_why():
    stopping = Patience(LOSS, 1)
    stopping.observe({"val_loss": 0.5})
    assert stopping.observe({"val_loss": 0.75}) == "early stopping: val_loss has not improved on 0.5 in 1 steps"


def test_goes_on_from_its_state():
    values = [3, 2, 2.5, 2.5, 2.5, 1]
    for cut in range(len(values)):
        first, second = Patience(LOSS, 3), Patience(LOSS, 3)
        reasons = [first.observe({"val_loss": v}) for v in values[:cut]]
        second.load(first.state())
        reasons += [second.observe({"val_loss": v}) for v in values[cut:]]
        assert [r is not None for r in reasons] == [False, False, False, False, True, False]
