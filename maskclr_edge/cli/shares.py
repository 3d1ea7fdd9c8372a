"""In which types the matrix products of an artifact run, in words."""

from collections.abc import Mapping
from typing import Any


def product_words(read_back: Mapping[str, Any]) -> str:
    """Types by falling share of the operations, and the same at the longest clips where they differ.

    A manifest may come from anyone, and from an older release: what is no share is left out.
    """
    shares = _shares(read_back.get("gemm_flops") or read_back.get("gemm_weights"))
    longest = _shares(read_back.get("gemm_flops_longest"))
    kinds = sorted(shares, key=lambda kind: -shares[kind])
    words = ", ".join(f"{kind} {100 * shares[kind]:.0f} %" for kind in kinds)
    if longest and longest != shares:
        others = ", ".join(f"{100 * longest.get(kind, 0):.0f}" for kind in kinds)
        words += f" (at {read_back['gemm_flops_longest'].get('frames')} frames {others})"
    return words


def _shares(shares: Any) -> dict[str, float]:
    if not isinstance(shares, Mapping):
        return {}
    return {str(kind): part for kind, part in shares.items() if isinstance(part, float)}
