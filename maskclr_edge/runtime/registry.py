"""The runners there are, by name: the one place that knows which class serves which name."""

import importlib
from dataclasses import dataclass

from maskclr_edge.errors import ConfigError
from maskclr_edge.optional import available
from maskclr_edge.runtime.gpu import missing_layer
from maskclr_edge.runtime.runner import Runner
from maskclr_edge.runtime.trt_api import PACKAGES

_TRT = "maskclr_edge.runtime.trt"


@dataclass(frozen=True)
class RunnerEntry:
    """A known runner: ``target`` is ``module:Class``.

    ``takes`` is what its class opens, "bundle" or "checkpoint"; ``packages`` the import names of which it
    needs one; ``gpu`` whether it also needs a package for CUDA.
    """

    name: str
    target: str
    takes: str
    packages: tuple[str, ...]
    gpu: bool = False

    @property
    def package(self) -> str:
        """The package that it uses here: the first that is installed, else the one to install."""
        return next(filter(available, self.packages), self.packages[0])

    def why_not(self) -> str | None:
        """Why this runner cannot run here, in one line, or None when nothing is known against it."""
        if not available(self.package):
            return f"{self.package} is not installed"
        return missing_layer() if self.gpu else None

    def load(self) -> type[Runner]:
        """Import the runner's class."""
        module, _, name = self.target.partition(":")
        kind: type[Runner] = getattr(importlib.import_module(module), name)
        return kind


#: name -> entry, in the order in which "auto" tries those that run bundles
RUNNERS: dict[str, RunnerEntry] = {
    entry.name: entry
    for entry in (
        RunnerEntry("onnxruntime", "maskclr_edge.runtime.ort:OrtRunner", "bundle", ("onnxruntime",)),
        RunnerEntry("openvino", "maskclr_edge.runtime.ov:OpenVinoRunner", "bundle", ("openvino",)),
        RunnerEntry("torch", "maskclr_edge.runtime.torch_runner:TorchRunner", "checkpoint", ("torch",)),
        RunnerEntry("tensorrt", f"{_TRT}:TensorRtRunner", "bundle", PACKAGES["tensorrt"], gpu=True),
        RunnerEntry(
            "tensorrt-rtx", f"{_TRT}:TensorRtRtxRunner", "bundle", PACKAGES["tensorrt-rtx"], gpu=True
        ),
    )
}


def get_runner(name: str) -> RunnerEntry:
    """Look a runner up by name. Raises ConfigError naming the known ones."""
    if name not in RUNNERS:
        raise ConfigError(f"unknown runner {name!r}; known: auto, {', '.join(RUNNERS)}")
    return RUNNERS[name]
