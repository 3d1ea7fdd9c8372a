"""RTMPose files: a made-up one of that form whose joints are where the picture is reddest and bluest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs the extra live")
pytest.importorskip("onnx", reason="makes a network by hand")
import onnx
from onnx import TensorProto, helper, numpy_helper

from maskclr_edge.errors import ConfigError, SourceError
from maskclr_edge.live import rtmpose
from maskclr_edge.live.pose import open_pose

SIZE = (64, 48)  # height, width


def network(path: Path, batch: Any = "N", joints: int = 17, halves: int = 2) -> Path:
    """Joints 0 to 8 at the reddest pixel, the others at the bluest; channel 0 is red."""
    constants = {
        "red": np.array(0), "blue": np.array(2), "axis1": np.array([1]), "axis2": np.array([2]),
        "first": np.array([1, 9, 1]), "others": np.array([1, joints - 9, 1]),
        "scales": np.array([1, 1, halves], np.float32), "factor": np.float32(0.37),
    }  # fmt: skip
    nodes = []
    for axis, name in (("axis1", "simcc_x"), ("axis2", "simcc_y")):
        for colour, repeats in (("red", "first"), ("blue", "others")):
            one = f"{name}_{colour}"
            nodes += [
                helper.make_node("Gather", ["input", colour], [f"{one}_c"], axis=1),
                helper.make_node("ReduceMax", [f"{one}_c", axis], [f"{one}_m"], keepdims=0),
                helper.make_node("Unsqueeze", [f"{one}_m", "axis1"], [f"{one}_u"]),
                helper.make_node("Tile", [f"{one}_u", repeats], [f"{one}_t"]),
            ]
        nodes += [
            helper.make_node("Concat", [f"{name}_red_t", f"{name}_blue_t"], [f"{name}_both"], axis=1),
            helper.make_node("Resize", [f"{name}_both", "", "scales"], [f"{name}_long"], mode="nearest"),
            helper.make_node("Mul", [f"{name}_long", "factor"], [name]),
        ]
    height, width = SIZE
    graph = helper.make_graph(
        nodes, "made_up",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, height, width])],
        [
            helper.make_tensor_value_info("simcc_x", TensorProto.FLOAT, [batch, joints, halves * width]),
            helper.make_tensor_value_info("simcc_y", TensorProto.FLOAT, [batch, joints, halves * height]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18)]
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
    return path


def picture(red: tuple[int, int], blue: tuple[int, int]) -> Any:
    image = np.zeros((240, 320, 3), np.uint8)
    for (x, y), channel in ((red, 2), (blue, 0)):  # BGR
        image[y - 6 : y + 7, x - 6 : x + 7, channel] = 255
    return image


@pytest.mark.parametrize(("batch", "joints"), [("N", 17), (1, 17), ("N", 26)])
def test_joints_come_back_in_pixels_of_the_picture_and_the_box_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: Any, joints: int
) -> None:
    monkeypatch.setattr(rtmpose, "available", lambda name: False)  # no detector: the whole picture
    path = network(tmp_path / "pose.onnx", batch, joints)
    with open_pose(str(path)) as pose:
        assert pose.layout == {17: "coco17", 26: "halpe26"}[joints]
        for step in range(4):
            red, blue = (90 + 5 * step, 60), (150 + 5 * step, 190)
            people = pose.estimate(picture(red, blue))
            assert people.shape == (1, joints, 3)
            # the block is 13 pixels wide, and the network sees the picture at a sixth of its size
            np.testing.assert_allclose(people[0, :9, :2], [red] * 9, atol=10)
            np.testing.assert_allclose(people[0, 9:, :2], [blue] * (joints - 9), atol=10)
            assert people[0, :, 2].min() > 0.5
        assert len(pose.estimate(np.zeros((240, 320, 3), np.uint8))) == 0


def test_several_boxes_are_several_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtmpose, "available", lambda name: False)
    both = np.concatenate((picture((60, 60), (120, 190)), picture((200, 60), (260, 190))), axis=1)
    pose = rtmpose.RtmPose(network(tmp_path / "pose.onnx"))
    boxes = [np.array([20.0, 20, 160, 220]), np.array([480.0, 20, 620, 220])]
    monkeypatch.setattr(pose, "_found", lambda image: boxes)
    people = pose.estimate(both)
    assert sorted(round(float(person[0, 0]) / 20) * 20 for person in people) == [60, 520]


def test_files_that_are_no_rtmpose_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        open_pose(str(tmp_path / "none.onnx"))
    (tmp_path / "noise.onnx").write_bytes(b"no network")
    with pytest.raises(ConfigError, match="not taken by ONNX Runtime"):
        open_pose(str(tmp_path / "noise.onnx"))
    with pytest.raises(ConfigError, match="has 20 joints"):
        open_pose(str(network(tmp_path / "twenty.onnx", joints=20)))
    bundled = Path(rtmpose.__file__).parents[1] / "bundled" / "bundle" / "head.onnx"
    with pytest.raises(ConfigError, match="expected RTMPose's form"):
        open_pose(str(bundled))
    with pytest.raises(ConfigError, match=r"RTMPose \.onnx file"):
        open_pose("openpose")
