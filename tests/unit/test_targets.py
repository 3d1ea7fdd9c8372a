"""Deployment targets: the files that ship, the strict reader, and what several ask for together."""

from pathlib import Path

import pytest

from maskclr_edge.deploy import targets
from maskclr_edge.deploy.targets import Target, find_target, finish_command, plan, target_folder, target_names
from maskclr_edge.errors import ConfigError
from maskclr_edge.skeleton import SkeletonContract

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "name": "box",
    "what": "A box",
    "precisions": "[fp32, int8]",
    "engine": "tensorrt-rtx",
    "finish": "none",
    "sms": "[86]",
    "frames": "[1, 243]",
}


def write(folder: Path, **changes: str | None) -> Path:
    file = folder / "box.yaml"
    entries = {key: value for key, value in (GOOD | changes).items() if value is not None}
    file.write_text("".join(f"{key}: {value}\n" for key, value in entries.items()))
    return file


@pytest.fixture
def rtx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "rtx_here", lambda: True)


def test_a_checkout_reads_the_files_that_people_edit() -> None:
    assert target_folder() == ROOT / "export"
    names = (
        "cpu-intel cpu-arm rtx-30 rtx-40 rtx-50 jetson-orin-nano jetson-orin-nx jetson-agx-orin jetson-thor"
    )
    assert {*names.split(), "a100", "h100", "l4"} <= set(target_names())


@pytest.mark.parametrize("name", target_names())
def test_a_shipped_target_is_whole_and_named_like_its_file(name: str) -> None:
    target = find_target(name)
    assert target.name == name
    assert target.precisions
    if target.finish == "trtexec":
        assert any("built on the device" in note for note in target.notes)


def test_a_wheel_reads_its_own_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "maskclr_edge"
    (package / "targets").mkdir(parents=True)
    write(package / "targets")
    monkeypatch.setattr(targets, "files", lambda name: package)
    assert target_names() == ["box"]
    assert find_target("box").sms == (86,)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"precison": "[fp32]"}, "did you mean 'precisions'"),
        ({"precisions": "[fp23]"}, "did you mean 'fp32'"),
        ({"engine": "tensorrt-rtz"}, "did you mean 'tensorrt-rtx'"),
        ({"sms": None}, "'sms' is missing"),
        ({"sms": "[]"}, "needs sms"),
        ({"sms": "[true]"}, "whole numbers"),
        ({"sms": "86"}, "short list"),
        ({"frames": "[0, 10]"}, "whole numbers"),
        ({"frames": "[9, 3]"}, "9 to 3"),
        ({"frames": "[1, 2, 3]"}, "expected two"),
        ({"finish": "trtexec"}, "finish must be none"),
        ({"what": "''"}, "1 to 200 characters"),
        ({"name": "!!python/object:os.system x"}, "not a YAML file"),
        ({"precisions": "["}, "not a YAML file"),
    ],
)
def test_a_wrong_file_is_refused_in_a_line(
    changes: dict[str, str | None], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"[^\n]+") as caught:
        Target.from_yaml(write(tmp_path, **changes))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_is_answered_with_the_closest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'jetson-orin-nano'"):
        find_target("jetson-orin-nan")
    with pytest.raises(ConfigError, match="there are a100"):
        find_target("toaster")


def test_targets_together_and_narrowed(rtx: None) -> None:
    both = [find_target("rtx-30"), find_target("rtx-40"), find_target("jetson-orin-nx")]
    whole = plan(both)
    assert (whole.precisions, whole.sms) == (("fp32", "fp16", "mixed"), (86, 89))
    assert (whole.engines, whole.takes[-1]) == (("tensorrt-rtx",), "fp8")
    assert whole.frames == (1, 243)
    assert [target.name for target in whole.left] == ["jetson-orin-nx"]
    less = plan(both, precisions=("int8",), sms=(89,))
    assert (less.precisions, less.sms) == (("int8",), (89,))
    with pytest.raises(ConfigError, match="--sm 120 is not what the targets take, which is 86, 89"):
        plan(both, sms=(120,))
    with pytest.raises(ConfigError, match="which is none"):
        plan([find_target("cpu-arm")], engines=("tensorrt-rtx",))


def test_a_precision_that_one_target_lacks(rtx: None, tmp_path: Path) -> None:
    box = Target.from_yaml(write(tmp_path, precisions="[fp32]"))
    assert plan([box, find_target("rtx-40")], precisions=("fp32",)).precisions == ("fp32",)
    with pytest.raises(ConfigError, match="target box takes fp32, and not int8; int8 is for a100, cpu-arm"):
        plan([box, find_target("rtx-40")], precisions=("int8",))
    with pytest.raises(ConfigError, match="no target that was named takes bf16; bf16 is for a100"):
        plan([box, find_target("cpu-arm")], precisions=("fp32", "bf16"))


def test_float8_is_for_gpus_that_have_it(rtx: None) -> None:
    have = "dgx-spark, h100, jetson-thor, l4, rtx-40, rtx-50"
    for name in ("jetson-orin-nano", "rtx-30", "a100", "cpu-intel"):
        with pytest.raises(ConfigError, match=rf"{name} takes .*, and not fp8; fp8 is for {have}$"):
            plan([find_target(name)], precisions=("fp8",))
    assert plan([find_target("rtx-50")], precisions=("fp8",)).precisions == ("fp8",)
    with pytest.raises(ConfigError, match="expected some of fp32"):
        plan([find_target("rtx-50")], precisions=("fp9",))


def test_what_cannot_be_built_here_is_left_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "rtx_here", lambda: False)
    made = plan([find_target("rtx-50")])
    assert made.engines == ()
    contract = SkeletonContract(("a", "b"), 30)
    words = finish_command(made.left[0], contract, "bundle", "int8")
    assert " ".join(words) == "maskclr-edge export bundle --out bundle --engine tensorrt-rtx --sm 120"
    words = finish_command(find_target("jetson-thor"), contract, "bundle/", "int8")
    assert words[:2] == ["trtexec", "--onnx=bundle/encoder.int8.onnx"]
    assert words[-3:] == [
        "--minShapes=persons:1x1x17x3",
        "--optShapes=persons:1x30x17x3",
        "--maxShapes=persons:16x243x17x3",
    ]
