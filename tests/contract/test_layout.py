"""Two layouts that disagree say in what: a unit or a frame mistaken must never pass."""

from itertools import pairwise

import pytest

from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.layout import Field, Layout

LAYOUT = CoverageTask().layout


def changed(field_name: str, **update: object) -> Layout:
    """The layout of the task with one field changed."""
    return Layout(
        fields=tuple(
            field.model_copy(update=update) if field.name == field_name else field
            for field in LAYOUT.fields
        )
    )


def test_the_same_layout_has_no_differences():
    assert LAYOUT.differences(CoverageTask().layout) == []


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({"unit": "cm"}, "field 'velocity' has unit cm, expected m/s"),
        ({"frame": "base_link"}, "field 'velocity' has frame base_link, expected map"),
        ({"shape": (3,)}, "field 'velocity' has shape (3,), expected (2,)"),
    ],
)
def test_one_difference_is_named(update: dict[str, object], expected: str):
    assert LAYOUT.differences(changed("velocity", **update)) == [expected]


def test_a_renamed_field_is_missing_and_unknown():
    assert LAYOUT.differences(changed("heading", name="yaw")) == [
        "field 'heading' is missing",
        "field 'yaw' is not known",
    ]


def test_the_order_counts():
    swapped = Layout(fields=LAYOUT.fields[::-1])
    assert len(LAYOUT.differences(swapped)) == 1
    assert "order" in LAYOUT.differences(swapped)[0]


def test_another_team_size_differs():
    assert LAYOUT.differences(CoverageTask(num_robots=5).layout)


def test_slices_cover_the_vector_without_gaps():
    slices = list(LAYOUT.slices().values())
    assert slices[0].start == 0
    assert slices[-1].stop == LAYOUT.size
    assert all(a.stop == b.start for a, b in pairwise(slices))


def test_a_layout_survives_json():
    assert Layout.model_validate_json(LAYOUT.model_dump_json()) == LAYOUT


def test_a_scalar_field_is_one_number():
    assert Field(name="x", shape=(), unit="1", frame="-").size == 1
