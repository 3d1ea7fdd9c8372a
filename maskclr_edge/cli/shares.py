"""In which types the matrix products of an artifact run, in words."""

from collections.abc import Mapping
from typing import Any


def product_words(read_back: Mapping[str, Any]) -> str:
    """Types by falling share of the operations, then those at the longest clips where they differ.

    A manifest may come from anyone, and from an older release: what is no share is left out.
    """
    own = read_back.get("gemm_flops") or read_back.get("gemm_weights") or {}
    longest = read_back.get("gemm_flops_longest") or {}
    words = _shares(own)
    if isinstance(longest, Mapping) and (others := _shares(longest)) not in ("", words):
        words += f"; at {longest.get('frames')} frames {others}"
    return words


def _shares(shares: Any) -> str:
    if not isinstance(shares, Mapping):
        return ""
    parts = [(name, part) for name, part in shares.items() if isinstance(part, float)]
    return ", ".join(f"{name} {100 * part:.0f} %" for name, part in sorted(parts, key=lambda one: -one[1]))
