"""The suite over a made-up model whose accuracy can be counted by hand, its resumption, and its rows."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from maskclr_edge.errors import ConfigError, DataError, ShapeError
from maskclr_edge.evaluation import CLEAN, Row, RowStore, Task, run_suite, summarise
from maskclr_edge.evaluation.robustness import clean_top1, plan
from maskclr_edge.skeleton import Cell, corrupt_clips, parse_corruptions

COUNT = 20


def make(persons=1):
    rng = np.random.default_rng(0)
    clips = rng.uniform(-0.5, 0.5, (COUNT, persons, 8, 17, 3)).astype(np.float32)
    clips[..., 2] = 0.9
    return clips, np.arange(COUNT, dtype=np.int64) % 2


class Counter:
    """Says class 1 for a clip whose last joint is there in half of the frames or more, 0 otherwise."""

    def __init__(self, stop_after=None):
        self.calls, self.stop_after = 0, stop_after

    def __call__(self, clips):
        if self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        share = (clips[:, 0, :, 16, 2] > 0).mean(axis=1)
        return np.stack([share < 0.5, share >= 0.5], axis=1).astype(np.float32)


def test_rows_are_what_the_corrupted_clips_give():
    clips, labels = make()
    cells = parse_corruptions(["joints:6", "frames-block:0.75", "rate:2"])
    seen = []
    result = run_suite(
        Counter(), clips, labels, cells, draws=2, seed=5, batch=7,
        progress=lambda done, total, what: seen.append((done, total, what)),
    )  # fmt: skip
    assert [str(row.task) for row in result.rows] == [
        CLEAN, "joints:6 draw 0", "joints:6 draw 1", "frames-block:0.75 draw 0", "frames-block:0.75 draw 1",
        "rate:2 draw 0",
    ]  # fmt: skip
    assert result.rows[0].top1 == 50 and result.rows[0].top5 == 100 and result.rows[0].clips == COUNT
    for row in result.rows[1:3]:
        corrupted = corrupt_clips(clips, cells[0], seed=5, draw=row.draw)
        answers = corrupted[:, 0, 0, 16].any(axis=-1).astype(int)
        assert row.top1 == pytest.approx(100 * np.mean(answers == labels))
    assert result.rows[3].top1 == 50  # three quarters of the frames: always below half, always class 0
    assert seen[-1] == (6 * COUNT, 6 * COUNT, "rate:2 draw 0")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert result.skipped == {}
    other = run_suite(Counter(), clips, labels, cells, draws=2, seed=5, batch=64)
    assert other == result  # the batch changes nothing


def test_corruptions_that_need_two_persons_are_named_where_there_is_one():
    clips, labels = make()
    cells = parse_corruptions(["identity", "swap:0.1"])
    result = run_suite(Counter(), clips, labels, cells, draws=1)
    assert [row.corruption for row in result.rows] == [CLEAN, "swap"]
    assert list(result.skipped) == ["identity"] and "two persons" in result.skipped["identity"]
    clips, labels = make(persons=2)
    assert run_suite(Counter(), clips, labels, cells, draws=1).skipped == {}


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    clips, labels = make()
    cells = parse_corruptions(["joints:3,6", "points:0.5"])
    arguments = {"draws": 2, "keep": tmp_path, "of": {"model": "abc"}}
    whole = run_suite(Counter(), clips, labels, cells, draws=2)
    with pytest.raises(KeyboardInterrupt):
        run_suite(Counter(stop_after=3), clips, labels, cells, **arguments)
    (file,) = tmp_path.iterdir()
    assert len(json.loads(file.read_text())["rows"]) == 3  # every finished pass, and only those
    again = Counter()
    assert run_suite(again, clips, labels, cells, **arguments) == whole
    assert again.calls == 4
    assert run_suite(Counter(stop_after=0), clips, labels, cells, **arguments) == whole
    more = Counter()  # more draws: only those are new
    run_suite(more, clips, labels, cells, **arguments | {"draws": 3})
    assert more.calls == 3


@pytest.mark.parametrize("change", ["model", "seed", "clips", "labels"])
def test_rows_of_something_else_are_not_taken(tmp_path, change):
    clips, labels = make()
    cells = parse_corruptions(["joints:3"])
    arguments = {"draws": 1, "seed": 0, "keep": tmp_path, "of": {"model": "abc"}}
    run_suite(Counter(), clips, labels, cells, **arguments)
    if change == "model":
        arguments["of"] = {"model": "abd"}
    elif change == "seed":
        arguments["seed"] = 1
    elif change == "clips":
        clips = clips * np.float32(0.5)
    else:
        labels = 1 - labels
    model = Counter()
    run_suite(model, clips, labels, cells, **arguments)
    assert model.calls == 2
    assert len(list(tmp_path.iterdir())) == 2


ROW = Row("joints", 3.0, 1, 80.0, 95.0, 79.0, 10)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text, rows: text[:-20],
        lambda text, rows: "[]",
        lambda text, rows: text.replace('"version": 1', '"version": 2'),
        lambda text, rows: text.replace('"abc"', '"abd"'),
        lambda text, rows: text.replace('"draw"', '"drawn"'),
        lambda text, rows: text.replace("80.0", "800.0"),
        lambda text, rows: text.replace("80.0", "NaN"),
        lambda text, rows: text.replace("80.0", '"80"'),
        lambda text, rows: text.replace('"joints"', "3"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path, damage):
    store = RowStore(tmp_path, {"model": "abc"})
    store.add(ROW)
    assert RowStore(tmp_path, {"model": "abc"}).rows == {Task("joints", 3.0, 1): ROW}
    store.path.write_text(damage(store.path.read_text(), None))
    with pytest.raises(DataError, match="delete it") as caught:
        RowStore(tmp_path, {"model": "abc"})
    assert str(store.path) in str(caught.value)


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    store = RowStore(tmp_path / "file" / "folder", {})
    with pytest.raises(ConfigError, match="cannot write"):
        store.add(ROW)


def test_plan():
    cells = [Cell("noise", 0.1), Cell("rate", 4)]
    assert plan(cells, 3) == [
        Task(CLEAN, 0.0, 0),
        *(Task("noise", 0.1, d) for d in range(3)),
        Task("rate", 4, 0),
    ]
    for draws in (0, 101, True):
        with pytest.raises(ConfigError, match="draws is"):
            plan(cells, draws)


def test_labels_that_do_not_fit():
    clips, labels = make()
    for bad in ((clips, labels[:3]), (clips[:0], labels[:0])):
        with pytest.raises(ShapeError):
            run_suite(Counter(), *bad, [Cell("noise", 0.1)])


def test_summaries_by_hand():
    rows = [
        Row(CLEAN, 0.0, 0, 98.0, 100.0, 97.0, 10),
        ROW,
        replace(ROW, draw=2, top1=84.0, top5=97.0),
        replace(ROW, severity=6.0, top1=60.0),
    ]
    clean, three, six = summarise(rows)
    assert asdict(three) == {
        "corruption": "joints", "severity": 3.0, "draws": 2, "top1": 82.0,
        "top1_spread": pytest.approx(8**0.5), "top5": 96.0, "mean_class": 79.0,
    }  # fmt: skip
    assert (six.draws, six.top1, six.top1_spread) == (1, 60.0, 0.0)
    assert clean_top1([clean, three]) == 98.0
    with pytest.raises(DataError, match="clean"):
        clean_top1([three])
