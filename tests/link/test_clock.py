"""A link's clock follows nobody who sets it, and is put right where it was wrong."""

from dataclasses import dataclass

import pytest

from eir_ros.link.clock import SteadyClock


@dataclass
class Computer:
    """Two clocks [ns]; only one of them can be set."""

    system: int = 100_000_000_000
    steady: int = 5_000_000_000

    def pass_s(self, seconds: float) -> None:
        self.system += round(seconds * 1e9)
        self.steady += round(seconds * 1e9)


@pytest.fixture
def computer() -> Computer:
    return Computer()


@pytest.fixture
def clock(computer: Computer) -> SteadyClock:
    return SteadyClock(lambda: computer.system, lambda: computer.steady)


@pytest.mark.parametrize("set_by_s", [-3600, 3600])
def test_a_clock_that_is_set_takes_the_link_along(
    computer: Computer, clock: SteadyClock, set_by_s: int
) -> None:
    computer.pass_s(1.0)
    computer.system += set_by_s * 1_000_000_000
    computer.pass_s(1.0)
    assert clock() == 102_000_000_000


def test_a_computer_that_learns_the_time_late_is_cut_off_for_ever(
    computer: Computer, clock: SteadyClock
) -> None:
    computer.system += 60_000_000_000
    assert clock.catch_up([0.0, 60.2]) == pytest.approx(60.0)
    assert clock() == computer.system
    assert clock.catch_up([60.2]) == 0.0


@pytest.mark.parametrize(
    ("set_by_s", "ahead_s"),
    [
        (60, []),  # nobody confirms it
        (60, [0.0, -60.0, 20.0]),
        (-60, [-60.0]),  # never back: what was recorded would be of now again
        (0, [60.0]),  # somebody else's clock is wrong
    ],
)
def test_a_clock_is_put_right_by_whoever_says_so(
    computer: Computer, clock: SteadyClock, set_by_s: int, ahead_s: list[float]
) -> None:
    computer.system += set_by_s * 1_000_000_000
    assert clock.catch_up(ahead_s) == 0.0
    assert clock() == 100_000_000_000
