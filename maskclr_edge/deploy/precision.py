"""The precisions that an encoder is exported in: what each is, who runs it, and how far it may be off."""

from dataclasses import dataclass

from maskclr_edge.errors import ConfigError

ORT, OPENVINO = "onnxruntime", "openvino"


@dataclass(frozen=True)
class Precision:
    """One precision of the ONNX files.

    compute: type of the matrix products where nothing is quantised. quantised: type of weights and
    activations that come from Q/DQ pairs, "" for none. runners: those that take the file. tolerance: largest
    root mean square error of the logits over that of the logits: tells a rounded network from a broken one.
    """

    name: str
    compute: str
    quantised: str
    runners: tuple[str, ...]
    tolerance: float

    @property
    def emulated(self) -> bool:
        """Whether every CPU only imitates it: its answers are true there, and its time says nothing."""
        return self.quantised.startswith("float8")


#: ONNX Runtime has no bfloat16 product on CPUs. "mixed" is INT8 with float16 for what INT8 leaves, for GPUs.
PRECISIONS: dict[str, Precision] = {
    one.name: one
    for one in (
        Precision("fp32", "float32", "", (ORT, OPENVINO), 1e-4),
        Precision("fp16", "float16", "", (ORT, OPENVINO), 0.02),
        Precision("bf16", "bfloat16", "", (OPENVINO,), 0.1),
        Precision("int8", "float32", "int8", (ORT, OPENVINO), 0.5),
        Precision("mixed", "float16", "int8", (ORT, OPENVINO), 0.5),
        Precision("fp8", "float32", "float8e4m3", (ORT, OPENVINO), 0.5),
    )
}


def get_precision(name: str) -> Precision:
    """Look a precision up by name. Raises ConfigError naming those there are."""
    if name not in PRECISIONS:
        raise ConfigError(f"precision is {name!r}; expected some of {', '.join(PRECISIONS)}")
    return PRECISIONS[name]
