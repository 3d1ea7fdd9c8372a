"""What the two artifacts of a bundle must take and give, whatever backend has opened them."""

from collections.abc import Mapping, Sequence

from maskclr_edge.errors import BundleError
from maskclr_edge.runtime.bundle import Artifact, Bundle

#: (input, output) of the two graphs
ENCODER = ("persons", "features")
HEAD = ("features", "logits")

Shape = Sequence[int | None]
Tensors = tuple[Mapping[str, Shape], Mapping[str, Shape]]


def check_tensors(bundle: Bundle, chosen: Mapping[str, Artifact], encoder: Tensors, head: Tensors) -> None:
    """Check names and shapes of both graphs' tensors against the manifest's model; None is any size.

    Raises BundleError when a graph is of another model, which a hash cannot tell.
    """
    config, slots = bundle.config, bundle.contract.persons
    width = config.feature_size
    wanted = {
        "encoder": (encoder, ENCODER, (None, None, config.num_joints, 3), (None, width)),
        "head": (head, HEAD, (None, slots, width), (None, config.output_size)),
    }
    for role, ((inputs, outputs), (source, result), shape_in, shape_out) in wanted.items():
        file = bundle.path / chosen[role].file
        for found, name, shape in ((inputs, source, shape_in), (outputs, result, shape_out)):
            if list(found) != [name]:
                raise BundleError(f"{file}: has {', '.join(found)} where the {role} has {name}")
            if not _fits(found[name], shape):
                raise BundleError(
                    f"{file}: {name} is {_show(found[name])}, the manifest's model needs {_show(shape)}; "
                    "it is of another model, export it again"
                )


def first_line(error: BaseException) -> str:
    """The first line of a library's error, short enough for one line of ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."


def _fits(found: Shape, wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(
        a is None or b is None or a == b for a, b in zip(found, wanted, strict=True)
    )


def _show(shape: Shape) -> str:
    return "(" + ", ".join("?" if size is None else str(size) for size in shape) + ")"
