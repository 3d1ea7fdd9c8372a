"""The precisions that an encoder is exported in: what each is, who runs it, and how far it may be off."""

from dataclasses import dataclass

from maskclr_edge.errors import ConfigError
from maskclr_edge.runtime.precisions import EMULATED

ORT, OPENVINO = "onnxruntime", "openvino"


@dataclass(frozen=True)
class Form:
    """One encoder file of a precision, for the runners that take it fastest.

    suffix: in the file's name, after the precision. activation: type of activations in Q/DQ pairs, where
    there are any. weight_bits: bits of a quantised weight that are used. scores: whether queries and keys
    are quantised too, in a network of wide heads.
    """

    runners: tuple[str, ...]
    suffix: str = ""
    activation: str = "int8"
    weight_bits: int = 8
    scores: bool = False


@dataclass(frozen=True)
class Precision:
    """One precision of the ONNX files.

    compute: type of the matrix products where nothing is quantised. quantised: type of weights and
    activations that come from Q/DQ pairs, "" for none. tolerance: largest root mean square error of the
    logits over that of the logits: tells a rounded network from a broken one. forms: its encoder files.
    kept: modules that are never quantised, since that costs more than it saves.
    """

    name: str
    compute: str
    quantised: str
    tolerance: float
    forms: tuple[Form, ...] = (Form((ORT, OPENVINO)),)
    kept: tuple[str, ...] = ()

    @property
    def emulated(self) -> bool:
        """Whether every CPU only imitates it: its answers are true there, and its time says nothing."""
        return self.name in EMULATED

    @property
    def runners(self) -> tuple[str, ...]:
        """Those that take one of its files."""
        return tuple(runner for form in self.forms for runner in form.runners)


#: The last linear layer is a hundredth of the products, and the head reads its output as it is: rounding it
#: alone was six sevenths of the error that all rounding gave the logits of 60 M parameters, INT8's and FP8's.
_LAST = ("backbone.pre_logits.fc",)
#: Channels of a head from which on OpenVINO is faster with attention's scores in INT8: with 64 at every width
#: and length, most at the longest; with 32 it is slower at 30 frames (benchmarks/int8_scores.py).
WIDE_HEAD = 64

#: ONNX Runtime has no bfloat16 product on CPUs, and is fastest with unsigned activations in INT8.
#: INT8 weights keep to -64..64: x86 processors without VNNI add two products in 16 bits, and with 8 bits that
#: overflows without a word (a bundle exported here would answer otherwise there).
#: "mixed", for GPUs, is INT8 with all 8 bits, and float16 for what INT8 leaves.
PRECISIONS: dict[str, Precision] = {
    one.name: one
    for one in (
        Precision("fp32", "float32", "", 1e-4),
        Precision("fp16", "float16", "", 0.02),
        Precision("bf16", "bfloat16", "", 0.1, (Form((OPENVINO,)),)),
        Precision(
            "int8",
            "float32",
            "int8",
            0.5,
            (Form((ORT,), ".u8s8", "uint8", weight_bits=7), Form((OPENVINO,), weight_bits=7, scores=True)),
            _LAST,
        ),
        Precision("mixed", "float16", "int8", 0.5, (Form((ORT,)),), _LAST),
        Precision("fp8", "float32", "float8e4m3", 0.5, kept=_LAST),
    )
}


def get_precision(name: str) -> Precision:
    """Look a precision up by name. Raises ConfigError naming those there are."""
    if name not in PRECISIONS:
        raise ConfigError(f"precision is {name!r}; expected some of {', '.join(PRECISIONS)}")
    return PRECISIONS[name]
