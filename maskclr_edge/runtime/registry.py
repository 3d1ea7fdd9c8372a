"""The runners there are, by name: the one place that knows which class serves which name."""

import importlib
from dataclasses import dataclass

from maskclr_edge.errors import ConfigError, EngineError
from maskclr_edge.optional import available
from maskclr_edge.runtime.runner import Runner


@dataclass(frozen=True)
class RunnerEntry:
    """A known runner: ``target`` is ``module:Class``, empty while no class exists.

    ``takes`` is what its class opens, "bundle" or "checkpoint"; ``package`` the import name that it needs.
    """

    name: str
    target: str
    takes: str
    package: str

    def why_not(self) -> str | None:
        """Why this runner cannot run here, in one line, or None when nothing is known against it."""
        if not self.target:
            return f"this version of maskclr-edge has no {self.name} runner; use onnxruntime or openvino"
        if not available(self.package):
            return f"{self.package} is not installed"
        return None

    def load(self) -> type[Runner]:
        """Import the runner's class. Raises EngineError when there is none yet."""
        if not self.target:
            raise EngineError(f"runner {self.name}: {self.why_not()}")
        module, _, name = self.target.partition(":")
        kind: type[Runner] = getattr(importlib.import_module(module), name)
        return kind


#: name -> entry, in the order in which "auto" tries those that run bundles
RUNNERS: dict[str, RunnerEntry] = {
    entry.name: entry
    for entry in (
        RunnerEntry("onnxruntime", "maskclr_edge.runtime.ort:OrtRunner", "bundle", "onnxruntime"),
        RunnerEntry("openvino", "maskclr_edge.runtime.ov:OpenVinoRunner", "bundle", "openvino"),
        RunnerEntry("torch", "maskclr_edge.runtime.torch_runner:TorchRunner", "checkpoint", "torch"),
        RunnerEntry("tensorrt", "", "bundle", "tensorrt"),
        RunnerEntry("tensorrt-rtx", "", "bundle", "tensorrt_rtx"),
    )
}


def get_runner(name: str) -> RunnerEntry:
    """Look a runner up by name. Raises ConfigError naming the known ones."""
    if name not in RUNNERS:
        raise ConfigError(f"unknown runner {name!r}; known: auto, {', '.join(RUNNERS)}")
    return RUNNERS[name]
