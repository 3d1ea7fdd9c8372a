"""What the commands print with: tables on stdout, progress on stderr, JSON to a file or alone on stdout."""

import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from maskclr_edge.files import write_atomically

ProgressCallback = Callable[[int, int, str], None]
Command = TypeVar("Command", bound=Callable[..., Any])

#: width of tables in a pipe or a file, where there is no window to ask
PIPE_WIDTH = 120


def console(json_to: str | None = None) -> Console:
    """Console for what a command says; silent when ``json_to`` is ``-``, so that the JSON stands alone.

    Colours follow NO_COLOR and whether stdout is a terminal.
    """
    return _console(sys.stdout, quiet=json_to == "-")


def messages() -> Console:
    """Console on stderr for hints and warnings that must not end up in a pipe."""
    return _console(sys.stderr, stderr=True)


@contextmanager
def progress(description: str = "") -> Iterator[ProgressCallback]:
    """A progress bar on stderr, as the callback ``(done, total, what)`` that the library calls.

    Draws nothing when stderr is not a terminal. ``total`` may change from phase to phase; 0 means unknown.
    """
    screen = messages()
    if not screen.is_terminal:
        yield lambda done, total, what: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(description, total=None)
        last = 0

        def report(done: int, total: int, what: str) -> None:
            nonlocal last
            if done < last:  # a new phase: its pace is its own
                bar.reset(task)
            last = done
            bar.update(task, completed=done, total=total or None, description=what or description)

        yield report


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, note: str = "") -> Table:
    """A table of plain text; a column whose cells are all numbers or empty is set flush right."""
    cells = [["" if cell is None else _cell(cell) for cell in row] for row in rows]
    lead, tail = (escape(visible(text)) for text in (title, note))
    result = Table(title=lead, title_justify="left", caption=tail or None, caption_justify="left")
    for index, column in enumerate(columns):
        numeric = bool(cells) and all(_is_number(row[index]) for row in cells)
        result.add_column(escape(visible(column)), justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        result.add_row(*row)
    return result


def json_option(what: str) -> Callable[[Command], Command]:
    """The option ``--json FILE|-``; a place that cannot be written is refused before the work, not after."""
    return click.option(
        "--json",
        "json_to",
        metavar="FILE|-",
        callback=_check_destination,
        help=f"Write the {what} as JSON; - prints it alone.",
    )


def file_option(name: str, what: str) -> Callable[[Command], Command]:
    """An option that names a file to write, refused before the work where it cannot be written."""
    return click.option(name, metavar="FILE", callback=_check_file, help=f"Write {what} to a file.")


def _check_file(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value == "-":
        raise click.BadParameter("a file is expected; only --json writes to the terminal with -", ctx, param)
    return _check_destination(ctx, param, value)


def _check_destination(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None or value == "-":
        return value
    path = Path(value)
    if not value or path.is_dir():
        raise click.BadParameter(f"{value!r} is a folder; name a file in it", ctx, param)
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(path.parent)!r}; make it first", ctx, param)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise click.BadParameter(f"the folder {str(path.parent)!r} cannot be written to", ctx, param)
    return value


def file_size(size: int) -> str:
    """Bytes as a person reads them, in units of 1000."""
    return f"{size / 1e6:.2f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def write_json(destination: str, data: Any) -> None:
    """Write ``data`` as JSON to a file, whole or not at all, or to stdout when ``destination`` is ``-``.

    Dataclasses, NumPy values and paths are taken; a number that is not finite becomes null. Raises OSError.
    """
    text = json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if destination == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    write_atomically(destination, text.encode())


def plain(value: Any) -> Any:
    """``value`` as what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def visible(text: str) -> str:
    """``text`` with control characters but the line feed replaced.

    Names in files may hold codes that would recolour, retitle or rewrite a terminal.
    """
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _console(stream: TextIO, **options: bool) -> Console:
    """A console that folds its text for a terminal and leaves a line whole in a pipe or a file."""
    window = stream.isatty()
    width = None if window or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(width=width, highlight=False, soft_wrap=not window, **options)  # type: ignore[arg-type]


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else escape(visible(str(value)))


def _is_number(text: str) -> bool:
    return text.strip().rstrip("%x").replace(".", "", 1).replace("-", "", 1).isdigit() or text in {"", "-"}
