"""Latency measured, summarised and written down: scenarios, statistics, result files."""
