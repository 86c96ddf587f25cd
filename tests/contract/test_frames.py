"""Chaining planar poses, and what is refused as one."""

import math

import pytest

from eir_ros.contract.config import Schema, validate
from eir_ros.contract.errors import EirError
from eir_ros.contract.frames import Pose, compose


class Setting(Schema):
    origin: Pose


def test_an_origin_turned_left_takes_ahead_to_north():
    x, y, yaw = compose((1.0, 2.0, math.pi / 2), (3.0, 0.5, 0.25))
    assert (x, y, yaw) == pytest.approx((0.5, 5.0, math.pi / 2 + 0.25))


def test_a_chain_of_three_does_not_depend_on_where_it_is_cut():
    a, b, c = (1.0, -2.0, 0.7), (0.3, 0.4, -2.0), (-1.5, 0.2, 3.0)
    assert compose(compose(a, b), c) == pytest.approx(compose(a, compose(b, c)))


def test_no_origin_changes_no_bit():
    pose = (0.1, -0.7, 3.0)
    assert compose((0.0, 0.0, 0.0), pose) == pose


@pytest.mark.parametrize("wrong", [[1.0], [0.0] * 4, 2.0, "0 0 0"])
def test_an_origin_of_another_length_is_refused(wrong):
    with pytest.raises(EirError, match=r"'origin' is .*three numbers: x, y"):
        validate({"origin": wrong}, Setting, where="here")
