"""Skeletons: joint layouts, the clip contract and the way from raw keypoints to clips. NumPy alone."""

from maskclr_edge.skeleton.clips import check_clips, flip_clips
from maskclr_edge.skeleton.contract import MAX_FRAMES, SkeletonContract
from maskclr_edge.skeleton.conversion import conversion_matrix, to_h36m
from maskclr_edge.skeleton.corruption import CORRUPTIONS, Cell, Corruption, corrupt_clips, parse_corruptions
from maskclr_edge.skeleton.layouts import (
    H36M_EDGES,
    H36M_JOINTS,
    H36M_LEFT,
    H36M_RIGHT,
    LAYOUTS,
    Layout,
    get_layout,
)
from maskclr_edge.skeleton.normalise import (
    crop_scale,
    pad_persons,
    resample_indices,
    select_persons,
    to_camera,
)
from maskclr_edge.skeleton.preprocess import MAX_PIXEL, check_keypoints, prepare, preprocess
from maskclr_edge.skeleton.tracking import track_identity

__all__ = [
    "CORRUPTIONS",
    "H36M_EDGES",
    "H36M_JOINTS",
    "H36M_LEFT",
    "H36M_RIGHT",
    "LAYOUTS",
    "MAX_FRAMES",
    "MAX_PIXEL",
    "Cell",
    "Corruption",
    "Layout",
    "SkeletonContract",
    "check_clips",
    "check_keypoints",
    "conversion_matrix",
    "corrupt_clips",
    "crop_scale",
    "flip_clips",
    "get_layout",
    "pad_persons",
    "parse_corruptions",
    "prepare",
    "preprocess",
    "resample_indices",
    "select_persons",
    "to_camera",
    "to_h36m",
    "track_identity",
]
