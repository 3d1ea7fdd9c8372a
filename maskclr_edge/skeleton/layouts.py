"""Joint layouts: the order in which a data set or a pose estimator lists its joints.

Orders are those of the sources' own documents: COCO (cocodataset.org keypoints), OpenPose (doc/02_output.md
and poseParameters), Halpe (Fang-Haoshu/Halpe-FullBody) and MediaPipe's ``PoseLandmark``. Left and right are
the person's own.
"""

import difflib
from dataclasses import dataclass

from maskclr_edge.errors import ConfigError


@dataclass(frozen=True)
class Layout:
    """One skeleton: joint names in their order, and the bones to draw as pairs of joint indices."""

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]

    def index(self, joint: str) -> int:
        """Index of a joint by name. Raises ConfigError for a name the layout does not have."""
        if joint not in self.joints:
            raise ConfigError(f"layout {self.name} has no joint {joint!r}; it has: {', '.join(self.joints)}")
        return self.joints.index(joint)


_ARMS_AND_LEGS = (
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
)
_TRUNK_BOX = (
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_hip", "right_hip"),
)
_FACE = (("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"))
_NECK = (("nose", "neck"), ("neck", "left_shoulder"), ("neck", "right_shoulder"))
_FEET = (
    ("left_ankle", "left_big_toe"),
    ("left_big_toe", "left_small_toe"),
    ("left_ankle", "left_heel"),
    ("right_ankle", "right_big_toe"),
    ("right_big_toe", "right_small_toe"),
    ("right_ankle", "right_heel"),
)
_SPINE = (("root", "belly"), ("belly", "neck"), ("neck", "nose"), ("nose", "head"))


def _layout(name: str, joints: str, *bones: tuple[tuple[str, str], ...]) -> Layout:
    names = tuple(joints.split())
    pairs = tuple((names.index(a), names.index(b)) for group in bones for a, b in group)
    return Layout(name, names, pairs)


_COCO_17 = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow "
    "left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
)

#: every known layout by name
LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        _layout("coco17", _COCO_17, _FACE, _TRUNK_BOX, _ARMS_AND_LEGS),
        _layout(
            "h36m17",
            "root right_hip right_knee right_ankle left_hip left_knee left_ankle belly neck nose head "
            "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist",
            (("root", "right_hip"), ("root", "left_hip")),
            _SPINE,
            (("neck", "left_shoulder"), ("neck", "right_shoulder")),
            _ARMS_AND_LEGS,
        ),
        _layout(
            "openpose18",
            "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
            "right_hip right_knee right_ankle left_hip left_knee left_ankle "
            "right_eye left_eye right_ear left_ear",
            _FACE,
            _NECK,
            (("neck", "left_hip"), ("neck", "right_hip")),
            _ARMS_AND_LEGS,
        ),
        _layout(
            "openpose25",
            "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip "
            "right_hip right_knee right_ankle left_hip left_knee left_ankle "
            "right_eye left_eye right_ear left_ear "
            "left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel",
            _FACE,
            _NECK,
            (("neck", "mid_hip"), ("mid_hip", "left_hip"), ("mid_hip", "right_hip")),
            _ARMS_AND_LEGS,
            _FEET,
        ),
        _layout(
            "halpe26",
            _COCO_17 + " head neck mid_hip "
            "left_big_toe right_big_toe left_small_toe right_small_toe left_heel right_heel",
            _FACE,
            (("head", "neck"), ("neck", "left_shoulder"), ("neck", "right_shoulder")),
            (("neck", "mid_hip"), ("mid_hip", "left_hip"), ("mid_hip", "right_hip")),
            _ARMS_AND_LEGS,
            _FEET,
        ),
        _layout(
            "blazepose33",
            "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer "
            "left_ear right_ear mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow "
            "left_wrist right_wrist left_pinky right_pinky left_index right_index left_thumb right_thumb "
            "left_hip right_hip left_knee right_knee left_ankle right_ankle left_heel right_heel "
            "left_foot_index right_foot_index",
            _FACE,
            (("mouth_left", "mouth_right"),),
            _TRUNK_BOX,
            _ARMS_AND_LEGS,
            (("left_wrist", "left_index"), ("left_wrist", "left_pinky"), ("left_wrist", "left_thumb")),
            (("right_wrist", "right_index"), ("right_wrist", "right_pinky"), ("right_wrist", "right_thumb")),
            (
                ("left_ankle", "left_heel"),
                ("left_heel", "left_foot_index"),
                ("left_ankle", "left_foot_index"),
            ),
            (
                ("right_ankle", "right_heel"),
                ("right_heel", "right_foot_index"),
                ("right_ankle", "right_foot_index"),
            ),
        ),
    )
}

H36M_JOINTS = LAYOUTS["h36m17"].joints
H36M_EDGES = LAYOUTS["h36m17"].edges
#: the left-side joints, and their mirror images in the same order
H36M_LEFT = tuple(i for i, joint in enumerate(H36M_JOINTS) if joint.startswith("left_"))
H36M_RIGHT = tuple(H36M_JOINTS.index(H36M_JOINTS[i].replace("left_", "right_")) for i in H36M_LEFT)


def get_layout(name: str) -> Layout:
    """Look a layout up by name. Raises ConfigError that lists the known names, the closest first."""
    if name in LAYOUTS:
        return LAYOUTS[name]
    close = difflib.get_close_matches(str(name), LAYOUTS, n=len(LAYOUTS), cutoff=0.0)
    raise ConfigError(f"unknown layout {name!r}; the known layouts are: {', '.join(close)}")
