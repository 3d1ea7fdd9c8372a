"""What TensorRT's parser and builder refuse, in one line: the node, what of the network it is, what to do."""

import re

# what the builder says -> what it means and what to do; the first that fits
_MEANINGS = (
    (
        r"FP32 GEMM is not supported",
        "TensorRT-RTX multiplies no FP32 matrices on SM75 (RTX 20): "
        "take fp16 or mixed, or leave 75 out of --sm",
    ),
    (
        r"[Nn]on-zero zero point|UINT8",
        "TensorRT takes only symmetric int8 (zero point 0): export int8 again with maskclr-edge",
    ),
    (
        r"(?i)fp8|e4m3",
        "FP8 needs SM89 (RTX 40) or SM120 (RTX 50): leave the others out of --sm",
    ),
    (
        r"(?i)out ?of ?memory|bad_alloc|(?:in|not have )sufficient workspace",
        "the builder ran out of memory: give it more with --workspace where that is set, close other "
        "programs, or build elsewhere",
    ),
    (
        r"(?i)driver version is insufficient|no CUDA-capable device|CUDA initialization failure",
        "there is no GPU here with a fitting driver, and TensorRT builds only on the GPU it is for; build "
        "on the device, or take --engine tensorrt-rtx",
    ),
    (
        r"(?i)no implementation for node|could not find any implementation",
        "no kernel of this TensorRT fits a layer: raise --level or --workspace, or take another precision",
    ),
)

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

# op -> what to do where a parser does not take it
_ADVICE = {
    "Gelu": "opset 20 has it, which TensorRT 10.0 and newer read: upgrade TensorRT (JetPack 6.1 has 10.3)",
    "LayerNormalization": "opset 17 has it, which TensorRT 8.6 and newer read: upgrade TensorRT",
    "QuantizeLinear": "export int8 again with maskclr-edge: symmetric, zero point 0, no quantised bias",
    "DequantizeLinear": "export int8 again with maskclr-edge: symmetric, zero point 0, no quantised bias",
    "Cast": "the type is one that this TensorRT lacks: take another precision",
}
_ADVICE_ELSE = (
    "export the model again with this maskclr-edge, and take another precision if that does not help"
)


def translate(what: str, reason: str) -> str:
    """One line for a refusal of the builder: what it means where that is known, then its own words."""
    words = " ".join(reason.split()) or "the builder gave no reason"
    where = next((f" at {part}" for name in _names(words) if (part := part_of(name))), "")
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, words):
            return f"{what}: {meaning} (the builder said{where}: {words[:200]})"
    return f"{what} cannot be built{where}: {words[:400]}"


def translate_parser(what: str, node: str, op: str, reason: str) -> str:
    """One line for a refusal of the parser: node, op, what of our graph it is, and what to do."""
    words = " ".join(reason.split())[:300] or "the parser gave no reason"
    if not node and not op:
        return f"{what} cannot be parsed, it is no ONNX file that TensorRT reads: {words}; export it again"
    part = part_of(node)
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, words):
            advice = meaning
            break
    else:
        advice = _ADVICE.get(op, _ADVICE_ELSE)
    place = f"node {node!r} ({op})" + (f", which is {part}" if part else "")
    return f"{what}: the parser refuses {place}: {words}; {advice}"


def part_of(node: str) -> str:
    """What of the network a node of our graphs belongs to, in words; "" for a foreign node."""
    for pattern, words in _PARTS:
        found = re.match(rf"{pattern}(?![a-z0-9])", node)
        if found:
            return words.format(*(group.upper() if group.isalpha() else group for group in found.groups()))
    return ""


def _names(words: str) -> list[str]:
    """What may be names of our nodes in the builder's words."""
    return re.findall(r"\b(?:backbone\.[\w./]+|head\.[\w./]+)", words)
