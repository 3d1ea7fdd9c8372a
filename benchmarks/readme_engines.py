"""Sections of the README on exports and engines."""

from typing import Any

from maskclr_edge.bench.markdown import markdown_table


def full_size(results: dict[str, Any]) -> str:
    """Export of the published size of network, step by step."""
    rows = [
        [
            row["step"], f"{row['seconds']:.1f}", f"{row['cpu_seconds']:.1f}", f"{row['peak_memory_mb']:.0f}",
            f"{row['bytes'] / 1e6:.1f}" if row["bytes"] else "",
        ]
        for row in results["steps"]
    ]  # fmt: skip
    lines = [
        f"- {precision}: max |Δ logit| {parity['max_abs_error']:.2g}, at a largest |logit| of "
        f"{parity['max_abs_logit']:.3g}"
        for precision, parity in results["parity"].items()
    ]
    table = markdown_table(["step", "s", "processor s", "peak memory MB", "written MB"], rows, "lrrrr")
    return f"{results['parameters'] / 1e6:.1f} M parameters.\n\n{table}\n\n" + "\n".join(lines)


def engine_build(results: dict[str, Any]) -> str:
    """Builds of the published size of network with no GPU, and what a second one gains from timings kept."""
    rows = [
        [
            row["precision"], ", ".join(f"SM{sm}" for sm in row["sm"]), f"{row['median_s']:.1f}",
            f"{row['best_s']:.1f}", f"{row['cpu_s']:.1f}", f"{row['bytes'] / 1e6:.1f}",
            f"{row['second']['cache_bytes']}", f"{row['second']['median_s']:.1f}",
            f"{row['second']['times_faster']:.2f}",
        ]
        for row in results["rows"]
    ]  # fmt: skip
    headers = [
        "precision",
        "for",
        "median s",
        "best s",
        "processor s",
        "engine MB",
        "timings kept, bytes",
        "second s",
        "times faster",
    ]
    return markdown_table(headers, rows, "llrrrrrrr")


def build_matrix(results: dict[str, Any]) -> str:
    """What every target gets on the machine that built it."""
    rows = []
    for row in results["rows"]:
        engines = row.get("engines", {})
        made = f"{sum(engines.values()) / 1e6:.1f}" if engines else row["state"]
        seconds = f"{row['seconds']:.1f}" if "seconds" in row else ""
        for_sm = ", ".join(f"SM{sm}" for sm in row["sm"])
        error = f"{row['parity']['max_abs_error']:.1e}"
        rows.append([row["target"], row["precision"], row["engine"], for_sm, made, seconds, error])
    headers = ["target", "precision", "engine", "for", "engines, MB", "s", "largest error of the ONNX"]
    return markdown_table(headers, rows, "llllrrr")


def trt_overhead(results: dict[str, Any]) -> str:
    """What the TensorRT runner costs a call in Python, and what is left over."""
    rows = [
        [
            row["release"], row["layer"], "yes" if row["cuda_graphs"] else "no", str(row["persons"]),
            f"{row['p10_us']:.0f}", f"{row['p50_us']:.0f}", str(row["allocated_or_made"]),
        ]
        for row in results["steady"]
    ]  # fmt: skip
    headers = ["TensorRT", "CUDA through", "graphs", "persons", "p10 µs", "p50 µs", "allocated in all calls"]
    table = markdown_table(headers, rows, "lllrrrr")
    calls = sum(entry["calls"] for entry in results["leaks"])
    taken = sum(
        entry["after_all"]["allocations"] - entry["after_100"]["allocations"] for entry in results["leaks"]
    )
    left = sum(
        max(0, entry["closed"][name] - entry["opened"].get(name, 0))
        for entry in results["leaks"]
        for name in entry["closed"]
        if name != "allocations"
    )
    return (
        f"{table}\n\nOver {calls} calls with changing shapes: "
        f"{taken} allocations after each runner's first 100 calls, {left} objects left once it was closed."
    )
