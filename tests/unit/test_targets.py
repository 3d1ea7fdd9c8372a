"""Deployment targets: the files that ship, the strict reader, and what several ask for together."""

from pathlib import Path

import pytest

from maskclr_edge.deploy import targets
from maskclr_edge.deploy.targets import Target, find_target, finish_command, plan, target_folder, target_names
from maskclr_edge.errors import ConfigError
from maskclr_edge.runtime.cuda_device import CudaDevice

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "name": "box",
    "what": "A box",
    "precisions": "[fp32, int8]",
    "engine": "tensorrt-rtx",
    "sms": "[86]",
    "frames": "[[1, model, 243]]",
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
    names = "cpu-intel cpu-arm rtx-20 rtx-30 rtx-40 rtx-50 jetson-orin-nano jetson-orin-nx jetson-agx-orin"
    assert {*names.split(), "a100", "h100", "l4", "dgx-spark", "jetson-thor"} <= set(target_names())


@pytest.mark.parametrize("name", target_names())
def test_a_shipped_target_is_whole_and_named_like_its_file(name: str) -> None:
    target = find_target(name)
    assert target.name == name
    assert target.precisions
    assert target.profiles.span == (1, 243)
    if target.engine == "tensorrt":
        assert any("built on the device" in note for note in target.notes)
        assert [one.high for one in target.profiles.frames] == [32, 96, 243]
        assert "TensorRT 10" in target.versions


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
        ({"frames": "[[0, 5, 10]]"}, "whole numbers"),
        ({"frames": "[[9, 5, 3]]"}, "9:5:3 is no range"),
        ({"frames": "[[1, 300, 400]]"}, "1 to 400; expected a range in 1 to 243"),
        ({"frames": "[1, 2, 3]"}, "short list"),
        ({"frames": "[[1, 2]]"}, "expected ranges [least, typical, most]"),
        ({"frames": "[]"}, "0 ranges of frames"),
        ({"frames": "[[1, 8, 16], [33, 64, 96]]"}, "takes 17 to 32; close the gap"),
        ({"persons": "[1, model, 4]"}, "whole numbers"),
        ({"level": "9"}, "0 (quick) to 5 (thorough)"),
        ({"level": "high"}, "whole number"),
        ({"workspace_mb": "0"}, "expected 1 to"),
        ({"tf32": "3"}, "true or false"),
        ({"dla": "true"}, "DLA has no LayerNormalization"),
        ({"hardware": "ampere"}, "did you mean 'ampere-plus'"),
        ({"hardware": "ampere-plus"}, "TensorRT-RTX has no hardware compatibility"),
        ({"version_compatible": "true"}, "no lean runtime"),
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
    assert (whole.precisions, whole.takes[-1]) == (("fp32", "fp16", "mixed"), "fp8")
    (engines,) = whole.engines
    assert (engines.kind, engines.capabilities(["fp32"])) == ("tensorrt-rtx", (86, 89))
    assert engines.capabilities(["fp8"]) == (89,)  # SM86 has no FP8
    assert engines.profiles is not None
    assert engines.profiles.span == (1, 243)
    assert [target.name for target in whole.left] == ["jetson-orin-nx"]
    less = plan(both, precisions=("int8",), engines=("tensorrt-rtx",), sms=(89,))
    assert (less.precisions, less.engines[0].capabilities(["int8"])) == (("int8",), (89,))
    assert less.left == ()
    with pytest.raises(ConfigError, match="--sm 120 is not what the targets take, which is 86, 89, 87"):
        plan(both, sms=(120,))
    with pytest.raises(ConfigError, match="--sm 86 is for no target that takes fp8"):
        plan(both, precisions=("fp16", "fp8"), sms=(86,))
    with pytest.raises(ConfigError, match="which is none"):
        plan([find_target("cpu-arm")], engines=("tensorrt-rtx",))


def test_on_the_device_its_engine_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "available", lambda name: name == "tensorrt")
    orin, thor = CudaDevice("Orin", 87, 12060), CudaDevice("Thor", 110, 13000)
    monkeypatch.setattr(targets, "find_gpu", lambda: orin)
    made = plan([find_target("jetson-orin-nano")], precisions=("fp16",))
    assert made.left == ()
    (engines,) = made.engines
    assert (engines.kind, engines.capabilities(["fp16"])) == ("tensorrt", ())
    assert engines.options.workspace_mb == 1024
    assert engines.profiles is not None
    assert [str(one) for one in engines.profiles.frames] == ["1:model:32", "33:model:96", "97:model:243"]
    with pytest.raises(ConfigError, match="jetson-orin-nano and jetson-orin-nx differ"):
        plan([find_target("jetson-orin-nano"), find_target("jetson-orin-nx")])
    monkeypatch.setattr(targets, "find_gpu", lambda: thor)  # another GPU than the target's
    assert plan([find_target("jetson-orin-nano")]).engines == ()


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
    words = finish_command(made.left[0], "rtx-50", "bundle/")
    assert " ".join(words) == (
        "maskclr-edge export bundle --out bundle --target rtx-50 --engine tensorrt-rtx"
    )
