"""Who may import whom, read from the source: the package stays light because nothing heavy can creep in."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "maskclr_edge"
LONGEST = 500

BASE = {"errors", "optional", "files", "page"}
SKELETON = BASE | {"skeleton"}
CHECKPOINT = SKELETON | {"checkpoint"}
EVALUATION = CHECKPOINT | {"data", "runtime"}
LIBRARY = EVALUATION | {"evaluation"}

#: part of the package -> parts that it may import anywhere
PARTS: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "optional": {"errors"},
    "page": set(),
    "skeleton": BASE,
    "checkpoint": SKELETON,
    "data": SKELETON,
    "runtime": CHECKPOINT,
    "evaluation": EVALUATION,
    "deploy": LIBRARY,
    "bench": LIBRARY,
    "live": LIBRARY,
    "model": CHECKPOINT | {"data"},
    "training": LIBRARY | {"model"},
    "cli": LIBRARY | {"deploy", "bench", "live", "model", "training"},
    "__init__": {"runtime"},
    "__main__": {"cli"},
}
#: ... and those that it may import inside a function, when asked for what needs them
LAZY_PARTS: dict[str, set[str]] = {"runtime": {"deploy", "model"}, "deploy": {"model"}}

#: part -> third-party packages that it may import at the top of a module; all others belong inside functions
OUTSIDE: dict[str, set[str]] = {
    "errors": set(),
    "files": set(),
    "optional": set(),
    "page": set(),
    "skeleton": {"numpy"},
    "checkpoint": {"numpy", "safetensors"},
    "data": {"numpy"},
    "runtime": {"numpy"},
    "evaluation": {"numpy"},
    "deploy": {"numpy", "onnx", "onnxruntime"},
    "bench": {"numpy"},
    "live": {"numpy"},
    "model": {"numpy", "safetensors", "torch"},
    "training": {"numpy", "safetensors", "torch", "yaml"},
    "cli": {"numpy", "click", "rich"},
    "__init__": set(),
    "__main__": set(),
}
#: package -> the only parts in which it may be imported at all
ONLY_IN = {
    "click": {"cli"},
    "rich": {"cli"},
    "torch": {"model", "training", "runtime/torch_runner", "deploy"},
}
LAZY_TORCH = {"runtime/torch_runner", "deploy"}


@dataclass(frozen=True)
class Import:
    """One imported name: ``outside`` a third-party package, or ``part`` of this one."""

    file: Path
    line: int
    part: str | None
    outside: str | None
    lazy: bool

    def __str__(self) -> str:
        return f"{self.file.relative_to(PACKAGE)}:{self.line} imports {self.part or self.outside}"


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _part_of(file: Path) -> str:
    relative = file.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else file.stem


def _imports(file: Path) -> Iterator[Import]:
    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue  # for the type checker alone: never executed
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield from _import(file, child.lineno, alias.name, [], lazy)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{file}:{child.lineno}: a relative import"
                yield from _import(
                    file, child.lineno, child.module or "", [alias.name for alias in child.names], lazy
                )
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from visit(child, lazy or inside)

    yield from visit(ast.parse(file.read_text(encoding="utf-8")), False)


def _import(file: Path, line: int, module: str, names: list[str], lazy: bool) -> Iterator[Import]:
    first, *rest = module.split(".")
    if first != "maskclr_edge":
        if first not in sys.stdlib_module_names:
            yield Import(file, line, None, first, lazy)
        return
    for part in rest[:1] or names:
        if not part.startswith("__"):
            yield Import(file, line, part, None, lazy)


ALL = [entry for file in _files() for entry in _imports(file)]


def test_the_source_was_found() -> None:
    assert len(ALL) > 50


def test_every_part_is_known() -> None:
    assert {_part_of(file) for file in _files()} <= set(PARTS)


def test_parts_import_only_what_stands_below_them() -> None:
    wrong = []
    for entry in ALL:
        own = _part_of(entry.file)
        if entry.part is None or entry.part == own:
            continue
        allowed = PARTS[own] | (LAZY_PARTS.get(own, set()) if entry.lazy else set())
        if entry.part not in allowed:
            wrong.append(str(entry))
    assert wrong == []


def test_optional_packages_are_imported_inside_functions() -> None:
    wrong = [
        str(entry)
        for entry in ALL
        if entry.outside and not entry.lazy and entry.outside not in OUTSIDE[_part_of(entry.file)]
    ]
    assert wrong == []


def test_skeleton_needs_numpy_alone() -> None:
    used = {entry.outside for entry in ALL if _part_of(entry.file) == "skeleton"} - {None}
    assert used == {"numpy"}


@pytest.mark.parametrize("package", ONLY_IN)
def test_packages_that_have_one_home(package: str) -> None:
    wrong = []
    for entry in ALL:
        if entry.outside != package:
            continue
        module = entry.file.relative_to(PACKAGE).with_suffix("").as_posix()
        homes = {_part_of(entry.file), module} & ONLY_IN[package]
        if not homes or (package == "torch" and homes <= LAZY_TORCH and not entry.lazy):
            wrong.append(str(entry))
    assert wrong == []


def test_the_light_parts_do_not_print() -> None:
    wrong = []
    for file in _files():
        if _part_of(file) == "cli":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                wrong.append(f"{file.relative_to(PACKAGE)}:{node.lineno}")
    assert wrong == []


def test_no_file_is_called_like_a_package_that_is_used() -> None:
    used = {entry.outside for entry in ALL} | {"cuda", "pycuda", "tensorrt", "openvino", "mediapipe", "cv2"}
    assert [str(file.relative_to(PACKAGE)) for file in _files() if file.stem in used] == []


@pytest.mark.parametrize("file", _files(), ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_no_module_is_too_long(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{lines} lines: a module does one thing"
