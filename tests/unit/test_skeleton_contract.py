import json
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskclr_edge.errors import ConfigError
from maskclr_edge.skeleton import SkeletonContract

CONTRACT = SkeletonContract(class_names=("wave", "bow"), frames=64)


@given(
    names=st.lists(
        st.text(min_size=1, max_size=20).filter(str.isprintable), min_size=1, max_size=9, unique=True
    ),
    limits=st.lists(st.integers(1, 243), min_size=3, max_size=3).map(sorted),
    persons=st.sampled_from([1, 2]),
    order=st.sampled_from(["h36m", "legacy"]),
    absent=st.sampled_from(["zeros", "projected"]),
    ratio=st.floats(0.1, 10) | st.integers(1, 5),
)
def test_round_trip_through_json(
    names: list[str], limits: list[int], persons: int, order: str, absent: str, ratio: float
) -> None:
    fields = (limits[1], persons, limits[0], limits[2], order, absent, ratio)
    contract = SkeletonContract(tuple(names), *fields)  # type: ignore[arg-type]
    stored = contract.to_dict()
    assert SkeletonContract.from_dict(json.loads(json.dumps(stored))) == contract
    assert list(stored) == [
        "class_names", "frames", "persons", "min_frames", "max_frames",
        "confidence_order", "absent", "scale_ratio", "layout",
    ]  # fmt: skip


def test_classes_that_take_two_are_stored_where_there_are_any() -> None:
    contract = replace(CONTRACT, two_person=("bow",))
    stored = json.loads(json.dumps(contract.to_dict()))
    assert stored["two_person"] == ["bow"] and SkeletonContract.from_dict(stored) == contract
    assert "two_person" not in CONTRACT.to_dict()


def test_defaults_and_frozen() -> None:
    assert (CONTRACT.persons, CONTRACT.min_frames, CONTRACT.max_frames) == (2, 1, 243)
    assert (CONTRACT.confidence_order, CONTRACT.absent, CONTRACT.scale_ratio, CONTRACT.layout) == (
        "h36m",
        "zeros",
        2.0,
        "h36m17",
    )
    with pytest.raises(FrozenInstanceError):
        CONTRACT.frames = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": 0}, r"frames is 0, it must lie in 1\.\.243"),
        ({"frames": 244}, r"frames is 244, it must lie in 1\.\.243"),
        ({"frames": 64.0}, "frames is 64.0, it must be a whole number"),
        ({"frames": True}, "frames is True, it must be a whole number"),
        ({"persons": 3}, "persons is 3, it must be 1 or 2"),
        ({"min_frames": 0}, "min_frames is 0 and max_frames 243"),
        ({"min_frames": 100, "max_frames": 50}, "min_frames is 100 and max_frames 50"),
        ({"confidence_order": "coco"}, "confidence_order is 'coco', it must be h36m or legacy"),
        ({"absent": None}, "absent is None, it must be zeros or projected"),
        ({"layout": "coco17"}, "layout is 'coco17', it must be h36m17"),
        ({"scale_ratio": 0}, "scale_ratio is 0, it must be a number above 0"),
        ({"scale_ratio": float("nan")}, "scale_ratio is nan"),
        ({"scale_ratio": "2"}, "scale_ratio is '2'"),
        ({"class_names": ()}, "class_names must list 1 to"),
        ({"class_names": ["a", "b"]}, "class_names must list 1 to"),
        ({"class_names": ("a", "a")}, "class_names lists 'a' twice"),
        ({"class_names": ("a", "")}, "class_names has ''"),
        ({"class_names": ("a", 3)}, "class_names has 3"),
        ({"class_names": ("a", "b" * 500)}, "class_names has 'bbb"),
        ({"class_names": ("a", "two\nlines")}, r"class_names has 'two\\nlines'.* printable"),
        ({"two_person": ("hug",)}, "two_person has 1 of them, it must list some of class_names"),
        ({"two_person": ["wave"]}, "two_person has 1 of them"),
        ({"two_person": "wave"}, "two_person has 'wave'"),
        ({"class_names": ("a", "\x1b[31mred")}, r"class_names has '\\x1b"),
    ],
)
def test_a_bad_field_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        replace(CONTRACT, **changes)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_from_dict_is_strict() -> None:
    stored = CONTRACT.to_dict()
    with pytest.raises(ConfigError, match="unknown key 'frame'; did you mean 'frames'"):
        SkeletonContract.from_dict(stored | {"frame": 3})
    with pytest.raises(ConfigError, match="missing key 'absent'"):
        SkeletonContract.from_dict({key: value for key, value in stored.items() if key != "absent"})
    with pytest.raises(ConfigError, match="got a list, expected a mapping"):
        SkeletonContract.from_dict([])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="class_names must list"):
        SkeletonContract.from_dict(stored | {"class_names": "wave"})
