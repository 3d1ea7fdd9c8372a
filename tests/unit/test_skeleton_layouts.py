import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskclr_edge.errors import ConfigError, ShapeError
from maskclr_edge.skeleton import (
    H36M_EDGES,
    H36M_JOINTS,
    H36M_LEFT,
    H36M_RIGHT,
    LAYOUTS,
    conversion_matrix,
    get_layout,
    to_h36m,
)

SIZES = {"coco17": 17, "h36m17": 17, "openpose18": 18, "openpose25": 25, "halpe26": 26, "blazepose33": 33}
# where each estimator's own document lists some joints that are easily confused
KNOWN = {
    "coco17": {"nose": 0, "left_eye": 1, "right_shoulder": 6, "left_hip": 11, "right_ankle": 16},
    "h36m17": {
        "root": 0,
        "right_hip": 1,
        "left_ankle": 6,
        "belly": 7,
        "neck": 8,
        "nose": 9,
        "head": 10,
        "right_wrist": 16,
    },
    "openpose18": {
        "neck": 1,
        "right_wrist": 4,
        "left_wrist": 7,
        "right_hip": 8,
        "left_ankle": 13,
        "right_eye": 14,
        "left_ear": 17,
    },
    "openpose25": {
        "mid_hip": 8,
        "right_hip": 9,
        "left_ankle": 14,
        "left_eye": 16,
        "left_big_toe": 19,
        "right_heel": 24,
    },
    "halpe26": {
        "right_ankle": 16,
        "head": 17,
        "neck": 18,
        "mid_hip": 19,
        "left_big_toe": 20,
        "right_heel": 25,
    },
    "blazepose33": {
        "left_eye": 2,
        "right_eye": 5,
        "left_shoulder": 11,
        "right_hip": 24,
        "left_ankle": 27,
        "right_foot_index": 32,
    },
}
LAYOUT_NAMES = sorted(LAYOUTS)


def _keypoints(
    layout: str, elements: st.SearchStrategy[float] | None = None
) -> st.SearchStrategy[np.ndarray]:
    values = st.floats(-2000, 2000, width=32) if elements is None else elements
    shape = hnp.array_shapes(min_dims=0, max_dims=2, max_side=3).map(lambda lead: (*lead, SIZES[layout], 3))
    return shape.flatmap(lambda s: hnp.arrays(np.float32, s, elements=values))


def test_every_layout_has_its_size_order_and_different_joints() -> None:
    assert {name: len(layout.joints) for name, layout in LAYOUTS.items()} == SIZES
    for name, places in KNOWN.items():
        layout = get_layout(name)
        assert {joint: layout.index(joint) for joint in places} == places
        assert len(set(layout.joints)) == len(layout.joints)


@pytest.mark.parametrize("name", LAYOUT_NAMES)
def test_bones_join_different_joints_once_and_are_symmetric(name: str) -> None:
    layout = LAYOUTS[name]
    bones = {frozenset(edge) for edge in layout.edges}
    assert len(bones) == len(layout.edges) and all(len(bone) == 2 for bone in bones)
    swap = {"left": "right", "right": "left"}
    named = {frozenset(layout.joints[i] for i in bone) for bone in bones}
    mirrored = {
        frozenset("_".join(swap.get(part, part) for part in joint.split("_")) for joint in bone)
        for bone in named
    }
    assert mirrored == named


def test_h36m_skeleton_is_a_tree_over_all_joints() -> None:
    assert len(H36M_EDGES) == 16
    reached = {0}
    for _ in range(16):
        reached |= {b for a, b in H36M_EDGES if a in reached} | {a for a, b in H36M_EDGES if b in reached}
    assert reached == set(range(17))
    assert H36M_LEFT == (4, 5, 6, 11, 12, 13) and H36M_RIGHT == (1, 2, 3, 14, 15, 16)


