"""What ONNX Runtime is opened on: a GPU's provider where the install has one, and never in silence.

``MASKCLR_EDGE_ORT_PROVIDERS`` names others, in order: ``cpu``, ``cuda``, ``tensorrt,cuda``, ``coreml``. What
is asked for there must be taken, or opening fails.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maskclr_edge.errors import ConfigError, EngineError

VARIABLE = "MASKCLR_EDGE_ORT_PROVIDERS"
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
_SUFFIX = "ExecutionProvider"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Providers:
    """Providers by ONNX Runtime's names, the CPU's last; ``demanded`` where the user named them."""

    names: tuple[str, ...]
    demanded: bool

    def arguments(self, precision: str) -> list[Any]:
        """As InferenceSession takes them: a name, or a name with options."""
        # CUDA rounds the factors of float32 products to TF32 unless told not to: fp32 has to mean float32
        options = {CUDA: {"use_tf32": "0"}} if precision == "fp32" else {}
        return [(name, options[name]) if name in options else name for name in self.names]

    def check(self, taken: Sequence[str], file: str) -> None:
        """Hold what a session took against what was chosen: ONNX Runtime goes on without one that fails.

        Raises EngineError where the user named it, and warns where the install only has it.
        """
        for name in self.names:
            if name in taken:
                continue
            what = f"{file}: ONNX Runtime could not open {short(name)} and would run on {short(taken[0])}"
            why = "its libraries or its device are missing, or of another version"
            if self.demanded:
                raise EngineError(f"{what} ({why}); name another in {VARIABLE}")
            _LOG.warning("%s instead (%s); %s=cpu says that this is meant", what, why, VARIABLE)


def choose_providers(available: Sequence[str], wanted: str | None = None) -> Providers:
    """CUDA where it is installed, then the CPU; or those that ``wanted`` or the environment names.

    ONNX Runtime's TensorRT provider is taken only by name: it builds an engine for each new shape, at the
    first call. Raises ConfigError for a provider that this install has not.
    """
    wanted = os.environ.get(VARIABLE, "") if wanted is None else wanted
    if not wanted.strip():
        return Providers(tuple(name for name in (CUDA, CPU) if name in available or name == CPU), False)
    known = {short(name).lower(): name for name in available}
    names: list[str] = []
    for word in wanted.split(","):
        name = known.get(word.strip().lower())
        if name is None:
            raise ConfigError(
                f"{VARIABLE} is {wanted!r:.100}; this ONNX Runtime has {', '.join(known) or 'no providers'}, "
                "name those, with commas between"
            )
        names.append(name)
    return Providers(tuple(dict.fromkeys([*names, CPU])), True)


def short(name: str) -> str:
    """CUDA for CUDAExecutionProvider."""
    return name.removesuffix(_SUFFIX)
