"""Who sends what only one may."""

from eir_ros.contract.lease import REMAINS_S
from eir_ros.monitor.intruders import Intruders

ALONE = {"/r0/fault": 1, "/r1/fault": 1}


def test_a_swarm_alone_has_intruders():
    assert Intruders().count(1, ALONE, 0.0, 0.0) == []


def test_a_second_clock_is_not_told_or_told_for_ever():
    intruders = Intruders()
    (line,) = intruders.count(2, ALONE, 5.0, 3.0)
    assert "2 nodes publish /clock, where there may be one" in line
    assert intruders.count(2, ALONE, 6.0, 4.0) == []
    assert [(i.sender, i.t_s) for i in intruders.found.values()] == [("/clock", 3.0)]


def test_what_a_killed_gate_leaves_is_taken_for_an_intruder():
    intruders = Intruders()
    doubled = ALONE | {"/r1/fault": 2}
    assert intruders.count(1, doubled, 0.0, 0.0) == []
    assert intruders.count(1, doubled, REMAINS_S - 1.0, 0.0) == []
    assert intruders.count(1, ALONE, REMAINS_S, 0.0) == []
    assert intruders.count(1, doubled, REMAINS_S + 1.0, 0.0) == []
    (line,) = intruders.count(1, doubled, 2 * REMAINS_S + 1.0, 0.0)
    assert "/swarm/faults as /r1/fault" in line
