"""The network as two ONNX graphs, written from the weights: nothing is traced, and torch is not needed.

What differs from the published form, with the same results: the attention scale is folded into the query
weights, attention products are 4-D with the heads second, the softmax over two streams is a sigmoid of the
difference of their scores, BatchNorm is folded into the linear layer before it, and persons come first.
It is one module, over 300 lines, so that the network can be read from its input to its output.
"""

import numpy as np
import onnx

from maskclr_edge.checkpoint import Checkpoint
from maskclr_edge.deploy.builder import REDUCED, Array, GraphBuilder, Outputs, half_exactly
from maskclr_edge.errors import ConfigError

STORAGES = ("float32", "float16")
LAYER_NORM_EPS = 1e-6
BATCH_NORM_EPS = 1e-5
NORMALISE_EPS = 1e-12
#: weights that the graph holds in another form, always in float32
_DERIVED = ("backbone.pos_embed", "backbone.ts_attn.", "backbone.mask_token")


def encoder_graph(
    checkpoint: Checkpoint,
    *,
    storage: str = "float32",
    compute: str = "float32",
    importance: bool = False,
    flat: bool = True,
    apart: bool = False,
) -> onnx.ModelProto:
    """Graph ``persons`` (P, T, 17, 3) -> ``features`` (P, F): DSTformer, tanh, mean over frames.

    storage: "float32", or "float16" for half the bytes at no loss; see :class:`GraphBuilder`. compute:
    "float16" or "bfloat16" for matrix products in that type, weights stored in it; the sums of residuals,
    LayerNorm, softmax, the embedding and what chooses between the streams stay in float32, so that nothing
    can overflow that grows with depth or length; in "float16" the last two are sums of products element by
    element, as no matrix may be multiplied in float32 on SM75 (RTX 20). importance adds
    an output ``importance`` (P, 17): the attention that each joint receives in the ST stream's last spatial
    attention, as a mean over heads and a sum over queries, through a softmax over joints, as a mean over
    frames. flat keeps tokens as (P*T*17, D), where ONNX Runtime makes each linear layer one Gemm; without,
    they are (P*T, 17, D), where it makes integer products of quantised ones. apart makes query, key and value
    three layers instead of one, and their heads change places by two axes alone: OpenVINO takes that into
    the attention, with operands in int8 where they come from its int8 layers.
    Raises ExportError for weights that float16 cannot hold.
    """
    if compute != "float32" and compute not in REDUCED:
        raise ConfigError(f"compute is {compute!r}; expected float32 or one of {', '.join(REDUCED)}")
    return _Encoder(checkpoint, _builder(storage), flat, apart, compute).model(importance)


def head_graph(
    checkpoint: Checkpoint, *, storage: str = "float32", compute: str = "float32"
) -> onnx.ModelProto:
    """Graph ``features`` (N, S, F) -> ``logits`` (N, K): mean over person slots S, then the head.

    compute: "float16" for matrix products in that type. With an embedding head the result is the normalised
    embedding. Raises ExportError as ``encoder_graph``.
    """
    config, weights, b = checkpoint.config, checkpoint.weights, _builder(storage)
    x = b("ReduceMean", ["features", b.ints("head/axis", 1)], "head", keepdims=0)  # (N, F)
    scale, bias = None, weights["head.fc1.bias"]
    if config.head == "class":
        spread = np.sqrt(weights["head.bn.running_var"].astype(np.float64) + BATCH_NORM_EPS)
        gain = weights["head.bn.weight"] / spread
        shifted = (bias - weights["head.bn.running_mean"].astype(np.float64)) * gain + weights["head.bn.bias"]
        scale, bias = gain.astype(np.float32), shifted.astype(np.float32)

    def linear(x: str, path: str, bias: Array, scale: Array | None = None) -> str:
        values = weights[f"{path}.weight"].T
        if compute == "float32":
            weight = b.matrix(f"{path}.weight", values, scale)
            return b("Gemm", [x, weight, b.array(f"{path}.bias", bias)], path)
        x = b("Cast", [x], path, to=REDUCED[compute])
        x = b("MatMul", [x, b.reduced(f"{path}.weight", values, compute, scale)], path)
        x = b("Cast", [x], path, to=onnx.TensorProto.FLOAT)
        return b("Add", [x, b.array(f"{path}.bias", bias)], path)

    x = linear(x, "head.fc1", bias, scale)
    if config.head == "class":
        x = b("Relu", [x], "head.act")
        x = linear(x, "head.fc2", weights["head.fc2.bias"])
    else:
        length = b("ReduceL2", [x, b.ints("head/axis", 1)], "head.normalise")
        least = b.array("head.normalise/eps", np.array([NORMALISE_EPS], np.float32))
        x = b("Div", [x, b("Max", [length, least], "head.normalise")], "head.normalise")
    return b.model(
        "head",
        {"features": ["clips", "persons", config.feature_size]},
        {"logits": (x, ["clips", config.output_size])},
    )


