"""The generated sections on quantisation."""

from types import ModuleType
from typing import Any

import pytest
from scripts import load_script


def load(name: str) -> ModuleType:
    return load_script(f"benchmarks/{name}.py")


@pytest.fixture(scope="module")
def sections() -> ModuleType:
    return load("readme_precision")


def test_calibrators_and_sensitivity(sections: ModuleType) -> None:
    of: dict[str, Any] = {"clips": 384, "float_top1": 95.3125}
    row = {"method": "mse", "smooth": 0.5, "top1": 95.05, "agreement": 99.74, "lost": 1, "drop_at_most": 1.2}
    row |= {"mean_logit_error": 0.00894, "saturated_mean": 1e-5, "saturated_most": 2e-3}
    text = sections.calibrators({"rows": [row, row | {"smooth": None}], **of})
    assert "384 corrupted clips that calibration left; float has 95.31 % of them right." in text
    assert "| mse | 0.5 | 95.05 | 99.74 | 1 | 0.0089 | 0.001 | 0.2 |" in text
    assert "| mse |  | 95.05 |" in text
    group = {"module": "backbone.blocks_st.0.attn_s", "kl": 1.5e-4, "cosine": 0.99995, "agreement": 100.0}
    text = sections.sensitivity({"rows": [group | {"weights": 0.041}], **of})
    assert "| `backbone.blocks_st.0.attn_s` | 1.50e-04 | 5.0e-05 | 100.0 | 4.1 |" in text
    many = [group | {"weights": 0.041, "kl": 1e-4 / place} for place in range(1, 13)]
    text = sections.sensitivity({"rows": many, **of})
    assert text.count("blocks_st.0") == 10 and text.endswith("The other 2: KL of 9.09e-06 nats at most.")


def test_budgets(sections: ModuleType) -> None:
    measured = {"onnxruntime": {"drop_at_most": 0.265}, "openvino": {"drop_at_most": 0.42}}
    met = {"options": "--max-drop 0.5", "exit_code": 0, "clips": 1130, "measured": measured, "groups": 25}
    met |= {"skip": ["a", "b"], "tried": [{"kept": 0, "lost": 3}, {"kept": 2, "lost": 1}]}
    text = sections.budgets(
        {
            "rows": [
                met,
                met | {"skip": [], "tried": [{"kept": 0, "lost": 0}]},
                {"options": "--max-drop 0.1", "exit_code": 2, "said": "error: cannot be shown"},
                {"options": "--max-drop 0.2", "exit_code": 1, "said": "error: cannot be kept"},
            ]
        }
    )
    assert "| `--max-drop 0.5` | met | 2 of 25 groups in floating point: `a`, `b`; of 1130 " in text
    assert "clips lost 3 with 0 kept, 1 with 2 kept, on the worst of onnxruntime, openvino; a drop " in text
    assert "a drop of at most 0.42 points |" in text
    assert "| met | nothing stays; of 1130 clips lost 0 with 0 kept" in text
    assert "| `--max-drop 0.1` | refused | error: cannot be shown |" in text
    assert "| `--max-drop 0.2` | failed | error: cannot be kept |" in text


def test_builder_acceptance(sections: ModuleType) -> None:
    rows: list[dict[str, Any]] = [
        {
            "precision": "fp8",
            "sm": 86,
            "built": False,
            "reason": "engine of encoder.fp8.onnx: FP8 needs SM89 (the builder said: no)",
        },
        {"precision": "fp8", "sm": 89, "built": True, "seconds": 3.21},
    ]
    text = sections.builder_acceptance({"rows": rows, "version": "1.7"})
    assert "| precision | SM86 | SM89 |" in text
    assert "| fp8 | refused | 3.2 s |" in text
    assert text.endswith("- fp8, SM86: FP8 needs SM89")


def test_what_each_precision_costs() -> None:
    cells = [{"corruption": "clean", "severity": 0.0, "top1": 98.0}]
    cells += [{"corruption": "joints", "severity": n, "top1": top1} for n, top1 in ((3, 90.0), (6, 72.4))]
    worse = [cell | {"top1": cell["top1"] - 0.25 * (cell["severity"] == 6)} for cell in cells]
    on = {"runner": "onnxruntime", "details": {}, "top1": 97.5, "agreement": 99.9, "mean_logit_error": 0.0123}
    openvino = on | {"runner": "openvino", "details": {"executed_in": "bf16"}, "top1": 97.4}
    fp32 = {
        "precision": "fp32", "emulated": False, "bytes": 1_520_000, "on": [on | {"top1": 98.0}],
        "corrupted": {"mean_top1": 81.2, "cells": cells}, "attention": {"overlap": 100.0},
        "latency": [{"runner": "onnxruntime", "latency": {"p50_ms": 4.321}}],
    }  # fmt: skip
    int8 = fp32 | {"precision": "int8", "bytes": 1_250_000, "on": [on, openvino], "latency": []}
    int8 |= {"corrupted": {"mean_top1": 81.07, "cells": worse}, "attention": {"overlap": 99.4}}
    results = {
        "data": "penn.pkl", "split": "val", "clips": 90, "corrupted_clips": 30, "frames": 32, "timed": False,
        "precisions": [fp32, int8, {"precision": "bf16", "reason": "no runner here takes it"}],
    }  # fmt: skip
    section = load("readme_accuracy").precision
    text = section(results)
    assert "Clean on 90 clips of penn.pkl `val`, T=32; 2 corrupted cells on 30 of them." in text
    assert "| int8 | onnxruntime | 1.25 | 97.50 | 99.90 | 0.0123 | 99.4 | 81.07 | -0.25 |" in text
    assert "| int8 | openvino, in bf16 | 1.25 | 97.40 | 99.90 | 0.0123 |  |  |  |" in text
    assert "| bf16 |" not in text
    timed = section(results | {"timed": True})
    assert "| fp32 | onnxruntime | 1.52 | 98.00 | 99.90 | 0.0123 | 100.0 | 4.32 | 81.20 | +0.00 |" in timed
    clean = [entry | {"corrupted": None} for entry in (fp32, int8)]
    text = section(results | {"precisions": clean})
    assert "T=32.\n" in text and "corrupted" not in text
    assert "| int8 | onnxruntime | 1.25 | 97.50 | 99.90 | 0.0123 | 99.4 |" in text
