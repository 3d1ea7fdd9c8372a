"""Where the model in the package is."""

from importlib import resources
from pathlib import Path

from maskclr_edge.errors import BundleError
from maskclr_edge.runtime.bundle import MANIFEST

#: the word that a user gives for the model in the package
BUNDLED = "bundled"


def bundled_bundle() -> Path:
    """Folder of the packaged bundle. Raises BundleError when the install lacks it."""
    return _packaged("bundle", MANIFEST)


def bundled_checkpoint() -> Path:
    """File of the packaged checkpoint. Raises BundleError when the install lacks it."""
    return _packaged("checkpoint.safetensors")


def _packaged(name: str, inside: str = "") -> Path:
    # a plain path: zipped packages are not supported, for backends open files by name
    path = Path(str(resources.files("maskclr_edge").joinpath("bundled").joinpath(name)))
    if not (path / inside).is_file():
        raise BundleError(
            f"{path}: this install lacks the model that comes with the package; "
            "install it again: pip install --force-reinstall maskclr-edge"
        )
    return path
