"""maskclr-edge: skeleton action recognition with MaskCLR, from training to the edge."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskclr_edge.runtime import Classifier as Classifier

__version__ = "0.1.0"

__all__ = ["Classifier", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the Classifier when it is first asked for, so that importing the package costs nothing."""
    if name == "Classifier":
        from maskclr_edge.runtime import Classifier

        return Classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
