from hpsearch.executors.ray_grants import HOLD_S, Grants
from hpsearch.trial import Assignment, Resources, TrialKind


class There:
    """A cluster and a clock that do as told."""

    def __init__(self, gpus=2.0):
        self.gpus, self.now = gpus, 0.0
        self.grants = Grants(True, lambda: self.gpus, lambda: self.now)

    def give(self, name, gpus):
        self.grants.given(name, Assignment(0, 1, TrialKind.SEARCH, {}, 0, 5, resources=Resources(1, gpus, packed=True)))


def test_as_much_is_given_as_there_is_and_one_more_that_waits():
    there = There()
    for number in range(7):
        assert there.grants.have_room()
        there.give(str(number), 0.25)
    assert there.grants.have_room()
    there.give("whole", 1.0)  # 2.75 of 2: an autoscaler hears of it
    assert not there.grants.have_room()
    there.gpus = 3.0
    assert there.grants.have_room()


def test_what_ends_leaves_room():
    there = There(gpus=1.0)
    there.give("a", 1.0)
    there.grants.begun("a")
    assert not there.grants.have_room()
    there.grants.ended("a")
    assert there.grants.have_room()


def test_none_is_given_while_one_has_waited_long():
    there = There()
    there.give("small", 0.125)
    there.grants.begun("small")
    there.give("whole", 1.0)
    there.now = HOLD_S - 1
    assert there.grants.have_room()
    there.now = HOLD_S + 1
    assert not there.grants.have_room()
    there.grants.begun("whole")
    assert there.grants.have_room()


def test_without_packing_ray_alone_accounts():
    grants = Grants(False, lambda: 0.0)
    assert grants.have_room()
