"""Spans of one's own actions: what a file may say, which moments become which clips, and in which split."""

from types import SimpleNamespace

import numpy as np
import pytest

from maskclr_edge.errors import ConfigError, DataError
from maskclr_edge.live.own_clips import SpanKeeper, cut_clips
from maskclr_edge.live.spans import Span, called_out, read_spans
from maskclr_edge.live.view import EndRun


def test_a_spans_file_is_read_in_order_of_time(tmp_path):
    path = tmp_path / "spans.csv"
    path.write_text(
        'start, end, label, person\n# a remark\n\n1:05.5, 1:10, "wave, left", 2\n1.5, 4, clap\n5,6,clap,all\n'
    )
    assert read_spans(path) == [
        Span(1.5, 4, "clap"), Span(5, 6, "clap", "all"), Span(65.5, 70, "wave, left", "2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no spans"),
        ("1, 2\n", "line 1 has 2 columns"),
        ("0, 1, a\n4, 3, wave\n", "line 2 ends at 3 s"),
        ("soon, 3, wave\n", "time 'soon'"),
        ("-1, 3, wave\n", "time '-1'"),
        ("nan, 3, wave\n", "time 'nan'"),
        ("1, inf, wave\n", "time 'inf'"),
        ("1, 3, \n", "label ''"),
        ("1, 3, wa\x1bve\n", "label"),
        (f"1, 3, {'x' * 201}\n", "label"),
        ("1, 3, wave, me\n", "person 'me'"),
        ("0, 1, a\n" * 10_001, "more than 10000"),
    ],
)
def test_a_bad_spans_file_is_answered_with_its_line(tmp_path, text, said):
    path = tmp_path / "spans.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"spans\.csv") as caught:
        read_spans(path)
    assert said in str(caught.value)


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00" * 100)
    for name in ("bytes.csv", "absent.csv"):
        with pytest.raises(DataError, match=name):
            read_spans(tmp_path / name)


def test_labels_are_called_out_in_turn():
    spans = called_out(["wave", "clap"], rounds=2, hold_s=6, rest_s=3)
    assert [(span.start_s, span.end_s, span.label) for span in spans] == [
        (3, 9, "wave"), (12, 18, "clap"), (21, 27, "wave"), (30, 36, "clap"),
    ]  # fmt: skip
    for labels in (["wave", "wave"], ["wave", ""]):
        with pytest.raises(ConfigError):
            called_out(labels, 1, 6, 3)


def watched(spans, seconds, people, fps=10.0, **options):
    """A keeper that saw ``people(time_s)``, as {number: (V, 3)}, for so long."""
    keeper = SpanKeeper(spans, **options)
    for index in range(int(seconds * fps)):
        time_s = index / fps
        shown = [SimpleNamespace(number=n, keypoints=k) for n, k in people(time_s).items()]
        try:
            keeper.show(SimpleNamespace(time_s=time_s, people=shown))
        except EndRun:
            break
    return keeper


def body(time_s, size=100.0, at=50.0):
    """A person whose first joint's confidence tells the time."""
    person = np.linspace((at, at, 0.9), (at + size, at + size, 0.9), 17).astype(np.float32)
    person[0, 2] = 0.5 + time_s / 100
    return person


def cut(keeper, **options):
    return cut_clips(keeper, name="film", layout="coco17", resolution_wh=(640, 480), fps=10.0, **options)


def moments(annotation):
    return 100 * (annotation.keypoints[0, :, 0, 2] - 0.5)


def test_spans_become_clips_and_the_last_ones_are_val():
    spans = [Span(5 * n, 5 * n + 4, "wave") for n in range(4)]
    keeper = watched(spans, 60, lambda t: {1: body(t)})
    assert keeper.seen_until_s == pytest.approx(19.1)  # the rest of the film is not looked at
    found = cut(keeper).annotations
    assert found.class_names == ("wave",) and {len(found.splits[s]) for s in ("train", "val")} == {9, 3}
    assert all(a.keypoints.shape in [(1, 24, 17, 3), (1, 25, 17, 3)] for a in found.annotations)
    assert min(moments(a)[0] for a in found.split("val")) == pytest.approx(15, abs=0.15)
    assert max(moments(a)[-1] for a in found.split("train")) == pytest.approx(14, abs=0.15)
    first = sorted(moments(a)[0] for a in found.split("train"))[:3]
    assert first == pytest.approx([0, 0.8, 1.5], abs=0.15)  # half overlapping, the last flush with the end


def test_a_label_with_one_span_has_no_moment_in_both_splits():
    keeper = watched([Span(0, 12, "wave")], 20, lambda t: {1: body(t)})
    found = cut(keeper).annotations
    assert max(moments(a)[-1] for a in found.split("train")) <= 9
    assert min(moments(a)[0] for a in found.split("val")) >= 9
    assert not cut(keeper, val_share=0.0).annotations.splits["val"]


def test_the_nearest_person_a_named_one_or_all():
    def people(time_s):
        return {1: body(time_s, size=80), 2: body(time_s, size=160), 3: body(time_s, size=40)}

    def sizes(person):
        keeper = watched([Span(0, 2, "wave", person), Span(2, 4, "wave", person)], 5, people)
        return {round(float(np.ptp(a.keypoints[0, 0, 1:, 1]))) for a in cut(keeper).annotations.annotations}

    assert sizes("") == {150} and sizes("1") == {75} and sizes("all") == {38, 75, 150}


def test_a_reaction_takes_time():
    spans = [Span(1, 4, "wave"), Span(5, 8, "wave")]
    found = cut(watched(spans, 9, lambda t: {1: body(t)}, reaction_s=0.5)).annotations
    assert min(moments(a)[0] for a in found.annotations) == pytest.approx(1.5, abs=0.01)


def test_who_was_hardly_seen_makes_no_clip():
    spans = [Span(0, 3, "wave"), Span(3, 6, "wave"), Span(6, 9, "clap"), Span(9, 12, "clap")]
    seen = watched(spans, 13, lambda t: {1: body(t)} if t < 3 or t > 6 else {})
    result = cut(seen)
    assert [note for note in result.notes if "wave, 3.0 to 6.0 s" in note]
    assert [note for note in result.notes if "val has no clip of wave" in note]
    with pytest.raises(DataError, match=r"no clip of clap.*ended at 6"):
        cut(watched(spans, 6.2, lambda t: {1: body(t)}))


def test_clips_are_added_to_those_there_are():
    first = cut(watched([Span(0, 3, "wave"), Span(3, 6, "wave")], 7, lambda t: {1: body(t)})).annotations
    spans = [Span(0, 3, "clap"), Span(3, 6, "clap"), Span(6, 9, "wave"), Span(9, 12, "wave")]
    both = cut(watched(spans, 13, lambda t: {1: body(t)}), older=first).annotations
    assert both.class_names == ("wave", "clap")
    assert len({a.name for a in both.annotations}) == len(both.annotations)
    for split, members in first.splits.items():
        assert both.splits[split][: len(members)] == members
        assert len(both.splits[split]) > len(members)
