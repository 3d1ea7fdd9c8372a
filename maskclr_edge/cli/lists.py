"""Options that are lists of names."""

import re

import click


def comma_names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Names with commas between them, each once; spaces may be part of one."""
    return tuple(dict.fromkeys(word.strip() for word in (value or "").split(",") if word.strip()))


def word_list(text: str) -> tuple[str, ...]:
    """Words with commas or spaces between them, each once."""
    return tuple(dict.fromkeys(word for word in re.split(r"[,\s]+", text) if word))
