"""The README's measured sections are made from result files alone, and say where they are from."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scripts import load_script

from maskclr_edge.bench.results import result_document, write_result
from maskclr_edge.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "readme.py"


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    return load_script("benchmarks/readme.py")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    wait = {"what": "maskclr-edge --help", "runs": 5, "median_s": 0.12, "worst_s": 0.2}
    document = result_document("latency", {"startup": [wait]}, settings={})
    write_result(tmp_path / "results" / "2026-11-24_latency.json", document)
    return tmp_path / "results"


def test_a_section_without_a_result_says_what_measures_it(readme: ModuleType, tmp_path: Path) -> None:
    text = "<!-- results:{0} -->\n<!-- /results:{0} -->\n"
    assert "*Not measured yet: `benchmarks/latency.py` does.*" in readme.filled(
        text.format("latency"), tmp_path
    )
    assert "`benchmarks/live.py soak`" in readme.filled(text.format("live_soak"), tmp_path)
    with pytest.raises(DataError, match="no section nonsense"):
        readme.filled("<!-- results:nonsense -->\n<!-- /results:nonsense -->\n", tmp_path)


def test_check_fails_until_written(results: Path, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("x\n<!-- results:startup -->\ntyped by hand: 0.01 s\n<!-- /results:startup -->\ny\n")

    def run(*flags: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, str(SCRIPT), str(page), "--results", str(results), *flags]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    before = page.read_text()
    checked = run("--check")
    assert checked.returncode == 1
    assert "differs from the results" in checked.stderr
    assert page.read_text() == before
    assert run().returncode == 0
    assert "typed by hand" not in page.read_text()
    assert page.read_text().startswith("x\n")
    assert page.read_text().endswith("y\n")
    assert run("--check").returncode == 0


def test_readme_and_model_card_say_what_was_measured(readme: ModuleType) -> None:
    for document in readme.DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert readme.filled(text, readme.RESULTS) == text, "run: python benchmarks/readme.py"


def test_every_script_has_help() -> None:
    scripts = [path for path in SCRIPT.parent.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")]
    for script in sorted(scripts):
        done = subprocess.run(
            [sys.executable, str(script), "--help"], capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stderr
        assert "usage:" in done.stdout
