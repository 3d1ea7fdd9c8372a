"""What TensorRT's parser and builder refuse, in one line: the node, what of the network it is, what to do.

The texts are those of the library of TensorRT-RTX 1.7, whose parser and messages TensorRT shares, and of
TensorRT 10.3 to 11.2 as users report them; the tests have each with where it comes from.
"""

import re
from collections.abc import Sequence

# what the builder says -> what it means and what to do; the first that fits
_MEANINGS = (
    (
        r"FP32 GEMM is not supported",
        "TensorRT-RTX multiplies no FP32 matrices on SM75 (RTX 20): "
        "take fp16 or mixed, or leave 75 out of --sm",
    ),
    (
        r"[Nn]on-zero zero point|does not support UINT8",
        "TensorRT takes only symmetric int8 (zero point 0): export int8 again with maskclr-edge",
    ),
    (
        r"HW-specific datatypes: fp8|FP8 Q/DQ layers require|FP8 is not supported",
        "FP8 needs SM89 (RTX 40) or SM120 (RTX 50), in the datacentre Hopper or newer: leave the others out "
        "of --sm, or take another precision",
    ),
    (
        r"HW-specific datatypes: bf?16",
        "BF16 needs SM80 (A100) or newer, RTX 30 among them: take fp16, or leave the others out of --sm",
    ),
    (
        r"Target GPU SM ?\d+ is not supported",
        "this TensorRT builds for no GPU as old as this one: take a release that does, 10.3 at least",
    ),
    (
        r"CUDA initialization failure|no CUDA-capable device",
        "there is no GPU here with a fitting driver, and TensorRT builds only on the GPU it is for; build "
        "on the device, or take --engine tensorrt-rtx",
    ),
    (
        r"(?i)out ?of ?memory|bad_alloc|could not be allocated|insufficient workspace",
        "the builder ran out of memory: give it more with --workspace where that is set, close other "
        "programs, or build elsewhere",
    ),
    (
        r"(?i)could not find any implementation",
        "no kernel of this TensorRT fits a layer: raise --level or --workspace, or take another precision",
    ),
    (
        r"profile (?:index )?\d|no optimization profile",
        "the shapes of a profile do not fit the network: check --frames and --persons",
    ),
    (
        r"must have at least one output",
        "the ONNX file is empty or of something else: export it again",
    ),
)
# parser's words for an operation that it has not, where they are no more than a condition of its source
_NO_SUCH_OP = r"Plugin not found|No importer registered|^false$"
# one of many kernels that was tried and left out: not why a build ends
_BY_THE_WAY = r"(?i)skipping tactic"
# on a machine without a GPU TensorRT-RTX adds that to its reasons, and builds all the same
_NO_GPU = r"\[checkMacros\.cpp::catchCudaError.*"

# path of a node -> what of the network it is; {0} and so on are the groups
_PARTS = (
    (r"backbone\.joints_embed", "the embedding of joints"),
    (r"backbone\.(?:pos_embed|temp_embed)", "the embedding of joint and frame"),
    (r"backbone\.blocks_(st|ts)\.(\d+)\.attn_s", "spatial attention of block {1}, stream {0}"),
    (r"backbone\.blocks_(st|ts)\.(\d+)\.attn_t", "temporal attention of block {1}, stream {0}"),
    (r"backbone\.blocks_(st|ts)\.(\d+)\.mlp_[st]", "the MLP of block {1}, stream {0}"),
    (r"backbone\.blocks_(st|ts)\.(\d+)\.norm[12]_[st]", "LayerNorm of block {1}, stream {0}"),
    (r"backbone\.ts_attn\.(\d+)", "the choice between the streams after block {0}"),
    (r"backbone\.norm", "the last LayerNorm"),
    (r"backbone\.pre_logits", "the representation layer before pooling"),
    (r"pool", "the mean over frames"),
    (r"importance", "the joint importance"),
    (r"head", "the classification head"),
)

# op that a parser does not have -> since when parsers have it
_SINCE = {
    "Gelu": "opset 20 has it, which TensorRT 10.0 and newer read: upgrade TensorRT (JetPack 6.1 has 10.3)",
    "LayerNormalization": "opset 17 has it, which TensorRT 8.6 and newer read: upgrade TensorRT",
}
# op -> what to do where a parser does not take it as it is
_ADVICE = {
    "QuantizeLinear": "export int8 again with maskclr-edge: symmetric, zero point 0, no quantised bias",
    "DequantizeLinear": "export int8 again with maskclr-edge: symmetric, zero point 0, no quantised bias",
    "Cast": "the type is one that this TensorRT lacks: take another precision",
}
_ADVICE_ELSE = (
    "export the model again with this maskclr-edge, and take another precision if that does not help"
)


def translate(what: str, errors: Sequence[str]) -> str:
    """One line for a refusal of the builder: what it means where that is known, then its own words.

    errors: all that it said, in its order.
    """
    said = [words for error in errors if (words := _clean(error))] or ["the builder gave no reason"]
    for pattern, meaning in _MEANINGS:
        for words in said:
            if re.search(pattern, words):
                return f"{what}: {meaning} (the builder said{_where(words)}: {words[:200]})"
    words = next((one for one in said if not re.search(_BY_THE_WAY, one)), said[0])
    return f"{what} cannot be built{_where(words)}: {words[:400]}"


def translate_parser(what: str, node: str, op: str, reason: str) -> str:
    """One line for a refusal of the parser: node, op, what of our graph it is, and what to do."""
    words = _clean(reason)[:300] or "the parser gave no reason"
    if not node and not op:
        return f"{what} cannot be parsed, it is no ONNX file that TensorRT reads: {words}; export it again"
    part = part_of(node)
    if re.search(_NO_SUCH_OP, words):
        words, advice = f"it has no {op}", _SINCE.get(op, _ADVICE_ELSE)
    else:
        advice = _ADVICE.get(op, _ADVICE_ELSE)
        advice = next((meaning for pattern, meaning in _MEANINGS if re.search(pattern, words)), advice)
    place = f"node {node!r} ({op})" + (f", which is {part}" if part else "")
    return f"{what}: the parser refuses {place}: {words}; {advice}"


def part_of(node: str) -> str:
    """What of the network a node of our graphs belongs to, in words; "" for a foreign node."""
    for pattern, words in _PARTS:
        found = re.match(rf"{pattern}(?![a-z0-9])", node)
        if found:
            return words.format(*(group.upper() if group.isalpha() else group for group in found.groups()))
    return ""


def _clean(error: str) -> str:
    """An error in one line, without what follows only from there being no GPU."""
    words = " ".join(error.split())
    return re.sub(_NO_GPU, "", words).strip() or words


def _where(words: str) -> str:
    """Which part of the network the builder names, and its last part where it names a stretch."""
    # layers that become one are ForeignNode[first...last]; nothing of ours has two dots in its name
    names = re.findall(r"\b(?:backbone|head)(?:\.?[\w/])+", words)
    parts = list(dict.fromkeys(part for name in names if (part := part_of(name))))
    if not parts:
        return ""
    return f" at {parts[0]}" + (f", to {parts[-1]}" if "ForeignNode" in words and len(parts) > 1 else "")
