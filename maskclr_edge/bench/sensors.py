"""Energy and memory as the machine's own sensors say, where it has them: read, never changed.

RAPL counts what a processor package used, an INA3221 on a Jetson the board's power, NVML what a GPU used.
Each counts the whole device, whoever uses it. What cannot be read is named with the reason.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from maskclr_edge.optional import available, require

_POWER_EVERY_S = 0.05


@dataclass(frozen=True)
class EnergySensor:
    """A sensor by its name; ``start`` begins a measurement and gives the function that ends it.

    That gives joules, or None where the sensor could not be read all the time.
    """

    name: str
    start: Callable[[], Callable[[], float | None]]


@dataclass
class Energy:
    """Joules by sensor over the time of a ``metered`` block."""

    joules: dict[str, float] = field(default_factory=dict)


@contextmanager
def metered(sensors: list[EnergySensor]) -> Iterator[Energy]:
    """Measure what a block of code uses; the result is filled in when it ends."""
    result = Energy()
    ends = {sensor.name: sensor.start() for sensor in sensors}
    try:
        yield result
    finally:
        found = {name: end() for name, end in ends.items()}
        result.joules.update({name: joules for name, joules in found.items() if joules is not None})


def find_sensors(root: Path = Path("/sys")) -> tuple[list[EnergySensor], list[str]]:
    """The energy sensors of this machine, and why the other kinds cannot be read."""
    found: list[EnergySensor] = []
    reasons: list[str] = []
    for kind, look in (("RAPL", _rapl), ("INA3221", _ina3221)):
        sensors, reason = look(root)
        found += sensors
        reasons += [f"{kind}: {reason}"] if reason else []
    sensors, reason = _nvml()
    return found + sensors, reasons + ([f"NVML: {reason}"] if reason else [])


def _rapl(root: Path) -> tuple[list[EnergySensor], str | None]:
    """Packages of Intel and AMD processors; their counters are root's alone since 2020 (CVE-2020-8694)."""
    packages = sorted((root / "class" / "powercap").glob("intel-rapl:[0-9]*"))
    packages = [one for one in packages if one.name.count(":") == 1]
    if not packages:
        return [], "this machine shows no counters"
    found = []
    for package in packages:
        try:
            name = (package / "name").read_text().strip()
            most = int((package / "max_energy_range_uj").read_text())
            int((package / "energy_uj").read_text())
        except PermissionError:
            return [], f"{package}/energy_uj may be read by root alone"
        except (OSError, ValueError):
            continue
        found.append(EnergySensor(f"RAPL {name}", _counter(package / "energy_uj", most)))
    return found, None if found else "its counters cannot be read"


def _counter(file: Path, most_uj: int) -> Callable[[], Callable[[], float]]:
    def start() -> Callable[[], float]:
        before = int(file.read_text())
        # the counter starts over at its range, once an hour or so
        return lambda: ((int(file.read_text()) - before) % (most_uj + 1)) / 1e6

    return start


def _ina3221(root: Path) -> tuple[list[EnergySensor], str | None]:
    """The board's input on a Jetson: volts (mV) and amperes (mA) of channel VDD_IN, or of all channels."""
    channels: dict[str, tuple[Path, Path]] = {}
    for label in sorted((root / "bus" / "i2c" / "drivers" / "ina3221").glob("*/hwmon/hwmon*/in*_label")):
        number = label.name.removeprefix("in").removesuffix("_label")
        volts, amperes = label.with_name(f"in{number}_input"), label.with_name(f"curr{number}_input")
        if volts.exists() and amperes.exists():
            channels[label.read_text().strip()] = (volts, amperes)
    if not channels:
        return [], "no such chip"
    chosen = {"VDD_IN": channels["VDD_IN"]} if "VDD_IN" in channels else channels
    return [EnergySensor(f"INA3221 {name}", _power(*files)) for name, files in chosen.items()], None


def _power(volts: Path, amperes: Path) -> Callable[[], Callable[[], float | None]]:
    """Power read twenty times a second on a thread, and added up."""

    def start() -> Callable[[], float | None]:
        joules: list[float | None] = [0.0]
        stop = threading.Event()

        def read() -> None:
            last = time.perf_counter()
            while True:
                ended = stop.wait(_POWER_EVERY_S)
                try:
                    watts = int(volts.read_text()) * int(amperes.read_text()) / 1e6
                except (OSError, ValueError):
                    joules[0] = None  # half a measurement is none
                    return
                now = time.perf_counter()
                joules[0] = (joules[0] or 0.0) + watts * (now - last)
                last = now
                if ended:
                    return

        thread = threading.Thread(target=read, daemon=True)
        thread.start()

        def end() -> float | None:
            stop.set()
            thread.join()
            return joules[0]

        return end

    return start


def _nvml() -> tuple[list[EnergySensor], str | None]:
    """Every NVIDIA GPU that counts its energy (Volta and newer), through NVIDIA's own bindings."""
    if not available("pynvml"):
        return [], "the package nvidia-ml-py is not installed"
    nvml = require("pynvml")
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(at) for at in range(nvml.nvmlDeviceGetCount())]
        for handle in handles:
            nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError as error:
        return [], str(error)

    def sensor(number: int, handle: object) -> EnergySensor:
        def start() -> Callable[[], float]:
            before = nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            return lambda: float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle) - before) / 1000

        return EnergySensor(f"NVML GPU {number}", start)

    return [sensor(number, handle) for number, handle in enumerate(handles)], None


def resident_mb(which: str = "VmRSS") -> float | None:
    """Memory of this process now (VmRSS), or its peak (VmHWM), in 10^6 bytes; None where /proc is not."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{which}:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return None


def reset_peak() -> None:
    """Let VmHWM start over from now; where the kernel does not allow it the peak is that of the process."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def device_memory_mb() -> float | None:
    """GPU memory (10^6 bytes) that NVML ascribes to this process; None without NVML or where it hides it."""
    if not available("pynvml"):
        return None
    nvml = require("pynvml")
    try:
        nvml.nvmlInit()
        used = [
            process.usedGpuMemory
            for at in range(nvml.nvmlDeviceGetCount())
            for process in nvml.nvmlDeviceGetComputeRunningProcesses(nvml.nvmlDeviceGetHandleByIndex(at))
            if process.pid == os.getpid() and process.usedGpuMemory
        ]
    except nvml.NVMLError:
        return None
    return sum(used) / 1e6 if used else None
