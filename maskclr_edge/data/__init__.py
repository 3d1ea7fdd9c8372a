"""Labelled recordings: annotation files read safely, made-up motions, and the clips they become."""

from maskclr_edge.data.annotations import Annotation, AnnotationSet, read_annotations
from maskclr_edge.data.clips import make_clips
from maskclr_edge.data.made_up import MADE_UP_CLASSES, made_up_clips
from maskclr_edge.data.plain_pickle import read_plain_pickle
from maskclr_edge.data.writer import write_annotations

__all__ = [
    "MADE_UP_CLASSES",
    "Annotation",
    "AnnotationSet",
    "made_up_clips",
    "make_clips",
    "read_annotations",
    "read_plain_pickle",
    "write_annotations",
]
