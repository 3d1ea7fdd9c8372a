"""Bundles on ONNX Runtime: the runner that always works, on the CPU, and on CUDA where the install has it."""

from typing import Any, ClassVar

from maskclr_edge.errors import BundleError, EngineError
from maskclr_edge.optional import require
from maskclr_edge.runtime.bundle import Bundle
from maskclr_edge.runtime.cores import default_threads
from maskclr_edge.runtime.io_check import ENCODER, HEAD, check_tensors, first_line
from maskclr_edge.runtime.ort_providers import Providers, choose_providers, short
from maskclr_edge.runtime.precisions import EMULATED
from maskclr_edge.runtime.runner import Floats, Runner

#: microseconds: of 10 to 1000 nearly the best both on a quiet machine and beside a busy process
_SPIN_US = "20"


class OrtRunner(Runner):
    """Encoder and head as two ONNX Runtime sessions. Sessions are thread-safe, so calls run side by side."""

    name: ClassVar[str] = "onnxruntime"

    def __init__(self, bundle: Bundle, precision: str, threads: int | None) -> None:
        super().__init__(bundle.config, bundle.contract, precision)
        ort = require("onnxruntime")
        chosen = bundle.select(self.name, precision)
        levels = ort.GraphOptimizationLevel
        # beyond basic, ONNX Runtime 1.31 makes an invalid graph of FP8, and of INT8 with 8-bit weights sums
        # that overflow without VNNI
        level = levels.ORT_ENABLE_BASIC if precision in EMULATED else levels.ORT_ENABLE_ALL
        providers = choose_providers(ort.get_available_providers())
        options = _options(ort, threads or default_threads(), level)
        self._encoder = _session(ort, bundle, chosen["encoder"], options, providers)
        self._header = _session(ort, bundle, chosen["head"], options, providers)
        check_tensors(bundle, chosen, _described(self._encoder), _described(self._header))
        self.details = {
            "onnxruntime": ort.__version__,
            "threads": options.intra_op_num_threads,
            "providers": [short(name) for name in self._encoder.get_providers()],
        }

    @classmethod
    def open(cls, source: Bundle, precision: str, threads: int | None) -> "OrtRunner":
        """Open a bundle. Raises BundleError when it has nothing for this runner or its files are broken."""
        return cls(source, precision, threads)

    def _encode(self, persons: Floats) -> Floats:
        return _run(self._encoder, ENCODER, persons)

    def _head(self, features: Floats) -> Floats:
        return _run(self._header, HEAD, features)

    def _close(self) -> None:
        del self._encoder, self._header


def _options(ort: Any, threads: int, level: Any) -> Any:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4  # fatal: every error comes back as an exception, and once is enough
    options.inter_op_num_threads = 1
    # a number of its own also keeps ONNX Runtime from pinning its threads to cores that others use
    options.intra_op_num_threads = threads
    set_waiting(options, ort.__version__)
    # smaller blocks leave less to do to the thread that is late
    options.add_session_config_entry("session.dynamic_block_base", "4")
    return options


def set_waiting(options: Any, version: str) -> None:
    """How the threads of a session wait for work: they spin for most gaps between two operators, then sleep.

    Those that only sleep are late on a machine of their own, and those that go on spinning, as they do by
    default, hold the cores that others wait for (``benchmarks/runtime_settings.py`` measures both).
    ``version`` is ONNX Runtime's; before 1.26 no time can be set, and they sleep.
    """
    if tuple(int(part) for part in version.split(".")[:2]) >= (1, 26):
        options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN_US)
    else:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")


def _session(ort: Any, bundle: Bundle, artifact: Any, options: Any, providers: Providers) -> Any:
    data, file = bundle.read(artifact), bundle.path / artifact.file
    try:
        session = ort.InferenceSession(data, options, providers=providers.arguments(artifact.precision))
    except Exception as error:  # its exceptions share no base of their own
        raise BundleError(f"{file}: not taken by ONNX Runtime ({first_line(error)})") from error
    providers.check(session.get_providers(), str(file))
    session.disable_fallback()  # a device that fails in a call is an error, not another device
    return session


def _described(session: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs: name -> shape, with None for what is dynamic."""
    return tuple(  # type: ignore[return-value]
        {value.name: [size if isinstance(size, int) else None for size in value.shape] for value in values}
        for values in (session.get_inputs(), session.get_outputs())
    )


def _run(session: Any, tensors: tuple[str, str], array: Floats) -> Floats:
    source, result = tensors
    try:
        output: Floats = session.run([result], {source: array})[0]
    except Exception as error:
        raise EngineError(f"onnxruntime failed on {source} {array.shape}: {first_line(error)}") from error
    return output
