"""Made-up labelled motions, for wherever real ones are not at hand."""

from maskclr_edge.data.made_up.generator import MADE_UP_CLASSES, made_up_clips

__all__ = ["MADE_UP_CLASSES", "made_up_clips"]
