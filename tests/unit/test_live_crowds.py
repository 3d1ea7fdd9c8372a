"""Nobody, one, or twenty people in view: who is followed, and what is said of the others."""

from collections.abc import Iterator
from dataclasses import replace

from live_fakes import People, Watch, go

from maskclr_edge.live.frame import Frame


def test_of_twenty_people_eight_are_followed_and_the_rest_is_said() -> None:
    watch = Watch()
    summary = go(People(60, 20), None, views=[watch])
    assert summary.frames == 60 and summary.persons == 8
    for moment in watch.moments[1:]:
        assert [person.number for person in moment.people] == list(range(1, 9))
        assert moment.figures.notes == ("20 people in view, 8 are followed",)
        assert min(float(person.keypoints[:, 0].min()) for person in moment.people) >= 12 * 180
    assert {person.label for person in watch.moments[-1].people} <= {"wave", "clap"}
    assert summary.notes == ["20 people were in view at once, 8 were followed"]


def test_nobody_from_the_start_is_counted_from_the_first_frame_whatever_its_time() -> None:
    class Late(People):
        def frames(self) -> Iterator[Frame]:
            for frame in super().frames():
                yield replace(frame, time_s=frame.time_s + 1e6)

    watch = Watch()
    go(Late(120, 1, lambda index: False), None, views=[watch])
    assert watch.moments[0].figures.notes == ()
    assert watch.moments[-1].figures.notes == ("nobody in view for 12 s",)


def test_minutes_without_anybody_are_said_and_whoever_comes_then_is_labelled() -> None:
    watch = Watch()
    summary = go(People(1850, 1, lambda index: index < 20 or index >= 1800), None, views=[watch])
    assert watch.moments[50].figures.notes == ()
    assert watch.moments[1799].figures.notes == ("nobody in view for 178 s",)
    assert watch.moments[-1].figures.notes == () and watch.moments[-1].people[0].number == 2
    assert watch.moments[-1].people[0].label in ("wave", "clap") and not summary.notes
