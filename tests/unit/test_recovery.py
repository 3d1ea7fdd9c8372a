"""What a method wins back, worked by hand."""

import pytest

from maskclr_edge.errors import DataError
from maskclr_edge.evaluation import CLEAN, CellResult, recovery


def run(clean, **cells):
    """Cells of one seed, by name_severity."""
    found = [CellResult(CLEAN, 0.0, 1, clean, 0.0, 100.0, clean)]
    for name, top1 in cells.items():
        corruption, severity = name.split("_")
        found.append(CellResult(corruption, float(severity), 3, top1, 1.0, 100.0, top1))
    return found


def test_shares_by_hand():
    baseline = [run(96, joints_3=88, joints_6=60, noise_1=94), run(98, joints_3=92, joints_6=70, noise_1=95)]
    method = [run(97, joints_3=93, joints_6=76, noise_1=90), run(99, joints_3=95, joints_6=80, noise_1=92)]
    result = recovery(baseline, method)
    assert (result.baseline_clean, result.method_clean, result.clean_difference) == (97, 98, 1)
    three, six = result.cells  # noise costs 2.5 points: below 5, it does not count
    assert (three.corruption, three.severity, three.baseline, three.method) == ("joints", 3.0, 90, 94)
    assert (three.lost, three.won_back, three.share) == (7, 4, pytest.approx(4 / 7))
    assert (six.lost, six.won_back, six.share) == (32, 13, pytest.approx(13 / 32))
    assert result.mean_share == pytest.approx((4 / 7 + 13 / 32) / 2)
    assert result.pooled_share == pytest.approx(17 / 39)
    # by pair: (5 + 16) / (8 + 36) and (3 + 10) / (6 + 28)
    assert result.pooled_by_pair == pytest.approx((21 / 44, 13 / 34))
    (spared,) = result.spared
    assert (spared.corruption, spared.lost, spared.won_back) == ("noise", 2.5, -3.5)
    assert result.missing == ()


def test_the_bound_is_met_by_the_mean_and_included():
    result = recovery([run(90, a_1=84), run(90, a_1=86)], [run(90, a_1=90)])
    assert [cell.lost for cell in result.cells] == [5]
    assert result.mean_share == 1
    assert result.pooled_by_pair == ()  # 2 seeds against 1
    assert recovery([run(90, a_1=85.01)], [run(90, a_1=90)]).cells == ()


def test_nothing_lost_is_no_share():
    result = recovery([run(90, a_1=91)], [run(80, a_1=70)])
    assert result.mean_share is None and result.pooled_share is None
    assert result.spared[0].share is None
    assert result.clean_difference == -10


def test_a_method_that_is_worse_has_a_negative_share():
    assert recovery([run(90, a_1=80)], [run(90, a_1=75)]).mean_share == -0.5


def test_cells_that_a_run_lacks_are_named_and_not_counted():
    result = recovery([run(90, a_1=70, b_2=60)], [run(90, a_1=80)])
    assert result.missing == ("b:2",)
    assert [cell.corruption for cell in result.cells] == ["a"]


@pytest.mark.parametrize("runs", [([], [run(90)]), ([run(90)], []), ([run(90)[1:]], [run(90)])])
def test_what_cannot_be_compared(runs):
    with pytest.raises(DataError):
        recovery(*runs)
