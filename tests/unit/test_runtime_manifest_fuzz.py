"""Any JSON in any place of a manifest is read, or refused with a BundleError; nothing else comes out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskclr_edge.errors import BundleError
from maskclr_edge.runtime import Bundle

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "fp32", "..", "onnx", "encoder.fp32.onnx", "zeros"])
    | st.text(max_size=8)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return {}


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_anywhere(tiny_bundle: Any, manifest: dict[str, Any], data: st.DataObject) -> None:
    path: Path = tiny_bundle.root / "bundle"
    if not path.exists():
        tiny_bundle.write()
        manifest.update(json.loads((path / "manifest.json").read_text()))
    changed = json.loads(json.dumps(manifest))
    place = data.draw(st.sampled_from(list(places(manifest))))
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = data.draw(VALUES)
    (path / "manifest.json").write_text(json.dumps(changed))
    try:
        bundle = Bundle.open(path)
    except BundleError as error:
        assert "\n" not in str(error)
    else:
        assert all(bundle.locate(artifact).parent == path for artifact in bundle.artifacts)
