"""Whole processes measured from outside: wall time, peak memory, what they printed."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maskclr_edge.errors import MaskclrEdgeError


@dataclass(frozen=True)
class ProcessRun:
    """One finished process: seconds on the clock and of processors, peak memory (MB, 10^6 bytes), output."""

    seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    output: str


def run_process(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> ProcessRun:
    """Run a command to its end. MaskclrEdgeError quotes the end of its standard error when it fails.

    POSIX only: peak memory comes from wait4, and Linux counts into it what this process held when it started
    the child. It is right where the measuring process is the smaller one.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        try:
            process = subprocess.Popen(
                list(argv),
                stdout=output,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise MaskclrEdgeError(f"cannot start {argv[0]}: {error.strerror or error}") from error
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise MaskclrEdgeError(f"a measured command ended with {process.returncode}: {last[0]}")
        # kilobytes on Linux, bytes on macOS
        peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return ProcessRun(
            seconds, usage.ru_utime + usage.ru_stime, peak_bytes / 1e6, output.read().decode(errors="replace")
        )


def run_python(
    code: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> tuple[ProcessRun, Any]:
    """Run Python code in a fresh interpreter; its last line of output must be JSON and is returned parsed."""
    run = run_process([sys.executable, "-c", code, *arguments], environment)
    lines = run.output.strip().splitlines() or [""]
    try:
        return run, json.loads(lines[-1])
    except ValueError as error:
        raise MaskclrEdgeError(
            f"a measured program should print JSON last; it printed {lines[-1][:80]!r}"
        ) from error
