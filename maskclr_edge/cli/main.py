"""The command ``maskclr-edge``: a group that imports a command only when called, and one exit for errors."""

import contextlib
import difflib
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType

import click

from maskclr_edge import __version__
from maskclr_edge.errors import MaskclrEdgeError

#: command -> what it does, in the order in which a newcomer meets them; its module has its name
COMMANDS: dict[str, str] = {
    "demo": "The whole chain on the bundled model, offline: bundle, evaluation, short bench, live replay.",
    "doctor": "What this machine has, what it can run, and what to install for the rest.",
    "train": "Train a model on an annotation file.",
    "eval": "Top-1, top-5 and mean class accuracy of a model on an annotation file.",
    "tsne": "Draw a model's features of labelled clips, standard and masked pathway, as points in a plane.",
    "convert": "Turn an upstream MaskCLR or MotionBERT checkpoint into one of ours.",
    "export": "Make a bundle from a checkpoint: ONNX, INT8, engines, each checked against the checkpoint.",
    "refit": "Give engines the weights of a new training, without a new build.",
    "inspect": "What a bundle, an ONNX file, a checkpoint or an engine holds, and for what it was made.",
    "calibrate": "Write a model's activation ranges for INT8 to a scale table that exports reuse.",
    "report": "What each precision of a bundle costs, clean and corrupted, as one HTML page.",
    "classify": "Name the action in a keypoint recording.",
    "tune": "Find out what runs a bundle fastest on this machine, and remember it.",
    "bench": "Measure latency, throughput, memory and energy of a model on this machine's runners.",
    "compare": "Compare two bench results, and fail when one got slower.",
    "live": "Label a video or a keypoint recording as it plays.",
    "record": "Record actions of your own, labelled, in a form that train takes.",
}

INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
BROKEN_PIPE = 141  # ... and by a reader that went away
TERMINATED = 143  # ... and by kill, docker stop or a service manager


class LazyGroup(click.Group):
    """A group that knows its commands by name, so that ``--help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None when there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"maskclr_edge.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a call; an unknown one is answered with the nearest name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {close[0]}?" if close else "the commands are " + ", ".join(COMMANDS)
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="maskclr-edge")
@click.option("--debug", is_flag=True, envvar="MASKCLR_EDGE_DEBUG", help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Skeleton action recognition, from training to the edge.

    \b
    Examples:
      maskclr-edge demo
      maskclr-edge doctor
      maskclr-edge export bundled --out bundle --precision fp32,int8
      maskclr-edge COMMAND --help
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    The exit code is 0, 2 for what the user gave, 1 for the rest, 130 for Ctrl-C, 143 for SIGTERM.
    """
    args = list(sys.argv[1:] if arguments is None else arguments)
    if "_MASKCLR_EDGE_COMPLETE" in os.environ:  # a shell asks for completions: click's own entry answers
        cli.main(args=args, prog_name="maskclr-edge")
    debug = "--debug" in args or bool(os.environ.get("MASKCLR_EDGE_DEBUG"))
    try:
        # Not cli.main(): it turns EOFError and KeyboardInterrupt into one thing and prints usage blocks.
        with _unwinding_on_sigterm(), cli.make_context("maskclr-edge", _debug_first(args)) as context:
            cli.invoke(context)
        sys.stdout.flush()
        return 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except _Terminated:
        click.echo("terminated", err=True)
        return TERMINATED
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        line, code = describe(error)
        with contextlib.suppress(OSError):
            click.echo(f"error: {line}", err=True)
        return code


class _Terminated(BaseException):
    """SIGTERM came."""


@contextlib.contextmanager
def _unwinding_on_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does: half-made files are removed, recordings closed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def leave(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends at once
        raise _Terminated

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def describe(error: Exception) -> tuple[str, int]:
    """One line for an error, and the exit code that goes with it."""
    if isinstance(error, MaskclrEdgeError):
        return _one_line(str(error)), error.exit_code
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "maskclr-edge"
        return f"{_one_line(error.format_message()).rstrip('.')} (usage: {path} --help)", error.exit_code
    if isinstance(error, click.ClickException):
        return _one_line(error.format_message()), error.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return _one_line(f"{error.strerror}{where}"), 1
    if isinstance(error, MemoryError):
        return _one_line(f"out of memory {error}".strip()), 1
    return _one_line(f"unexpected {type(error).__name__}: {error} (maskclr-edge --debug ... shows where)"), 1


def _debug_first(args: list[str]) -> list[str]:
    """Let ``--debug`` stand anywhere before a ``--``, though it is an option of the group."""
    head = args[: args.index("--")] if "--" in args else args
    if "--debug" not in head:
        return args
    return ["--debug", *(word for word in head if word != "--debug"), *args[len(head) :]]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _silence_stdout() -> None:
    """Point stdout at nothing: the interpreter's last flush must not complain of a reader that left."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
