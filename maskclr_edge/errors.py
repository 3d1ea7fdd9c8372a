"""One tree of errors; each knows the exit code of the command that meets it.

A message says what was received, what was expected and what to do next, in one line.
Exit code 2: what the user gave is at fault. Exit code 1: everything else.
"""


class MaskclrEdgeError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1


class ConfigError(MaskclrEdgeError):
    """An option, a configuration key or a name that is not known or does not fit."""

    exit_code = 2


class DataError(MaskclrEdgeError):
    """An annotation file or a recording that cannot be used as it is."""

    exit_code = 2


class ShapeError(MaskclrEdgeError):
    """An array whose shape, type or values break the clip contract."""

    exit_code = 2


class CheckpointError(MaskclrEdgeError):
    """A checkpoint that cannot be read, or is of another architecture."""

    exit_code = 2


class BundleError(MaskclrEdgeError):
    """A bundle that is incomplete, changed, or not what was asked for."""

    exit_code = 2


class SourceError(MaskclrEdgeError):
    """A camera, video or recording that gives no usable frames."""

    exit_code = 2


class ExportError(MaskclrEdgeError):
    """An export that could not be completed or failed its parity check."""


class EngineError(MaskclrEdgeError):
    """An engine that could not be built, loaded or run."""


class TrainingError(MaskclrEdgeError):
    """A training run that cannot go on, such as a loss that is not finite."""


class MissingDependencyError(MaskclrEdgeError):
    """An optional package that the asked-for feature needs is not installed."""
