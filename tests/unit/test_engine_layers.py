"""The engine inspector's JSON in the forms of TensorRT 10 and 11, and hostile.

The forms are those of NVIDIA's documentation (10.16, "Engine Inspector"), of logs of trtexec 10, and for 11
of the keys in the library of TensorRT-RTX 1.7 and of programs that read both.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from maskclr_edge.cli.main import main
from maskclr_edge.deploy import inspection
from maskclr_edge.deploy.engine_layers import output_types, read_layers
from maskclr_edge.errors import EngineError

TENSORRT_10: dict[str, Any] = {
    "Layers": [
        {
            "Name": "Reformatting CopyNode for Input Tensor 0 to backbone.joints_embed/MatMul",
            "LayerType": "Reformat",
            "Inputs": [
                {
                    "Name": "persons",
                    "Location": "Device",
                    "Dimensions": [-1, -1, 17, 3],
                    "Format/Datatype": "N/A due to dynamic shapes",
                }
            ],
            "Outputs": [
                {
                    "Name": "Reformatted Input Tensor 0 to backbone.joints_embed/MatMul",
                    "Location": "Device",
                    "Dimensions": [1, 30, 17, 3],
                    "Format/Datatype": "Row major linear FP16 format",
                }
            ],
            "ParameterType": "Reformat",
            "Origin": "REFORMAT",
            "TacticValue": "0x0000000000000000",
            "StreamId": 0,
            "Metadata": "",
        },
        {
            "Name": "backbone.blocks_st.0.mlp_s.fc1/MatMul_myl0_10",
            "LayerType": "gemm",
            "Inputs": [
                {"Name": "x", "Location": "Device", "Dimensions": [510, 128], "Format/Datatype": "Int8"},
                {"Name": "w", "Location": "Device", "Dimensions": [128, 512], "Format/Datatype": "Int8"},
            ],
            "Outputs": [
                {"Name": "y", "Location": "Device", "Dimensions": [510, 512], "Format/Datatype": "Half"}
            ],
            "TacticName": "sm80_xmma_gemm_i8i8_i8i32_f32_tn_n",
            "StreamId": 0,
            "Metadata": "[ONNX Layer: backbone.blocks_st.0.mlp_s.fc1/MatMul]",
        },
        {
            "Name": "__myl_CastSoftmCast",
            "LayerType": "kgen",
            "Outputs": [
                {
                    "Name": "z",
                    "Dimensions": [16, 256],
                    "Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format.",
                }
            ],
        },
    ],
    "Bindings": ["persons", "features"],
}
TENSORRT_11: dict[str, Any] = {
    "Layers": [
        {
            "Name": "gemm_0",
            "LayerType": "MatrixMultiply",
            "Inputs": [{"Name": "x", "Dimensions": [-1, 16], "Format": "LINEAR", "DataType": "FP16"}],
            "Outputs": [{"Name": "y", "Dimensions": [-1, 16], "Format": "LINEAR", "Datatype": "BF16"}],
            "TacticName": "sm87_tactic",
        }
    ],
    "I/O Tensors": [
        {"Name": "persons", "IOMode": "INPUT", "DataType": "FP32", "Dimensions": [-1, -1, 17, 3]},
        {"Name": "features", "IOMode": "OUTPUT", "DataType": "FP32", "Dimensions": [-1, 8704]},
    ],
    "Engine Metadata": {"Multi-Device": "Disabled"},
}
NAMES_ALONE = {"Layers": ["backbone.norm/LayerNormalization", "head/Gemm"], "Bindings": ["persons"]}


def test_tensorrt_10() -> None:
    layers = read_layers(json.dumps(TENSORRT_10))
    assert [one["type"] for one in layers] == ["Reformat", "gemm", "kgen"]
    assert layers[1]["inputs"][0] == {"name": "x", "shape": [510, 128], "type": "int8"}
    assert layers[1]["kernel"] == "sm80_xmma_gemm_i8i8_i8i32_f32_tn_n"
    assert layers[0]["inputs"][0]["type"] == "N/A due to dynamic shapes"  # as it says, not a guess
    assert output_types(layers) == {"float16": 2, "int8": 1}


def test_tensorrt_11() -> None:
    (layer,) = read_layers(json.dumps(TENSORRT_11))
    assert layer["inputs"] == [{"name": "x", "shape": [-1, 16], "type": "float16"}]
    assert output_types([layer]) == {"bfloat16": 1}


def test_an_engine_without_details() -> None:
    layers = read_layers(json.dumps(NAMES_ALONE))
    assert [one["name"] for one in layers] == NAMES_ALONE["Layers"]
    assert output_types(layers) == {}
    assert read_layers('{"Layers": []}') == []


@pytest.mark.parametrize(
    "text", [None, "", "no", "[]", "3", "{}", '{"Layers": 3}', '{"Layers": [', "[" * 100_000, "9" * 5000]
)
def test_what_is_not_the_inspectors(text: str | None) -> None:
    with pytest.raises(EngineError) as caught:
        read_layers(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "layer",
    [
        None, 3, [], "x" * 10**6, {}, {"Name": ["x"]}, {"Outputs": {"Name": 1}}, {"Outputs": [None, 3, []]},
        {"Outputs": [{"Dimensions": "no", "Format/Datatype": 7}]}, {"Inputs": [{"Dimensions": [True, "1"]}]},
        {"Outputs": [{"Dimensions": [1] * 10**5, "DataType": "F" * 10**5}]},
    ],
)  # fmt: skip
def test_hostile_layers(layer: Any) -> None:
    (found,) = read_layers(json.dumps({"Layers": [layer]}))
    assert set(found) == {"name", "type", "inputs", "outputs", "kernel"}
    assert len(json.dumps(found)) < 2000


@pytest.mark.parametrize("raw", [TENSORRT_10, TENSORRT_11, NAMES_ALONE])
def test_the_table(
    raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "encoder.engine"
    file.write_bytes(b"ftrt" + bytes(100))
    layers = read_layers(json.dumps(raw))
    facts = {
        "tensors": ["persons"], "refittable": True, "layers": layers, "output_types": output_types(layers),
        "profiles": [{"persons": [[1, 1, 17, 3], [1, 30, 17, 3], [4, 243, 17, 3]]}],
    }  # fmt: skip
    monkeypatch.setattr(inspection, "engine_layers", lambda path: facts)
    assert main(["inspect", str(file), "--layers"]) == 0
    text = capsys.readouterr().out
    for layer in layers:
        assert layer["name"][:16] in text  # longer ones are folded
        assert layer["kernel"][:10] in text
    assert f"{len(layers)} layers" in text
    assert "profile 0: persons 1x1x17x3 1x30x17x3 4x243x17x3" in text
    assert "takes other weights" in text
    assert main(["inspect", str(file), "--layers", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["engine"]["layers"] == layers


def test_names_that_would_rewrite_a_terminal_and_many_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "encoder.engine"
    file.write_bytes(b"ftrt" + bytes(100))
    layers = read_layers(json.dumps({"Layers": ["\x1b[31m[red]", *map(str, range(60))]}))
    facts = {"tensors": [], "refittable": False, "layers": layers, "output_types": {}, "profiles": []}
    monkeypatch.setattr(inspection, "engine_layers", lambda path: facts)
    assert main(["inspect", str(file), "--layers"]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "[red]" in text
    assert "61 layers, the first 40 here" in text
