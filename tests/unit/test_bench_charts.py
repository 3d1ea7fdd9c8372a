"""Charts of a bench's page: what stands at the axis."""

import re

import numpy as np
import pytest

from maskclr_edge.bench.charts import distribution_chart


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.15, 30, ["0.2", "0.5", "1", "2", "5", "10", "20"]),
        (23.5, 110, ["40", "60", "80", "100"]),
        (9.0, 9.09, ["9", "9.02", "9.04", "9.06", "9.08"]),
    ],
)
def test_an_axis_has_round_values(low: float, high: float, expected: list[str]) -> None:
    drawn = distribution_chart([("row", np.linspace(low, high, 50))], "ms")
    assert re.findall(r'text-anchor="middle">([\d.]+)<', drawn) == expected


def test_one_value_is_drawn() -> None:
    assert "polyline" in distribution_chart([("row", np.array([4.2, 4.2]))], "ms")
