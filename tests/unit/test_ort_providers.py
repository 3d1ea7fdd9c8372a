"""What ONNX Runtime is opened on, and that nothing else is ever taken in silence."""

import logging

import pytest

from maskclr_edge.errors import ConfigError, EngineError
from maskclr_edge.runtime.ort_providers import VARIABLE, choose_providers

CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))
GPU_INSTALL = [TENSORRT, CUDA, CPU]


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_cuda_is_taken_where_it_is_installed() -> None:
    assert choose_providers([CPU]).names == (CPU,)
    assert choose_providers(GPU_INSTALL).names == (CUDA, CPU)


def test_the_environment_names_others_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "tensorrt, CUDA")
    assert choose_providers(GPU_INSTALL).names == (TENSORRT, CUDA, CPU)
    monkeypatch.setenv(VARIABLE, "cpu")
    assert choose_providers(GPU_INSTALL).names == (CPU,)
    monkeypatch.setenv(VARIABLE, "rocm")
    with pytest.raises(ConfigError, match="this ONNX Runtime has tensorrt, cuda, cpu"):
        choose_providers(GPU_INSTALL)


def test_fp32_is_not_rounded_to_tf32() -> None:
    chosen = choose_providers(GPU_INSTALL)
    assert chosen.arguments("fp32") == [(CUDA, {"use_tf32": "0"}), CPU]
    assert chosen.arguments("fp16") == [CUDA, CPU]


def test_a_provider_that_does_not_open_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        choose_providers(GPU_INSTALL).check([CUDA, CPU], "encoder.onnx")
        assert not caplog.records
        choose_providers(GPU_INSTALL).check([CPU], "encoder.onnx")
    assert "encoder.onnx: ONNX Runtime could not open CUDA and would run on CPU instead" in caplog.text


def test_a_provider_that_was_asked_for_must_open() -> None:
    with pytest.raises(EngineError, match=f"could not open CUDA .* name another in {VARIABLE}"):
        choose_providers(GPU_INSTALL, "cuda").check([CPU], "encoder.onnx")
