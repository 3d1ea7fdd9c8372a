"""The page's server as a browser meets it: who is let in, what it is told, what the buttons leave behind."""

import json
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

pytest.importorskip("cv2", reason="the page needs the extra live")
pytest.importorskip("aiohttp", reason="the page needs the extra web")
from maskclr_edge.errors import ConfigError
from maskclr_edge.live.captures import Captures
from maskclr_edge.live.figures import Figures, LabelChange
from maskclr_edge.live.labeller import Labelled
from maskclr_edge.live.page_state import PageState
from maskclr_edge.live.view import Moment
from maskclr_edge.live.web import MOST_WATCHERS, WebServer, parse_address

SIZE, TOKEN = (64, 48), "a s\N{LATIN SMALL LETTER E WITH ACUTE}cret; of mine&yours"


def moment(time_s, label="wave", number=1):
    top = (("wave", 0.7), ("clap", 0.3))
    person = Labelled(number, np.ones((17, 3), np.float32), (), label, 0.7, top)
    figures = Figures(time_s, 29.9, 41.4, 3, 1, {"pose": 20.0}, ("camera 0 is away",))
    changes = (LabelChange(time_s, number, label, 0.7, list(top)),)
    return Moment(round(time_s * 10), time_s, 0.0, None, (person,), changes, figures)


class Run:
    """A server that is fed with pictures, each of another grey, until it is closed."""

    def __init__(self, folder, token=None):
        self.folder = folder
        captures = Captures(folder, SIZE, 25.0)
        self.server = WebServer(PageState("camera 0", ("wave", "clap")), captures, ("127.0.0.1", 0), token)
        self.base = self.server.url.partition("?")[0]
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._feed)
        self.thread.start()

    def _feed(self):
        for index in range(1 << 30):
            if self.stop.wait(0.02):
                return
            self.server.show(moment(index / 10))
            for sink in (self.server, self.server.captures):
                if sink.wanted:
                    sink.take(np.full((48, 64, 3), index % 250, np.uint8), index / 10)

    def ask(self, path, *, post=False, headers=None):
        """Status, headers and a way to read the answer."""
        request = urllib.request.Request(self.base + path, method="POST" if post else "GET")
        for name, value in ({"X-Maskclr-Edge": "1"} if post and headers is None else headers or {}).items():
            request.add_header(name, value)
        return urllib.request.urlopen(request, timeout=20)

    def status(self, path, **more):
        try:
            with self.ask(path, **more) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def close(self):
        self.stop.set()
        self.thread.join()
        self.server.close()


@pytest.fixture
def run(tmp_path):
    opened = Run(tmp_path)
    yield opened
    opened.close()


def test_the_page_asks_nobody_else_for_anything(run):
    for path in ("", "app.js", "app.css"):
        with run.ask(path) as answer:
            text = answer.read().decode()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "http:" not in text and "https:" not in text and "//" not in text.replace("// ", "")


def test_pictures_come_one_after_another(run):
    with run.ask("stream.mjpg") as answer:
        assert answer.headers["Content-Type"].startswith("multipart/x-mixed-replace")
        data = b""
        while data.count(b"\xff\xd9\r\n--frame") < 3:
            data += answer.read1()
    import cv2

    parts = [part.partition(b"\r\n\r\n")[2] for part in data.split(b"--frame\r\n")[1:4]]
    greys = [cv2.imdecode(np.frombuffer(part, np.uint8), 0).mean() for part in parts]
    assert greys[0] < greys[1] < greys[2]


def test_nothing_is_drawn_for_nobody(run):
    assert not run.server.wanted
    with run.ask("stream.mjpg") as answer:
        answer.read1()
        assert run.server.wanted
    for _ in range(200):
        if not run.server.wanted:
            return
        time.sleep(0.05)
    raise AssertionError("a browser that left is still drawn for")


def test_figures_people_and_timelines_come_as_events(run):
    with run.ask("events") as answer:
        for _ in range(3):
            line = answer.readline()
            answer.readline()
    facts = json.loads(line.removeprefix(b"data: "))
    assert facts["source"] == "camera 0" and facts["dropped"] == 3 and facts["notes"] == ["camera 0 is away"]
    person = facts["people"][0]
    assert person["label"] == "wave" and person["top"] == [["wave", 0.7], ["clap", 0.3]]
    assert [part[2] for part in person["line"]] == ["wave"] and facts["changes"][-1]["label"] == "wave"


def test_a_snapshot_and_a_recording_are_saved_and_can_be_fetched(run):
    import cv2

    with run.ask("snapshot", post=True) as answer:
        name = json.load(answer)["file"]
    assert cv2.imread(str(run.folder / name)).shape == (48, 64, 3)
    with run.ask(f"saved/{name}") as answer:
        assert answer.read() == (run.folder / name).read_bytes()
    with run.ask("recording?on=1", post=True) as answer:
        film = json.load(answer)["file"]
    time.sleep(1.0)
    with run.ask("recording?on=0", post=True) as answer:
        assert json.load(answer)["file"] == film
    capture, count = cv2.VideoCapture(str(run.folder / film)), 0
    while capture.read()[0]:
        count += 1
    assert count > 5
    assert {path.name for path in run.folder.iterdir()} == {name, film}


