"""Operations, peaks, sensors and memory: what is read beside the clock."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from maskclr_edge.bench import peak, sensors
from maskclr_edge.bench.flops import network_flops
from maskclr_edge.bench.peak import measure_peak
from maskclr_edge.bench.sensors import find_sensors, metered, reset_peak, resident_mb
from maskclr_edge.checkpoint import ModelConfig


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_operations_of_the_published_size() -> None:
    config = ModelConfig(num_classes=60)
    flops = network_flops(config, frames=243, persons=2)
    assert flops == pytest.approx(741e9, rel=0.005)
    assert network_flops(config, frames=243) == pytest.approx(flops / 2, rel=0.001)
    assert network_flops(config, frames=81) > flops / 6.5


def test_what_runs_on_a_gpu_is_held_against_its_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which product is taken, not how fast it is: there is no GPU."""
    monkeypatch.setattr(peak, "_torch_has_gpu", lambda: True)
    monkeypatch.setattr(peak, "_cuda", lambda precision: None if precision == "int8" else lambda: None)
    monkeypatch.setattr(peak, "_SECONDS", 0.0)
    for runner, precision in (("torch", "fp32"), ("tensorrt", "fp16"), ("tensorrt-rtx", "bf16")):
        found = measure_peak(runner, precision, threads=2)
        assert found is not None
        assert (found.library, found.precision, found.threads) == ("PyTorch on the GPU", precision, None)
    assert measure_peak("tensorrt", "int8") is None
    monkeypatch.setattr(peak, "_torch_has_gpu", lambda: False)
    assert measure_peak("tensorrt", "fp32") is None


def test_rapl_counts_through_its_wrap(tmp_path: Path) -> None:
    package = tmp_path / "class" / "powercap" / "intel-rapl:0"
    write(package / "name", "package-0\n")
    write(package / "max_energy_range_uj", "999999\n")
    counter = write(package / "energy_uj", "900000\n")
    write(tmp_path / "class" / "powercap" / "intel-rapl:0:0" / "name", "core\n")
    found, _ = find_sensors(tmp_path)
    assert [one.name for one in found] == ["RAPL package-0"]
    with metered(found) as energy:
        counter.write_text("400000\n")
    assert energy.joules == {"RAPL package-0": pytest.approx(0.5)}


def test_a_jetson_is_read_at_its_input(tmp_path: Path) -> None:
    chip = tmp_path / "bus" / "i2c" / "drivers" / "ina3221" / "1-0040" / "hwmon" / "hwmon1"
    for number, name, volts, amperes in ((1, "VDD_IN", 5000, 2000), (2, "VDD_CPU_GPU_CV", 5000, 900)):
        write(chip / f"in{number}_label", name + "\n")
        write(chip / f"in{number}_input", f"{volts}\n")
        write(chip / f"curr{number}_input", f"{amperes}\n")
    found, _ = find_sensors(tmp_path)
    assert [one.name for one in found] == ["INA3221 VDD_IN"]
    begin = time.perf_counter()
    with metered(found) as energy:
        time.sleep(0.12)
    seconds = time.perf_counter() - begin
    assert 0.5 * 10 * 0.12 < energy.joules["INA3221 VDD_IN"] <= 10 * seconds  # 10 W


def test_a_sensor_that_fails_gives_nothing(tmp_path: Path) -> None:
    chip = tmp_path / "bus" / "i2c" / "drivers" / "ina3221" / "1-0040" / "hwmon" / "hwmon1"
    for name in ("in1_label", "in1_input", "curr1_input"):
        write(chip / name, "broken\n")
    found, _ = find_sensors(tmp_path)
    with metered(found) as energy:
        pass
    assert energy.joules == {}


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "available", lambda name: False)
    found, reasons = find_sensors(tmp_path)
    assert found == []
    assert [reason.split(":")[0] for reason in reasons] == ["RAPL", "INA3221", "NVML"]


def test_nvml_is_read_in_millijoules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVIDIA's bindings by their own names; there is no GPU here to hold them to."""
    counter = iter((1000, 5000, 8500))
    nvml = SimpleNamespace(
        NVMLError=RuntimeError, nvmlInit=lambda: None, nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda at: at,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(counter),
    )  # fmt: skip
    monkeypatch.setattr(sensors, "available", lambda name: True)
    monkeypatch.setattr(sensors, "require", lambda name: nvml)
    found, _ = find_sensors(tmp_path)
    with metered(found) as energy:
        pass
    assert energy.joules == {"NVML GPU 0": 3.5}


@pytest.mark.skipif(resident_mb() is None, reason="this system has no /proc")
def test_peak_memory_starts_over() -> None:
    large = bytearray(200_000_000)
    large[::4096] = b"x" * len(large[::4096])
    del large
    before = resident_mb("VmHWM")
    reset_peak()
    after = resident_mb("VmHWM")
    assert before is not None
    assert after is not None
    assert before - after > 100


@pytest.mark.parametrize(("runner", "precision"), [("onnxruntime", "fp32"), ("openvino", "int8")])
def test_peak_of_a_library(runner: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskclr_edge.bench.peak._SECONDS", 0.01)
    monkeypatch.setattr("maskclr_edge.bench.peak.SIZE", 256)
    peak = measure_peak(runner, precision, 1)
    assert peak is not None
    assert (peak.library, peak.precision, peak.threads) == (runner, precision, 1)
    assert peak.gflops > 0.1


@pytest.mark.parametrize("rows", [("tensorrt", "fp32"), ("onnxruntime", "bf16"), ("openvino", "fp8")])
def test_no_peak_is_made_up(rows: tuple[str, str]) -> None:
    assert measure_peak(*rows) is None
