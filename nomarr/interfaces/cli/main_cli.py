"""The command line: its commands, its global options, and how it ends."""

from __future__ import annotations

import io
import os
import sys
from enum import StrEnum
from typing import Annotated, NoReturn

import typer
from typer.main import get_command

from nomarr.interfaces.cli.db_cli import db_app
from nomarr.interfaces.cli.doctor_cli import doctor_command
from nomarr.interfaces.cli.duplicates_cli import duplicates_command
from nomarr.interfaces.cli.enrich_cli import enrich_command
from nomarr.interfaces.cli.errors_cli import exit_code_of, tell_error, tell_usage_error
from nomarr.interfaces.cli.events_cli import events_command
from nomarr.interfaces.cli.exit_codes_cli import ExitCode
from nomarr.interfaces.cli.files_cli import files_command
from nomarr.interfaces.cli.help_cli import HelpfulCommand, show_help_without_command
from nomarr.interfaces.cli.library_cli import library_app
from nomarr.interfaces.cli.logging_cli import set_logging
from nomarr.interfaces.cli.moves_cli import moves_app
from nomarr.interfaces.cli.purge_cli import purge_command
from nomarr.interfaces.cli.questions_cli import explain_command, playlists_command, scans_command, verify_command
from nomarr.interfaces.cli.run_cli import GlobalOptions
from nomarr.interfaces.cli.scan_cli import scan_command
from nomarr.interfaces.cli.serve_cli import serve_command
from nomarr.interfaces.cli.signals_cli import leave, leave_on_signals
from nomarr.interfaces.cli.token_cli import token_app
from nomarr.interfaces.cli.watch_cli import watch_command

__all__ = ["app", "run"]

app = typer.Typer(
    name="nomarr",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nomarr {version('nomarr')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def global_options(
    context: typer.Context,
    db: Annotated[
        str | None,
        typer.Option(
            "--db",
            metavar="URL",
            help="The database, as sqlite:///path/to/file.db or arangodb://user:password@host:8529/name. Without it: "
            "the variable NOMARR_DATABASE_URL, then the configuration file, then a file in your data folder.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="The configuration file. Without it: the variable NOMARR_CONFIG, then ~/.config/nomarr/config.yaml.",
            show_default=False,
        ),
    ] = None,
    log_level: Annotated[
        LogLevel | None,
        typer.Option(
            "--log-level",
            metavar="LEVEL",
            help="How much is told on the terminal: debug, info, warning or error.",
            show_default=False,
        ),
    ] = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(
            "--log-format",
            metavar="FORMAT",
            help="How log lines look: text for people, or json, one object a line for programs.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version.", show_default=False
        ),
    ] = False,
) -> None:
    """Nomarr keeps a database of your music true to the disk.

    Point it at a folder with music, and again whenever something changed:

    nomarr scan ~/Music

    The options below stand before the command. 'nomarr COMMAND --help' explains a command.
    """
    if log_level is not None:
        set_logging(log_level, log_format or LogFormat.TEXT)
    context.obj = GlobalOptions(db, config, log_level, log_format)
    show_help_without_command(context)


app.add_typer(library_app, name="library")
app.command("scan", cls=HelpfulCommand)(scan_command)
app.command("watch", cls=HelpfulCommand)(watch_command)
app.command("enrich", cls=HelpfulCommand)(enrich_command)
app.command("duplicates", cls=HelpfulCommand)(duplicates_command)
app.command("files", cls=HelpfulCommand)(files_command)
app.command("verify", cls=HelpfulCommand)(verify_command)
app.command("explain", cls=HelpfulCommand)(explain_command)
app.command("events", cls=HelpfulCommand)(events_command)
app.add_typer(moves_app, name="moves")
app.command("purge", cls=HelpfulCommand)(purge_command)
app.command("scans", cls=HelpfulCommand)(scans_command)
app.command("playlists", cls=HelpfulCommand)(playlists_command)
app.command("serve", cls=HelpfulCommand)(serve_command)
app.add_typer(token_app, name="token")
app.command("doctor", cls=HelpfulCommand)(doctor_command)
app.add_typer(db_app, name="db")


def run() -> NoReturn:
    """Run the command line of this process, and end it."""
    leave_on_signals()
    _make_streams_robust()
    code = _run()
    if code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        leave(code)
    sys.exit(code)


def _make_streams_robust() -> None:
    # Whoever starts a program with closed streams does not want to hear of it; Python has None for them.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    # A terminal that can't show a character gets its number instead of an error.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run() -> int:
    try:
        code = get_command(app).main(prog_name="nomarr", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        tell_usage_error(error)
        return ExitCode.USAGE
    except typer.Abort:
        # Ctrl-D or "no" to a question.
        typer.echo("nothing was done", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _without_reader()
    except Exception as error:
        if _is_broken_pipe(error):
            return _without_reader()
        tell_error(error)
        return exit_code_of(error)
    return code if isinstance(code, int) else ExitCode.DONE


def _is_broken_pipe(error: BaseException) -> bool:
    """True if whoever reads our output has seen enough, also where a task group wraps the news."""
    if isinstance(error, BaseExceptionGroup):
        return any(_is_broken_pipe(part) for part in error.exceptions)
    return isinstance(error, BrokenPipeError)


def _without_reader() -> int:
    # Python flushes stdout once more at the end, which would fail again, and loudly.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.DONE
