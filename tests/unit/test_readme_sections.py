"""Every generated section of README, model card and documents, from results made by hand."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scripts import load_script

from maskclr_edge.bench.results import result_document, write_result
from maskclr_edge.bench.statistics import summarize


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    return load_script("benchmarks/readme.py")


def measurement(part: str, frames: int, p50: float) -> dict[str, Any]:
    warmup = {"calls": 16, "seconds": 0.1, "first_ms": 9.0, "steady": True}
    latency = summarize([p50] * 100).to_dict()
    shape = {"frames": frames, "persons": 1, "batch": 1, "threads": None}
    names = {
        "part": part,
        "scenario": "single-stream",
        "model": "bundled",
        "runner": "onnxruntime",
        "precision": "fp32",
    }
    return {**names, **shape, "latency": latency, "clips_per_second": 1000 / p50, "warmup": warmup}


def peer(name: str, slots: int, ratio: float) -> dict[str, Any]:
    interval = {"value": ratio, "low": 0.9 * ratio, "high": 1.1 * ratio}
    ours, theirs = ({"p50_ms": value} for value in (36.0, 36.0 * ratio))
    return {"peer": name, "slots": slots, "frames": 30, "ratio": interval, "latency": theirs, "ours": ours}


def robust_cells(clean: float, low: float) -> list[dict[str, Any]]:
    cells = [("clean", 0.0, clean), ("joints", 6.0, low)]
    return [{"corruption": name, "severity": severity, "top1": top1} for name, severity, top1 in cells]


def trt_overhead() -> dict[str, Any]:
    names = {"release": "11.4", "layer": "pycuda"}
    times = {"p10_us": 80.1, "p50_us": 91.6, "p99_us": 900.0, "allocated_or_made": 0}
    row = {**names, "persons": 1, "cuda_graphs": True, "calls": 9, **times}
    live = {"pinned": 4, "allocations": 9}
    leaks = {"calls": 10_000, "after_100": live, "after_all": live, "opened": {}}
    return {"steady": [row], "leaks": [{**names, **leaks, "closed": {"pinned": 1, "allocations": 9}}]}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    runner = {"runner": "onnxruntime", "precision": "fp32"}
    ratio = {"one_of_two_ms": 4.1, "one_ms": 4.0, "ratio": 1.025, "low": 1.01, "high": 1.04}
    wait = {
        "what": "maskclr-edge --help",
        "runs": 5,
        "median_s": 0.12,
        "worst_s": 0.2,
    }
    score = {**runner, "count": 10, "top5": 100.0, "mean_class": 90.0}
    step = {
        "step": "maskclr-edge export",
        "seconds": 9.0,
        "cpu_seconds": 12.0,
        "peak_memory_mb": 800.0,
        "bytes": 241_000_000,
    }
    rows = [
        measurement("network", 81, 4.0),
        measurement("network", 30, 2.5),
        measurement("end-to-end", 81, 5),
    ]
    window = [{**runner, "given_frames": 60, "frames": 24, "latency": summarize([3.2] * 100).to_dict()}]
    packing = [{**runner, "frames": 81, **ratio}]
    scores = [
        {"model": "bundled", "top1": 96.12, **score},
        {"model": "seed1.safetensors", "top1": 95.5, **score},
    ]
    robust = {
        "groups": [
            {"name": name, "models": [{"cells": robust_cells(clean, low)} for clean, low in seeds]}
            for name, seeds in {"ce": [(96, 60), (98, 70)], "MaskCLR": [(97, 80)]}.items()
        ],
        "comparisons": [
            {
                "method": "MaskCLR",
                "cells": [{"corruption": "joints"}],
                "mean_share": 0.469,
                "pooled_share": None,
            }
        ],
        "skipped": {},
    }
    built = {"state": "built", "seconds": 4.2, "engines": {"encoder": 9_500_000}}
    parity = {"fp32": {"max_abs_error": 1e-6, "max_abs_logit": 2.0}}
    contents: dict[str, dict[str, Any]] = {
        "latency": {
            "measurements": rows,
            "skipped": [],
            "packing": packing,
            "startup": [wait],
            "window": window,
        },
        "accuracy": {"rows": scores, "skipped": []},
        "demo": {
            "seconds": 40.0,
            "lines": ["1 first", "What was made", "| a |", "Made in 40 s, in x.", "next"],
        },
        "robustness": robust,
        "folds": {
            "rows": [{"split": "val_2", "count": 52, "top1": 92.3, "mean_class": 91.0}],
            "mean": {"top1": 92.3, "mean_class": 91.0},
        },
        "precision_speed": {
            "rows": [
                {
                    "frames": 30,
                    "runner": "openvino",
                    "precision": "int8",
                    "latency": {"p50_ms": 4.2},
                    "faster": {"value": 2.6, "low": 2.5, "high": 2.7},
                }
            ]
        },
        "peers": {
            "rows": [peer("naive export", 2, 10.0), peer("naive export", 1, 5.0), peer("ours, fp32", 2, 2.0)],
            "absent": {"trtexec": "there is none"},
            "peak": {"gflops": 1000.0, "library": "openvino", "precision": "int8", "share": {"30": 0.41}},
            "agreement": {
                "of": "bundled",
                "rows": [{"runner": "openvino", "precision": "int8", "count": 90, "same_percent": 99.5}],
            },
            "trained": {"data": "penn.pkl", "epochs": 4},
            "growth": {
                **{"frames": [30, 243], "flops": 9.1},
                "latency": {"value": 8.24, "low": 8.1, "high": 8.4},
                "peers": [
                    {"peer": "naive", "slots": 2, "latency": 9.61},
                    {"peer": "naive", "slots": 1, "latency": 8.44},
                    {"peer": "ours, openvino bf16", "slots": 2, "latency": 8.5},
                ],
            },
            "failed": {"T=30, 1 person slots, x": "RuntimeError: no"},
            "missing": ["T=30, 2 person slots, y"],
        },
        "op_profile": {
            "rows": [
                {"network": "naive", "frames": 30, "total_ms": 10.04, "kinds": {"linear layers": 9.0}},
                {"network": "ours", "frames": 30, "total_ms": 4.0, "kinds": {"softmax": 1.25}},
            ]
        },
        "runtime_settings": {
            "rows": [
                {
                    **{"what": "threads", "frames": 81, "median_ms": [12.5, 10.04], "runner": "onnxruntime"},
                    **{"precision": "fp32", "wall": {"value": 1.25, "low": 1.2, "high": 1.3}},
                    "processor": {"value": 0.9, "low": 0.8, "high": 1.0},
                }
            ]
        },
        "int8_scores": {
            "rows": [
                {
                    **{
                        "width": 64,
                        "heads": 1,
                        "head_dim": 64,
                        "depth": 3,
                        "weights": "trained",
                        "frames": 30,
                    },
                    "faster": {"value": 1.04, "low": 1.03, "high": 1.05},
                    "median_ms": {"without": 4.16, "with": 4.0},
                }
            ]
        },
        "compare_gate": {
            **{"equal_passed": 20, "slower_caught": 19, "of": 20, "gate": "p50:+5%", "slower_percent": 10.0},
            "clock": "cpu",
        },
        "training_throughput": {"median": {"upstream_form": 30.0, "ours": 75.0, "ours_torchrun": 96.0}},
        "trt_overhead": trt_overhead(),
        "live_stream": {
            **{"actions": 9, "minutes": 1.5, "detected_percent": 77.8, "detection_s": None},
            **{"changes_per_minute": 2.5, "false_alarms_per_hour": 80.0, "f1": {"0.5": 33.3}},
        },
        "live_rates": {
            "rows": [
                {
                    **{"people": 3, "fps": 18.24, "age_ms": {"p50": 70.0, "p99": 115.4}, "frames": 1000},
                    **{"dropped": 800, "stages_ms": {"pose": {"p50": 51.25}}, "answers_a_second": 3.75},
                    **{"classify_percent_of_pose": 4.44, "runner": "openvino", "precision": "int8"},
                }
            ]
        },
        "live_identities": {"rows": [{"fps": 5.0, "marks": 36, "switches": 1, "missed": 2, "numbers": 4}]},
        "live_soak": {
            "run": {
                **{"work_s": 180.0, "frames": 900, "dropped": 4500, "fps": 5.0},
                **{"processor_ms_per_frame": 99.0, "age_ms": {"p50": 80.0, "p99": 130.0}},
                "classify_percent_of_pose": 9.0,
            },
            "minutes": [{"age_p50_ms": float(80 + at), "rss_mb": 400.0 + at} for at in range(3)],
            "memory_growth_percent": 0.2,
        },
        "export_full_size": {"parameters": 60_400_000, "steps": [step], "parity": parity},
        "engine_build": {
            "rows": [
                {
                    "precision": "fp16",
                    "sm": [86, 120],
                    "median_s": 9.04,
                    "best_s": 8.5,
                    "cpu_s": 12.0,
                    "bytes": 120_500_000,
                    "second": {"median_s": 9.0, "cache_bytes": 172, "times_faster": 1.0},
                }
            ]
        },
        "build_matrix": {
            "rows": [
                {
                    "target": name,
                    "precision": "fp16",
                    "engine": engine,
                    "sm": [sm],
                    "parity": {"max_abs_error": 0.0012},
                    **more,
                }
                for name, engine, sm, more in (
                    ("rtx-40", "tensorrt-rtx", 89, built),
                    ("jetson-thor", "tensorrt", 110, {"state": "on the device"}),
                )
            ]
        },
    }
    for name, result in contents.items():
        write_result(
            tmp_path / "results" / f"2026-11-24_{name}.json", result_document(name, result, settings={})
        )
    return tmp_path / "results"


def test_every_section_renders(readme: ModuleType, results: Path) -> None:
    text = "".join(f"<!-- results:{name} -->\n<!-- /results:{name} -->\n" for name in readme.SECTIONS)
    filled = readme.filled(text, results)
    assert readme.filled(filled, results) == filled
    assert "| onnxruntime | fp32 | 96.12 | 100.00 | 90.00 |" in filled
    assert "seed1.safetensors" not in filled
    assert filled.index("| 30 | onnxruntime | fp32 | 2.50 |") < filled.index(
        "| 81 | onnxruntime | fp32 | 4.00 |"
    )
    assert "1.025 (1.010 to 1.040)" in filled
    assert "| onnxruntime | fp32 | 60 | 24 | 3.20 | 3.20 | 3.20 |" in filled
    assert "60.4 M parameters" in filled
    assert "```text\nWhat was made\n| a |\nMade in 40 s, in x.\n```" in filled
    assert "| ce | 2 | 97.00 ± 1.41 |  |  |  |" in filled
    assert "| MaskCLR | 1 | 97.00 | 1 | 46.9 |  |" in filled
    assert "| mean of folds |  | 92.30 | 91.00 |" in filled
    assert "| 11.4 | pycuda | yes | 1 | 80 | 92 | 0 |" in filled
    assert "Over 10000 calls with changing shapes: 0 allocations" in filled
    assert "1 objects left once it was closed" in filled
    assert "one process a core | 96 | 3.20 |" in filled
    assert "| fp16 | SM86, SM120 | 9.0 | 8.5 | 12.0 | 120.5 | 172 | 9.0 | 1.00 |" in filled
    assert "| rtx-40 | fp16 | tensorrt-rtx | SM89 | 9.5 | 4.2 | 1.2e-03 |" in filled
    assert "| jetson-thor | fp16 | tensorrt | SM110 | on the device |  | 1.2e-03 |" in filled
    assert "| time to detection, median | never |" in filled and "| 5.0 | 36 | 1 | 2 | 4 |" in filled
    rates = "| 3 | 18.2 | 70 ms | 115 ms | 800 of 1800 | 51.2 ms | 3.8 | 4.4 % | openvino int8 |"
    assert rates in filled
    assert "| memory in minute 2, in minute 3 | 401, 402 MB (+0.2 %) |" in filled
    assert "| 30 | openvino | int8 | 4.20 | 2.60 (2.50 to 2.70) |" in filled
    assert "| naive export | and the padded second | 10.00 (9.00 to 11.00), 360.0 ms |" in filled
    assert "| naive export | alone | 5.00 (4.50 to 5.50), 180.0 ms |" in filled
    assert "| ours, fp32 |  | 2.00 (1.80 to 2.20), 72.0 ms |" in filled
    assert "| **ours, p50 ms** |  | **36.0** |" in filled
    assert "Ours reaches 41% at T=30 of the 1000 G operations/s" in filled
    assert "The bundled model in int8 on openvino answers as its fp32 on 99.50 % of 90 clips" in filled
    assert "no trained checkpoint of this size was at hand" in filled
    assert "The weights are trained (data penn.pkl, epochs 4)." in filled
    assert (
        "From T=30 to 243 the operations grow 9.10 times, and what ours takes 8.24 (8.10 to 8.40) times "
        "(openvino bf16 8.5); the peers 8.4 to 9.6."
    ) in filled
    assert "- Failed: T=30, 1 person slots, x (RuntimeError: no)." in filled
    assert "- Not measured yet: T=30, 2 person slots, y." in filled
    assert "- Not run: trtexec (there is none)." in filled
    assert (
        "| threads | onnxruntime | fp32 | 81 | 1.25 (1.20 to 1.30) | 0.90 (0.80 to 1.00) | 10.04 |" in filled
    )
    assert "| T | network | ms | linear layers | softmax |" in filled
    assert "| 30 | ours | 4.0 | 0.0 | 1.2 |" in filled
    assert "runs measured by processor time" in filled
    assert "| every call 10 % longer | 19 of 20 failed, as they must |" in filled
    assert "| joints:6 | 65.0 | 80.0 |" in filled
    assert filled.count("`benchmarks/results/2026-11-24_latency.json`") == 5
