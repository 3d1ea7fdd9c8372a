"""What precision an ONNX file really has: read from its tensors and nodes, not from its name."""

from collections import Counter
from typing import Any

import onnx

from maskclr_edge.deploy.gemm_flops import gemm_flops, type_name
from maskclr_edge.deploy.precision import PRECISIONS, Precision
from maskclr_edge.errors import BundleError, ExportError
from maskclr_edge.runtime.bundle import Artifact, Bundle

#: share of the operations of a file's matrix products that must exceed in the type that it is named after
LEAST_SHARE = 0.6


def read_back(model: onnx.ModelProto, *, frames: int = 0, longest: int = 0) -> dict[str, Any]:
    """Types in a model, and the share of the operations of its matrix products in each.

    Result: ``initializers`` type -> {"tensors", "bytes"}; ``nodes`` op -> count; ``gemm_flops`` type -> share
    at ``frames`` frames, attention products included, see ``gemm_flops``, and "frames" itself (a head has
    none); ``gemm_flops_longest`` the same at ``longest`` frames, where that is more. Persons are alike, so
    shares are those of any number of them. Raises ValueError for a graph whose shapes cannot be inferred.
    """
    stored: dict[str, dict[str, int]] = {}
    for tensor in model.graph.initializer:
        entry = stored.setdefault(type_name(tensor.data_type), {"tensors": 0, "bytes": 0})
        entry["tensors"] += 1
        entry["bytes"] += len(tensor.raw_data) or tensor.ByteSize()
    result: dict[str, Any] = {
        "initializers": dict(sorted(stored.items())),
        "nodes": dict(sorted(Counter(node.op_type for node in model.graph.node).items())),
        "gemm_flops": _shares(model, frames),
    }
    if longest > frames:
        result["gemm_flops_longest"] = _shares(model, longest)
    return result


def in_name_only(precision: Precision, shares: dict[str, Any]) -> str:
    """What is wrong with a file of a precision that has these ``gemm_flops``; "" for nothing."""
    wanted = precision.quantised or precision.compute
    if shares.get(wanted, 0.0) > LEAST_SHARE:
        return ""
    kinds = ", ".join(f"{100 * part:.0f} % {kind}" for kind, part in shares.items() if kind != "frames")
    return (
        f"of the operations of its matrix products at {shares['frames']} frames the {precision.name} graph "
        f"runs {kinds or 'none'}, and {precision.name} means over {100 * LEAST_SHARE:.0f} % {wanted}"
    )


def check_share(precision: Precision, found: dict[str, Any]) -> None:
    """Raise ExportError for a file that is of its precision in name only, by what was read back from it."""
    if problem := in_name_only(precision, found["gemm_flops"]):
        raise ExportError(f"{problem}: keep fewer modules in floating point, or export another precision")


def read_bundle(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """File -> what is read back now from each ONNX encoder of a bundle, held to what the manifest says.

    Raises BundleError for one that has its precision in name only, or other types than the manifest says.
    """
    found = {}
    for item in bundle.artifacts:
        if (item.kind, item.role) == ("onnx", "encoder"):
            found[item.file] = _read_artifact(bundle, item)
    return found


def _read_artifact(bundle: Bundle, item: Artifact) -> dict[str, Any]:
    where, contract = bundle.path / item.file, bundle.contract
    try:
        model = onnx.ModelProto.FromString(bundle.read(item))
        found = read_back(model, frames=contract.frames, longest=contract.max_frames)
    except BundleError:
        raise
    except Exception as error:  # protobuf has one class for damaged files, which moves between its releases
        raise BundleError(f"{where} is no ONNX graph of this project: {str(error)[:200]}") from error
    if item.precision in PRECISIONS and (
        problem := in_name_only(PRECISIONS[item.precision], found["gemm_flops"])
    ):
        raise BundleError(f"{where}: {problem}; export the bundle again")
    for key in ("gemm_flops", "gemm_flops_longest"):
        said = item.read_back.get(key)
        if said is not None and said != found.get(key):
            raise BundleError(
                f"{where}: the manifest says {str(said)[:200]} of its matrix products, and the file has "
                f"{found.get(key)}; export the bundle again"
            )
    return found


def _shares(model: onnx.ModelProto, frames: int) -> dict[str, Any]:
    counts = gemm_flops(model, {"frames": max(1, frames)})
    total = max(1, sum(counts.values()))
    shares: dict[str, Any] = {kind: round(count / total, 4) for kind, count in sorted(counts.items())}
    return shares | ({"frames": frames} if frames else {})
