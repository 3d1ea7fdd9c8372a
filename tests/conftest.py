"""Fixtures that every test may use; real data where this checkout has it beside it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(folder: str) -> Path:
    if not SHARED.is_dir():
        pytest.skip("needs the real data set folder ../shared, which is not beside this checkout")
    return SHARED / folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real pyskl annotation files."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_footage() -> Path:
    """Folder of real video footage."""
    return _shared("footage")
