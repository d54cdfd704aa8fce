"""The command line `plugrad`, and `run`, which turns what a command raises into its exit status."""

import contextlib
import gc
import json
import os
import sys
import traceback
import warnings

import click

from plugrad import __version__
from plugrad.commands import LazyCommand
from plugrad.errors import LookupFailed, PlugradError
from plugrad.inspection import model_report, needed_distributions, printable
from plugrad.plugins import did_you_mean, registry

EXIT_STATUSES = """\b
Exit status:
    0  done
    1  a gate was asked for and tripped
    2  wrong use or input
    3  done, but some rows or files were rejected
    4  training diverged, last good checkpoint kept
   70  a bug: the traceback says where
  130  interrupted, state saved
  141  the reader of the output went away"""


SELDOM = 1000  # collections of middle age between two of all objects; Python's own is 10


def main(argv=None):
    """Run the command line `plugrad` and return its exit status; argv: its arguments, None for sys.argv."""
    if argv is None:  # the process is ours
        # Numba and its kernels are some half a million objects that stay; to walk over all of them again and again
        # while they are loaded took a fifth of the start.
        gc.set_threshold(*gc.get_threshold()[:2], SELDOM)
    return run(plugrad, argv)


def run(command, argv=None, prog_name="plugrad"):
    """Run a click command and return its exit status, having printed what went wrong as one line on stderr.

    command: click command or group; an int that it returns is the exit status, anything else is 0
    argv: list of arguments without the program's name; None for those of the process

    Raises nothing but SystemExit where the command does; an unexpected exception is printed as a traceback.
    """
    try:
        status = _invoke(command, sys.argv[1:] if argv is None else list(argv), prog_name)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        status = _status(error, prog_name)
        _settle_output()
    return status


class CommandGroup(click.Group):
    """A click group that answers a misspelt command with the nearest one, and none at all with its help."""

    def parse_args(self, ctx, args):
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx, args):
        name = args[0]
        if not (name.startswith("-") or ctx.resilient_parsing) and self.get_command(ctx, name) is None:
            near = did_you_mean(name, self.list_commands(ctx)) or "."
            raise click.UsageError(f"no command {name!r}{near}{self.unknown_note()}", ctx)
        return super().resolve_command(ctx, args)

    def unknown_note(self):
        """Return what else to say about an unknown command."""
        return ""


class _Plugrad(CommandGroup):
    """Core's own commands, then those of the plugins; core's never load a plugin to be found."""

    def list_commands(self, ctx):
        return [*super().list_commands(ctx), *registry().names("commands")]

    def get_command(self, ctx, name):
        if own := super().get_command(ctx, name):
            return own
        try:
            found = registry().get("commands", name)
        except LookupFailed:
            return None
        return _Deferred(name, found) if isinstance(found, LazyCommand) else found

    def get_help(self, ctx):
        for failure in registry().failures:
            say(f"plugrad: warning: {failure}")
        return super().get_help(ctx)

    def unknown_note(self):
        return registry().failure_note()


class _Deferred(click.Command):
    """Stands in the list of commands for one that is imported when its arguments are parsed."""

    def __init__(self, name, lazy):
        super().__init__(name, help=lazy.help, short_help=lazy.help)
        self.lazy = lazy

    def make_context(self, info_name, args, parent=None, **extra):
        return self.lazy.load().make_context(info_name, args, parent=parent, **extra)


def _version(ctx, _, wanted):
    if wanted:
        click.echo(f"plugrad {__version__}")
        ctx.exit()


def _strict(ctx, _, wanted):
    if wanted:
        os.environ["PLUGRAD_STRICT_PLUGINS"] = "1"  # for processes of this command as well


@click.group(cls=_Plugrad, epilog=EXIT_STATUSES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show it.")
@click.option(
    "--strict-plugins", is_flag=True, is_eager=True, expose_value=False, callback=_strict,
    help="Fail if a plugin cannot be used, instead of going on without it.",
)  # fmt: skip
def plugrad():
    """A deep-learning workbench for the CPU you already have."""


plugrad.add_command(
    _Deferred("plugins", LazyCommand("plugrad.plugin_commands:plugins_group", "What is installed beside the core."))
)


@plugrad.group("model", cls=CommandGroup)
def model_group():
    """Look into model files."""


@model_group.command("inspect")
@click.argument("file", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print one object, with nothing left out.")
def model_inspect(file, as_json):
    """Show what a model FILE holds, without loading any plugin."""
    from plugrad import model_file

    content = model_file.inspect(file)
    if isinstance(content["metadata"], dict):
        content["needs"] = needed_distributions(content["metadata"])
    print_text(json.dumps(content, indent=2) if as_json else model_report(content))


@plugrad.command("warmup")
@click.option("--float64", is_flag=True, help="Compile for float64 too; applications use float32.")
def warmup(float64):
    """Compile all kernels now, into the cache of this machine, so that nothing waits for them later.

    Without it every kernel is compiled when it is first used.
    """
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress

    from plugrad.kernel_cache import cache_folder
    from plugrad.warmup import check_writable, warm_up

    with warnings.catch_warnings(action="ignore"):  # that it cannot be written is the error of the next line
        folder = cache_folder()
    check_writable(folder)
    failed = []
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        for dtype in (np.float32, np.float64) if float64 else (np.float32,):
            task = bar.add_task("compiling")

            def show(name, done, count, task=task, kind=dtype.__name__):
                bar.update(task, description=f"{name} ({kind})", completed=done, total=count)

            failed += warm_up(show, dtype)
    for name, problem in failed:
        say(f"plugrad: warning: {name}: {problem}")
    say(f"kernels are ready in {folder}")


def _invoke(command, argv, prog_name):
    # Not command.main(): that one handles a closed pipe and an interrupt in its own way, with exit status 1.
    try:
        with command.make_context(prog_name, argv) as context:
            result = command.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return result if type(result) is int else 0


def _status(error, prog_name):
    if isinstance(error, BrokenPipeError):
        return 141
    if isinstance(error, KeyboardInterrupt | click.Abort):
        say(f"{prog_name}: interrupted")
        return 130
    if isinstance(error, PlugradError):
        say(f"{prog_name}: error: {error}")
        return error.exit_status
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        say(f"{prog_name}: error: {error.format_message()}")
        if context is not None:
            say(f"Try '{context.command_path} --help' for help.")
    elif isinstance(error, OSError):
        place = "" if error.filename is None else f"{error.filename}: "
        say(f"{prog_name}: error: {place}{(error.strerror or str(error) or type(error).__name__).lower()}")
    elif isinstance(error, MemoryError):
        say(f"{prog_name}: error: {str(error) or 'out of memory'}")
    else:
        for line in "".join(traceback.format_exception(error)).splitlines():
            say(line)
        return 70  # not Python's 1, which here means that a gate was tripped
    return 2


def _settle_output():
    """Let the interpreter's own flush at exit find nothing to do where standard output cannot be written."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line):
    """Print a line to standard error, with nothing in it that a terminal obeys."""
    with contextlib.suppress(OSError):  # whoever read standard error may be gone as well
        click.echo(printable(line), err=True)


def print_text(text):
    """Print a text to standard output, in whatever encoding that has."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding))
