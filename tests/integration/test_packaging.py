"""What a wheel holds: the model, the configs and the targets, and nothing that is not the package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel is packed from, built from a copy of the sources with one target more."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "maskclr_edge", source / "maskclr_edge", ignore=leave)
    (source / "export").mkdir()
    for target in (ROOT / "export").glob("*.yaml"):
        shutil.copy(target, source / "export")
    (source / "export" / "some-device.yaml").write_text("precision: fp16\n")
    (source / "export" / "build_matrix.py").write_text("raise SystemExit('not part of the package')\n")
    out = tmp_path_factory.mktemp("built")
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(out)],
        cwd=source, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return out


def _files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_the_package_is_all_there_is(built: Path) -> None:
    assert [folder.name for folder in built.iterdir()] == ["maskclr_edge"]
    expected = {name for name in _files(ROOT / "maskclr_edge") if "__pycache__" not in name}
    assert {name for name in expected if name.endswith(".py")} <= _files(built / "maskclr_edge")


def test_data_travels_with_it(built: Path) -> None:
    files = _files(built / "maskclr_edge")
    assert "py.typed" in files
    for folder in ("bundled", "configs"):
        wanted = {f"{folder}/{name}" for name in _files(ROOT / "maskclr_edge" / folder)}
        assert wanted
        assert wanted <= files


def test_targets_are_copied_from_where_people_edit_them(built: Path) -> None:
    files = _files(built / "maskclr_edge" / "targets")
    assert files == {target.name for target in (ROOT / "export").glob("*.yaml")} | {"some-device.yaml"}


def test_targets_are_found_in_an_installed_package(built: Path) -> None:
    program = (
        "from maskclr_edge.deploy.targets import find_target, target_folder\n"
        "print(target_folder())\n"
        "print(find_target('jetson-orin-nano').sms)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=built, env={**os.environ, "PYTHONPATH": str(built)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == [str(built / "maskclr_edge" / "targets"), "(87,)"], done.stderr
