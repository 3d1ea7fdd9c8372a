"""What runners know of a precision by its name; how one is made is in ``deploy/precision.py``."""

#: from the most exact to the least; a precision that is not here comes after them
EXACTNESS = ("fp32", "fp16", "bf16", "mixed", "int8", "fp8")
#: those for GPUs: a CPU computes them in floating point between the pairs as the file says, so that its
#: answers are true and its time says nothing
EMULATED = ("fp8", "mixed")


def exactness(precision: str) -> int:
    """How exact a precision is: 0 is the most."""
    return EXACTNESS.index(precision) if precision in EXACTNESS else len(EXACTNESS)