def fits_half(checkpoint: Checkpoint) -> bool:
    """Whether float16 holds every matrix of a checkpoint exactly, so that "float16" storage loses nothing."""
    return all(
        half_exactly(value) is not None
        for name, value in checkpoint.weights.items()
        if value.ndim > 1 and not name.startswith(_DERIVED)
    )


def _builder(storage: str) -> GraphBuilder:
    if storage not in STORAGES:
        raise ConfigError(f"storage is {storage!r}; expected one of {', '.join(STORAGES)}")
    return GraphBuilder(half=storage == "float16")


class _Encoder:
    """Writes the encoder. Tokens are x: (P*T*17, D) when flat, else (P*T, 17, D)."""

    def __init__(
        self, checkpoint: Checkpoint, builder: GraphBuilder, flat: bool, apart: bool, compute: str
    ) -> None:
        self.config, self.weights, self.b = checkpoint.config, checkpoint.weights, builder
        b, joints, width = builder, self.config.num_joints, self.config.dim_feat
        heads, head_dim = self.config.num_heads, self.config.head_dim
        self.compute, self.apart = compute, apart
        self.probabilities = ""
        # T is the one size that the graph must ask for; these four shapes are all that is made of it
        self.frames = b("Shape", ["persons"], "frames", start=1, end=2)
        self.tokens = b.ints("tokens", -1, width) if flat else b.ints("tokens", -1, joints, width)
        if apart:
            self.frame_tokens = b.ints("frame_tokens", -1, joints, heads, head_dim)
            any_, tracks = b.ints("any", -1), b.ints("tracks", joints * heads, head_dim)
            self.track_tokens = b("Concat", [any_, self.frames, tracks], "track_tokens", axis=0)
        else:
            qkv = (joints, 3, heads, head_dim)
            self.joint_qkv = b.ints("joint_qkv", -1, *qkv)
            self.joint_heads = b.ints("joint_heads", -1, heads, joints, head_dim)
            any_ = b.ints("any", -1)
            self.frame_qkv = b("Concat", [any_, self.frames, b.ints("qkv", *qkv)], "frame_qkv", axis=0)
            first, last = b.ints("heads", heads), b.ints("head_dim", head_dim)
            self.frame_heads = b("Concat", [any_, first, self.frames, last], "frame_heads", axis=0)
            shape = [any_, b.ints("joints_heads", joints, heads), self.frames, last]
            self.joint_heads_frames = b("Concat", shape, "joint_heads_frames", axis=0)
        tail = b.ints("features_per_frame", self.config.feature_size)
        self.frame_features = b("Concat", [any_, self.frames, tail], "frame_features", axis=0)

    def model(self, importance: bool) -> onnx.ModelProto:
        """The whole encoder."""
        b, config = self.b, self.config
        x = self.embed()
        for layer in range(config.depth):
            st = ts = x
            for axis in "st":
                st = self.block(st, f"backbone.blocks_st.{layer}", axis)
            for axis in "ts":
                ts = self.block(ts, f"backbone.blocks_ts.{layer}", axis)
            x = self.fuse(st, ts, f"backbone.ts_attn.{layer}")
        x = self.norm(x, "backbone.norm")
        x = self.up(
            self.linear(self.down(x, "backbone.norm"), "backbone.pre_logits.fc"), "backbone.pre_logits"
        )
        x = b("Tanh", [x], "backbone.pre_logits")
        x = b("Reshape", [x, self.frame_features], "pool")  # (P, T, 17 * R)
        x = b("ReduceMean", [x, b.ints("pool/axis", 1)], "pool", keepdims=0)  # (P, F)
        outputs: Outputs = {"features": (x, ["persons", config.feature_size])}
        if importance:
            outputs["importance"] = (self.importance(), ["persons", config.num_joints])
        return b.model("encoder", {"persons": ["persons", "frames", config.num_joints, 3]}, outputs)

    def embed(self) -> str:
        """Joints to tokens, with the embeddings of joint and frame."""
        b, weights, path = self.b, self.weights, "backbone.joints_embed"
        matrix = b.matrix(f"{path}.weight", weights[f"{path}.weight"].T)
        if self.compute == "float16":
            x = b("Unsqueeze", ["persons", b.ints("last", -1)], path)  # (P, T, 17, 3, 1)
            x = b("ReduceSum", [b("Mul", [x, matrix], path), b.ints("coordinates", -2)], path, keepdims=0)
        else:
            x = b("MatMul", ["persons", matrix], path)
        place = weights["backbone.pos_embed"][0] + weights[f"{path}.bias"]  # (17, D)
        x = b("Add", [x, b.array("backbone.pos_embed", place)], "backbone.pos_embed")
        moment = b.matrix("backbone.temp_embed", weights["backbone.temp_embed"][0])  # (maxlen, 1, D)
        zero = b.ints("zero", 0)
        moment = b("Slice", [moment, zero, self.frames, zero], "backbone.temp_embed")  # (T, 1, D)
        x = b("Add", [x, moment], "backbone.temp_embed")  # (P, T, 17, D)
        return b("Reshape", [x, self.tokens], "backbone.temp_embed")

    def block(self, x: str, block: str, axis: str) -> str:
        """Half a block: attention and MLP over joints (axis "s") or frames ("t"), each with its residual."""
        b, mlp = self.b, f"{block}.mlp_{axis}"
        y = self.down(self.norm(x, f"{block}.norm1_{axis}"), f"{block}.norm1_{axis}")
        y = self.up(self.attention(y, f"{block}.attn_{axis}", axis), f"{block}.attn_{axis}")
        x = b("Add", [x, y], f"{block}.attn_{axis}")
        y = self.down(self.norm(x, f"{block}.norm2_{axis}"), f"{block}.norm2_{axis}")
        y = b("Gelu", [self.linear(y, f"{mlp}.fc1")], f"{mlp}.act")
        return b("Add", [x, self.up(self.linear(y, f"{mlp}.fc2"), mlp)], mlp)

    def down(self, x: str, path: str) -> str:
        """To the type of the matrix products."""
        return x if self.compute == "float32" else self.b("Cast", [x], path, to=REDUCED[self.compute])

    def up(self, x: str, path: str) -> str:
        """Back to float32."""
        return x if self.compute == "float32" else self.b("Cast", [x], path, to=onnx.TensorProto.FLOAT)

    def attention(self, x: str, path: str, axis: str) -> str:
        """Self-attention within a frame (axis "s") or along a joint's track ("t")."""
        b, width = self.b, self.config.dim_feat
        scale = np.ones(3 * width, np.float32)
        scale[:width] = self.config.scale
        if self.apart:
            query, key, value = self.heads_apart(x, path, axis, scale)
        else:
            query, key, value = self.heads(self.linear(x, f"{path}.qkv", scale), path, axis)
        # backends take this exchange of the last two axes into the product; any other way to get there from
        # tokens is a copy of its own, element by element
        key = b("Transpose", [key], path, perm=[0, 1, 3, 2])
        scores = b("MatMul", [query, key], f"{path}.scores")
        weights = b("Softmax", [self.up(scores, path)], path, axis=-1)  # (B, heads, S, S)
        if path == f"backbone.blocks_st.{self.config.depth - 1}.attn_s":
            self.probabilities = weights
        y = b("MatMul", [self.down(weights, path), value], f"{path}.mix")  # (B, heads, S, C)
        if axis == "t" and not self.apart:
            y = b("Reshape", [y, self.joint_heads_frames], path)  # (P, 17, heads, T, C)
            y = b("Transpose", [y], path, perm=[0, 3, 1, 2, 4])
        else:
            y = b("Transpose", [y], path, perm=[0, 2, 1, 3])
        return self.linear(b("Reshape", [y, self.tokens], f"{path}.proj"), f"{path}.proj")

    def heads_apart(self, x: str, path: str, axis: str, scale: Array) -> list[str]:
        """As ``heads`` gives, but from a layer for each, and the 17 joints of "t" are so many heads more."""
        b, found = self.b, []
        weight, bias = self.weights[f"{path}.qkv.weight"].T, self.weights.get(f"{path}.qkv.bias")
        for name, columns in zip(("query", "key", "value"), np.split(np.arange(len(scale)), 3), strict=True):
            own = f"{path}.qkv.{name}"
            y = self.affine(
                x, own, weight[:, columns], None if bias is None else bias[columns], scale[columns]
            )
            y = b("Reshape", [y, self.frame_tokens if axis == "s" else self.track_tokens], own)
            found.append(b("Transpose", [y], own, perm=[0, 2, 1, 3]))
        return found

    def heads(self, qkv: str, path: str, axis: str) -> list[str]:
        """Tokens (..., 3 * D) -> queries, keys, values: (P*T, heads, 17, C), or (P*17, heads, T, C) for "t".

        One transpose puts the three first, so that what splits them need not copy.
        """
        b = self.b
        if axis == "s":
            x = b("Reshape", [qkv, self.joint_qkv], path)
            x = b("Transpose", [x], path, perm=[2, 0, 3, 1, 4])  # (3, P*T, heads, 17, C)
            x = b("Reshape", [x, self.joint_heads], path)
        else:
            x = b("Reshape", [qkv, self.frame_qkv], path)
            x = b("Transpose", [x], path, perm=[3, 0, 2, 4, 1, 5])  # (3, P, 17, heads, T, C)
            x = b("Reshape", [x, self.frame_heads], path)
        return b.op("Split", [x], path, 3, axis=0, num_outputs=3)

    def fuse(self, st: str, ts: str, path: str) -> str:
        """Mix the streams token by token: softmax of two scores is the sigmoid of their difference."""
        b = self.b
        difference = b("Sub", [st, ts], path)
        if self.config.att_fuse:
            weight, bias = self.weights[f"{path}.weight"], self.weights[f"{path}.bias"]
            preference = (weight[0] - weight[1]).reshape(2, -1, 1)  # (2, D, 1)
            of_st = self.score(st, preference[0], "st", path)
            of_ts = self.score(ts, preference[1], "ts", path)
            score = b("Add", [of_st, of_ts], path)
            score = b("Add", [score, b.array(f"{path}.bias", bias[:1] - bias[1:])], path)
            share = b("Sigmoid", [score], path)
        else:
            share = b.array("half", np.array([0.5], np.float32))
        return b("Add", [ts, b("Mul", [share, difference], path)], path)

    def score(self, x: str, weight: Array, stream: str, path: str) -> str:
        """How much speaks for a stream, a number a token. weight: (D, 1)."""
        b, name = self.b, f"{path}.weight.{stream}"
        if self.compute != "float16":
            return b("MatMul", [x, b.array(name, weight)], f"{path}.{stream}")
        product = b("Mul", [x, b.array(name, weight[:, 0])], f"{path}.{stream}")
        return b("ReduceSum", [product, b.ints("last", -1)], f"{path}.{stream}", keepdims=1)

    def importance(self) -> str:
        """Softmax over joints of the attention each receives in a frame, as a mean over frames; (P, 17)."""
        b, path = self.b, "importance"
        x = b("ReduceMean", [self.probabilities, b.ints("importance/heads", 1)], path, keepdims=0)
        x = b("ReduceSum", [x, b.ints("importance/queries", 1)], path, keepdims=0)  # (P*T, 17)
        x = b("Softmax", [x], path, axis=-1)
        tail = b.ints("joints", self.config.num_joints)
        shape = b("Concat", [b.ints("any", -1), self.frames, tail], path, axis=0)
        x = b("Reshape", [x, shape], path)  # (P, T, 17)
        return b("ReduceMean", [x, b.ints("pool/axis", 1)], path, keepdims=0)

    def norm(self, x: str, path: str) -> str:
        """LayerNorm."""
        weight = self.b.array(f"{path}.weight", self.weights[f"{path}.weight"])
        bias = self.b.array(f"{path}.bias", self.weights[f"{path}.bias"])
        return self.b("LayerNormalization", [x, weight, bias], path, epsilon=LAYER_NORM_EPS)

    def linear(self, x: str, path: str, scale: Array | None = None) -> str:
        """Linear layer, its outputs times ``scale`` where given."""
        weight, bias = self.weights[f"{path}.weight"].T, self.weights.get(f"{path}.bias")
        return self.affine(x, path, weight, bias, scale)

    def affine(self, x: str, path: str, values: Array, bias: Array | None, scale: Array | None) -> str:
        """Product with a weight (in, out), plus a bias (out,), both times ``scale`` (out,) where given."""
        if self.compute == "float32":
            weight = self.b.matrix(f"{path}.weight", values, scale)
        else:
            weight = self.b.reduced(f"{path}.weight", values, self.compute, scale)
        x = self.b("MatMul", [x, weight], path)
        if bias is None:
            return x
        bias = bias if scale is None else bias * scale
        if self.compute == "float32":
            added = self.b.array(f"{path}.bias", bias)
        else:
            added = self.b.reduced(f"{path}.bias", bias, self.compute)
        return self.b("Add", [x, added], path)
