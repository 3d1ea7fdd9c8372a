"""What a model is, so that kept results are never taken for another one's."""

import hashlib
from pathlib import Path
from typing import Any

from maskclr_edge.errors import BundleError
from maskclr_edge.files import short_digest
from maskclr_edge.runtime import BUNDLED, Bundle, Runner, bundled_bundle, bundled_checkpoint


def model_identity(model: str, opened: Runner) -> dict[str, Any]:
    """Digest of a model's file, or of what a runner opens of a bundle, and the runner.

    What else a bundle holds does not matter: what was measured of one precision stays true when another is
    added. ``model`` is what the runner was opened from. Raises BundleError for a file that cannot be read.
    """
    path = Path(model)
    if model == BUNDLED and not path.exists():
        path = bundled_checkpoint() if opened.name == "torch" else bundled_bundle()
    if path.is_dir():
        bundle = Bundle.open(path, verify=False)
        files = bundle.select(opened.name, opened.precision)
        parts = {role: artifact.sha256 for role, artifact in files.items()}
        digest = short_digest([parts, bundle.config.to_dict(), bundle.contract.to_dict()])
    else:
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise BundleError(f"cannot read {path}: {error.strerror or error}") from error
    return {
        "sha256": digest,
        "runner": opened.name,
        "precision": opened.precision,
        "absent": opened.contract.absent,
    }