def test_only_what_was_saved_can_be_fetched(run):
    (run.folder / "private.txt").write_text("x")
    (run.folder.parent / "snapshot_of_another.png").write_text("x")
    for name in (
        "private.txt",
        "..%2fsnapshot_of_another.png",
        "snapshot_..%2f..%2fetc%2fpasswd",
        "snapshot_1",
    ):
        assert run.status(f"saved/{name}") == 404, name


def test_a_recording_that_runs_is_whole_when_the_run_ends(tmp_path):
    import cv2

    opened = Run(tmp_path)
    with opened.ask("recording?on=1", post=True):
        pass
    time.sleep(0.6)
    opened.close()
    (film,) = tmp_path.iterdir()
    assert film.name.startswith("recording_") and cv2.VideoCapture(str(film)).read()[0]


def test_who_does_not_know_the_token_is_refused(tmp_path):
    opened = Run(tmp_path, TOKEN)
    try:
        for path in ("", "stream.mjpg", "events", "app.js", "saved/snapshot_1.png", "?token=wrong"):
            assert opened.status(path) == 401, path
        assert opened.status("snapshot", post=True) == 401
        jar = urllib.request.HTTPCookieProcessor()
        browser = urllib.request.build_opener(jar)
        with browser.open(opened.server.url, timeout=20) as answer:  # the address that the program prints
            assert "token" not in answer.url and b"maskclr-edge" in answer.read()
        with browser.open(opened.base + "app.js", timeout=20) as answer:
            assert answer.status == 200
        (cookie,) = jar.cookiejar
        assert cookie.has_nonstandard_attr("HttpOnly")
    finally:
        opened.close()


def test_other_pages_in_the_same_browser_get_nothing(run):
    assert run.status("", headers={"Host": "evil.example"}) == 403  # a name that was pointed at this machine
    assert run.status("snapshot", post=True, headers={"Origin": "http://evil.example"}) == 403
    assert not list(run.folder.iterdir())


def test_too_many_browsers_are_refused(run):
    watching = [run.ask("stream.mjpg") for _ in range(MOST_WATCHERS)]
    try:
        for one in watching:
            one.read1()
        assert run.status("stream.mjpg") == 503
    finally:
        for one in watching:
            one.close()


def test_the_end_is_told_and_is_quick(tmp_path):
    opened = Run(tmp_path)
    with opened.ask("events") as answer:
        answer.readline()
        opened.close()
        last = answer.read().decode().strip().splitlines()[-1]
    assert json.loads(last.removeprefix("data: "))["ended"]
    assert not any(thread.name == "live_web" for thread in threading.enumerate())


def test_addresses(tmp_path):
    assert parse_address("127.0.0.1:8765", None) == ("127.0.0.1", 8765)
    assert parse_address("[::1]:80", None) == ("::1", 80)
    assert parse_address("0.0.0.0:8765", TOKEN) == ("0.0.0.0", 8765)
    for text, token, said in (
        ("0.0.0.0:8765", None, "--web-token"),
        ("192.168.1.2:8765", "", "--web-token"),
        ("somewhere:1", None, "--web-token"),
        ("127.0.0.1", None, "HOST:PORT"),
        ("127.0.0.1:99999", None, "HOST:PORT"),
        ("127.0.0.1:8765", "short", "longer"),
    ):
        with pytest.raises(ConfigError, match=said):
            parse_address(text, token)
    first = Run(tmp_path)
    taken = int(first.base.rstrip("/").rpartition(":")[2])
    try:
        with pytest.raises(ConfigError, match=f"cannot be served at 127.0.0.1:{taken}"):
            WebServer(PageState("x", ()), first.server.captures, ("127.0.0.1", taken), None)
    finally:
        first.close()


def test_a_timeline_holds_a_minute_and_who_left_leaves_the_page():
    state = PageState("film", ("wave", "clap"))
    for index in range(1200):
        state.show(moment(index / 10, "wave" if index % 100 < 50 else "clap", number=1 + index // 1000))
    facts = state.snapshot()
    assert [person["number"] for person in facts["people"]] == [2]  # the other was gone for more than 10 s
    for index in range(1200, 2400):
        state.show(moment(index / 10, "wave" if index % 100 < 50 else "clap", number=2))
    line = state.snapshot()["people"][0]["line"]
    assert line[-1][1] == 239.9 and line[0][0] >= 179.9 - 5 and len(line) in (12, 13)
    assert all(start < end for start, end, _ in line)
    json.dumps(state.snapshot(), allow_nan=False)