def test_unknown_layout_and_joint_name_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"unknown layout 'coco18'; the known layouts are: coco17, "):
        get_layout("coco18")
    with pytest.raises(ConfigError, match="layout coco17 has no joint 'neck'"):
        get_layout("coco17").index("neck")


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
@given(data=st.data())
def test_coordinates_are_the_weight_matrix_times_the_source(layout: str, data: st.DataObject) -> None:
    keypoints = data.draw(_keypoints(layout))
    got = to_h36m(keypoints, layout)
    assert got.shape == (*keypoints.shape[:-2], 17, 3) and got.dtype == np.float32
    expected = conversion_matrix(layout) @ keypoints[..., :2].astype(np.float64)
    np.testing.assert_allclose(got[..., :2], expected, rtol=1e-6, atol=5e-4)


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
@given(data=st.data())
def test_confidence_is_that_of_the_least_certain_source(layout: str, data: st.DataObject) -> None:
    keypoints = data.draw(_keypoints(layout, st.floats(0, 1, width=32)))
    confidence = to_h36m(keypoints, layout)[..., 2]
    matrix = conversion_matrix(layout)
    for joint in range(17):
        np.testing.assert_array_equal(
            confidence[..., joint], keypoints[..., matrix[joint] > 0, 2].min(axis=-1)
        )


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
def test_weights_are_convex_and_same_named_joints_are_copied(layout: str) -> None:
    matrix = conversion_matrix(layout)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert (matrix >= 0).all()
    joints = LAYOUTS[layout].joints
    for place, joint in enumerate(H36M_JOINTS):
        if joint in joints:
            assert matrix[place, joints.index(joint)] == 1


def test_derived_joints_of_coco_and_halpe() -> None:
    coco = conversion_matrix("coco17")
    assert dict(enumerate(coco[0][coco[0] > 0])) == {0: 0.5, 1: 0.5} and set(np.flatnonzero(coco[0])) == {
        11,
        12,
    }
    assert set(np.flatnonzero(coco[8])) == {5, 6} and set(np.flatnonzero(coco[10])) == {1, 2}
    assert {joint: coco[7, joint] for joint in np.flatnonzero(coco[7])} == dict.fromkeys((5, 6, 11, 12), 0.25)
    halpe = conversion_matrix("halpe26")
    assert [int(np.flatnonzero(halpe[joint])[0]) for joint in (0, 8, 10)] == [19, 18, 17]
    assert {joint: halpe[7, joint] for joint in np.flatnonzero(halpe[7])} == {18: 0.5, 19: 0.5}


def test_blazepose_agrees_with_its_coco_subset() -> None:
    subset = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    keypoints = np.random.default_rng(0).random((2, 5, 33, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        to_h36m(keypoints, "blazepose33"), to_h36m(keypoints[..., subset, :], "coco17")
    )


def test_h36m_passes_through_unchanged() -> None:
    keypoints = np.random.default_rng(1).random((3, 17, 3)).astype(np.float32)
    np.testing.assert_array_equal(to_h36m(keypoints, "h36m17"), keypoints)


def test_legacy_order_keeps_coco_confidences_where_they_were() -> None:
    keypoints = np.random.default_rng(2).random((4, 17, 3)).astype(np.float32)
    legacy, proper = to_h36m(keypoints, "coco17", "legacy"), to_h36m(keypoints, "coco17")
    np.testing.assert_array_equal(legacy[..., 2], keypoints[..., 2])
    np.testing.assert_array_equal(legacy[..., :2], proper[..., :2])
    assert not np.array_equal(proper[..., 2], keypoints[..., 2])


@pytest.mark.parametrize("layout", [name for name in LAYOUT_NAMES if name != "coco17"])
def test_legacy_order_is_refused_for_other_layouts(layout: str) -> None:
    with pytest.raises(ConfigError, match=f"defined for coco17 only, these keypoints are {layout}"):
        to_h36m(np.zeros((SIZES[layout], 3), np.float32), layout, "legacy")


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)],
)
def test_types(dtype: type, expected: type) -> None:
    assert to_h36m(np.ones((2, 17, 3), dtype), "coco17").dtype == expected


@pytest.mark.parametrize("shape", [(17,), (16, 3), (18, 3), (17, 4), (2, 17, 1), (3, 17)])
def test_wrong_shapes_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"layout coco17 needs \(\.\.\., 17, 3\)"):
        to_h36m(np.zeros(shape, np.float32), "coco17")


def test_coordinates_alone_and_unknown_order() -> None:
    assert to_h36m(np.zeros((5, 17, 2), np.float32), "coco17").shape == (5, 17, 2)
    with pytest.raises(ConfigError, match="unknown confidence order 'coco'"):
        to_h36m(np.zeros((17, 3), np.float32), "coco17", "coco")  # type: ignore[arg-type]
