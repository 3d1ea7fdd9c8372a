"""Reading a bundle: what is verified, and in which words a bad one is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.errors import BundleError
from maskclr_edge.runtime import Bundle, open_runner


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    file = path / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))
    return path


def refusal(path: Path, *, verify: bool = True) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(path, verify=verify)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_open(tiny_bundle: Any) -> None:
    bundle = Bundle.open(tiny_bundle.write(precisions=("fp32", "int8")))
    assert bundle.config.num_classes == 5
    assert bundle.contract.class_names[3] == "squat"
    assert bundle.runners() == ("onnxruntime", "openvino")
    assert bundle.precisions("openvino") == ("fp32", "int8")
    assert bundle.select("openvino", "int8")["encoder"].file == "encoder.int8.onnx"
    assert len(bundle.read(bundle.artifacts[0])) == bundle.artifacts[0].bytes
    assert bundle.unlisted() == ()


def test_what_is_asked_and_not_there(tiny_bundle: Any) -> None:
    bundle = Bundle.open(tiny_bundle.write())
    with pytest.raises(BundleError, match=r"tensorrt in fp16; it has onnxruntime: fp32; openvino: fp32"):
        bundle.select("tensorrt", "fp16")


def test_extra_files_are_left_alone(tiny_bundle: Any) -> None:
    path = tiny_bundle.write()
    (path / "notes").mkdir()
    (path / "notes" / "card.md").write_text("a model card")
    assert Bundle.open(path).unlisted() == ("notes/card.md",)


def test_missing_file(tiny_bundle: Any) -> None:
    path = tiny_bundle.write()
    (path / "head.fp32.onnx").unlink()
    assert "head.fp32.onnx: is missing" in refusal(path, verify=False)
    (path / "head.fp32.onnx").mkdir()
    assert "head.fp32.onnx: is not a file" in refusal(path, verify=False)


def test_changed_size(tiny_bundle: Any) -> None:
    path = tiny_bundle.write()
    file = path / "encoder.fp32.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    assert "encoder.fp32.onnx: is " in refusal(path, verify=False)


def test_one_changed_byte(tiny_bundle: Any) -> None:
    path = tiny_bundle.write()
    file = path / "encoder.fp32.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert "encoder.fp32.onnx: does not have the manifest's SHA-256" in refusal(path)
    bundle = Bundle.open(path, verify=False)
    with pytest.raises(BundleError, match="SHA-256"):
        bundle.read(bundle.artifacts[0])
    with pytest.raises(BundleError, match="SHA-256"):
        open_runner(path, "onnxruntime")


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "a/../../secret", "c:\\secret", "..\\secret", "", ".", "a\x00b"]
)
def test_a_path_that_leaves_the_folder(tiny_bundle: Any, name: str) -> None:
    path = tiny_bundle.write()
    (path.parent / "secret").write_text("x")
    edit(path, lambda manifest: manifest["artifacts"][0].update(file=name))
    assert "plain name inside the bundle" in refusal(path) or name == ""


def test_a_link_that_leaves_the_folder(tiny_bundle: Any) -> None:
    path = tiny_bundle.write()
    outside = path.parent / "outside.onnx"
    (path / "encoder.fp32.onnx").rename(outside)
    (path / "encoder.fp32.onnx").symlink_to(outside)
    assert "link that leads out" in refusal(path)
    (path / "encoder.fp32.onnx").unlink()
    (path / "encoder.fp32.onnx").symlink_to("encoder.fp32.onnx")
    assert "encoder.fp32.onnx" in refusal(path)


def test_a_linked_bundle_and_files_in_folders_are_fine(tiny_bundle: Any) -> None:
    path = tiny_bundle.write()
    (path / "onnx").mkdir()
    (path / "encoder.fp32.onnx").rename(path / "onnx" / "encoder.fp32.onnx")
    edit(path, lambda manifest: manifest["artifacts"][0].update(file="onnx/encoder.fp32.onnx"))
    (path.parent / "link").symlink_to(path)
    assert Bundle.open(path.parent / "link").artifacts[0].file == "onnx/encoder.fp32.onnx"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(format="zip"), "format is 'zip'"),
        (lambda m: m.update(version=2), "bundle version 2 is newer than the 1"),
        (lambda m: m.update(version="1"), "version is '1', a whole number"),
        (lambda m: m.update(version=True), "version is True"),
        (lambda m: m.pop("model"), "model is missing, expected an object"),
        (lambda m: m["model"].update(num_heads=0), "num_heads"),
        (lambda m: m["model"].update(dim_feet=1), "dim_feat"),
        (lambda m: m["contract"].update(absent="maybe"), "absent"),
        (lambda m: m["contract"].update(class_names=["a"]), "names 1 classes, its model has 5"),
        (lambda m: m["model"].update(maxlen=30), "allows 243 frames, its model 30"),
        (lambda m: m.update(artifacts=[]), "names 0 artifacts"),
        (lambda m: m.update(artifacts={}), "artifacts is {}, expected a list"),
        (lambda m: m["artifacts"].append(3), r"artifacts[2] is 3, an object"),
        (lambda m: m["artifacts"][0].update(role="body"), "artifacts[0].role is 'body', expected one of"),
        (lambda m: m["artifacts"][0].update(kind="caffe"), "artifacts[0].kind"),
        (lambda m: m["artifacts"][1].update(sha256="A" * 64), "artifacts[1].sha256"),
        (lambda m: m["artifacts"][1].update(bytes=-1), "artifacts[1].bytes is -1"),
        (lambda m: m["artifacts"][1].update(bytes=1.0), "artifacts[1].bytes is 1.0"),
        (lambda m: m["artifacts"][1].update(runners=[1]), "artifacts[1].runners"),
        (lambda m: m["artifacts"][1].update(precision="fp32\n"), "artifacts[1].precision is 'fp32\\n'"),
        (lambda m: m.update({"a\nb": 1}), "unknown key 'a\\nb'"),
        (lambda m: m["artifacts"][1].update(precison="fp32"), "did you mean precision?"),
        (lambda m: m["artifacts"][1].update(file="encoder.fp32.onnx"), "twice, with different content"),
        (lambda m: m.update(notes=1), "unknown key 'notes'"),
    ],
)
def test_manifest_that_is_refused(
    tiny_bundle: Any, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    message = refusal(edit(tiny_bundle.write(), change))
    assert says in message
    assert "manifest.json" in message


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\xff", '{"format": 1}'])
def test_not_a_manifest(tiny_bundle: Any, text: str) -> None:
    path = tiny_bundle.write()
    (path / "manifest.json").write_bytes(text.encode("latin-1"))
    assert "manifest.json" in refusal(path)


def test_manifest_that_is_too_large(tiny_bundle: Any) -> None:
    path = tiny_bundle.write()
    (path / "manifest.json").write_bytes(b" " * ((4 << 20) + 1))
    assert "larger than 4 MiB" in refusal(path)


def test_not_a_bundle(tmp_path: Path) -> None:
    assert "is not a bundle" in refusal(tmp_path)
    assert "is not a bundle" in refusal(tmp_path / "none")
