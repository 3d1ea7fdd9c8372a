"""Bundles and checkpoints to scores: one Runner contract, one file a backend, and the Classifier."""

from maskclr_edge.runtime.bundle import MANIFEST, Artifact, Bundle
from maskclr_edge.runtime.bundled import BUNDLED, bundled_bundle, bundled_checkpoint
from maskclr_edge.runtime.classifier import Answer, Classifier, softmax
from maskclr_edge.runtime.factory import open_runner
from maskclr_edge.runtime.registry import RUNNERS, RunnerEntry, get_runner
from maskclr_edge.runtime.runner import Runner

__all__ = [
    "BUNDLED",
    "MANIFEST",
    "RUNNERS",
    "Answer",
    "Artifact",
    "Bundle",
    "Classifier",
    "Runner",
    "RunnerEntry",
    "bundled_bundle",
    "bundled_checkpoint",
    "get_runner",
    "open_runner",
    "softmax",
]
