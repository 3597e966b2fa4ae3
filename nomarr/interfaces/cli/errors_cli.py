"""Errors for people: one line on stderr that says what to do, and the exit code that goes with it.

`problems_if` has the HTTP statuses of the same errors.
"""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
import traceback
from typing import Final

import typer

from nomarr.helpers.exceptions import (
    ConfigurationError,
    CopyDiffers,
    CopyTargetNotEmpty,
    CoverFolderUnusable,
    DatabaseError,
    DatabaseInUse,
    EnrichmentBusy,
    FileNotKnown,
    FingerprintLibraryMissing,
    InvalidPath,
    InvalidTokenName,
    LeaseLost,
    LibraryAlreadyExists,
    LibraryAlreadyScanning,
    LibraryNotFound,
    LibraryOffline,
    MoveCannotBeUndone,
    MoveNotFound,
    NomarrError,
    ScanCancelled,
    TaskAlreadyRunning,
    TokenNotFound,
    TooManyTokens,
)
from nomarr.helpers.paths_helper import strip_control
from nomarr.helpers.secrets_helper import without_secrets
from nomarr.interfaces.cli.exit_codes_cli import ExitCode

__all__ = ["WrongUsage", "exit_code_of", "say", "tell_error", "tell_usage_error", "warn"]


class WrongUsage(NomarrError):
    """The command was written in a way that makes no sense; `str()` says what to write."""


_EXIT_CODES: Final[tuple[tuple[type[NomarrError], ExitCode], ...]] = (
    (WrongUsage, ExitCode.USAGE),
    (ConfigurationError, ExitCode.USAGE),
    (InvalidPath, ExitCode.USAGE),
    (InvalidTokenName, ExitCode.USAGE),
    (TokenNotFound, ExitCode.USAGE),
    (TooManyTokens, ExitCode.USAGE),
    (LibraryNotFound, ExitCode.USAGE),
    (FileNotKnown, ExitCode.USAGE),
    (LibraryAlreadyExists, ExitCode.USAGE),
    (MoveNotFound, ExitCode.USAGE),
    (MoveCannotBeUndone, ExitCode.USAGE),
    (CopyTargetNotEmpty, ExitCode.USAGE),
    (CopyDiffers, ExitCode.DIFFERENT),
    (LibraryOffline, ExitCode.UNREACHABLE),
    (DatabaseError, ExitCode.UNREACHABLE),
    (CoverFolderUnusable, ExitCode.UNREACHABLE),
    (FingerprintLibraryMissing, ExitCode.UNREACHABLE),
    (LibraryAlreadyScanning, ExitCode.BUSY),
    (LeaseLost, ExitCode.BUSY),
    (EnrichmentBusy, ExitCode.BUSY),
    (DatabaseInUse, ExitCode.BUSY),
    (TaskAlreadyRunning, ExitCode.BUSY),
    (ScanCancelled, ExitCode.INTERRUPTED),
)
_GLOBAL_OPTIONS: Final = ("--db", "--config", "--log-level", "--log-format", "--version")


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code for an error that ended a command."""
    error = _single(error)
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), ExitCode.UNEXPECTED)


def tell_error(error: BaseException) -> None:
    """Print one line about `error`; with `--log-level debug` the traceback before it."""
    error = _single(error)
    if logging.getLogger("nomarr").isEnabledFor(logging.DEBUG):
        sys.stderr.write(without_secrets("".join(traceback.format_exception(error))))
    if isinstance(error, NomarrError):
        _print_error(str(error))
    else:
        _print_error(
            f"unexpected error: {type(error).__name__}: {error}; "
            "please run again with --log-level debug and report what it prints"
        )


def tell_usage_error(error: typer.TyperException) -> None:
    """Print one line about a command that was written wrongly."""
    context = getattr(error, "ctx", None)
    command = "nomarr" if context is None else context.command_path
    message = " ".join(_without_idle_variable(error, context).split()).rstrip(".")
    misplaced = getattr(error, "option_name", None)
    if context is not None and context.parent is not None and misplaced in _GLOBAL_OPTIONS:
        rest = context.command_path.partition(" ")[2]
        _print_error(f"{misplaced} goes before the command: nomarr {misplaced} … {rest} …")
    else:
        end = "" if message.endswith("?") else ";"
        _print_error(f"{message[:1].lower()}{message[1:]}{end} '{command} --help' shows how it is used")


def _without_idle_variable(error: typer.TyperException, context: typer.Context | None) -> str:
    """The message; it names the variable of an option only if that is where the value stands."""
    message = error.format_message()
    parameter = getattr(error, "param", None)
    if context is None or parameter is None or parameter.name is None:
        return message
    source = context.get_parameter_source(parameter.name)
    if source is None or source.name == "ENVIRONMENT":
        return message
    return message.replace(f" (env var: '{parameter.envvar}')", "")


def warn(text: str) -> None:
    """Print a warning for people."""
    # Whatever stands at sys.stderr: while a progress bar is drawn, it is an object that prints above the bar.
    typer.secho(_presentable(text), fg=typer.colors.YELLOW, file=sys.stderr)


def say(text: str) -> None:
    """Print a message for people; it is not the command's answer, so it goes to stderr."""
    typer.echo(_presentable(text), file=sys.stderr)


def _print_error(text: str) -> None:
    sys.stdout.flush()
    label = typer.style("error:", fg=typer.colors.RED, bold=True)
    typer.echo(_presentable(f"error: {text}").replace("error:", label, 1), file=sys.stderr)


def _presentable(text: str) -> str:
    """`text` as a person's terminal may show it."""
    return _wrapped(without_secrets(strip_control(text)))


def _wrapped(line: str) -> str:
    """`line` broken between words for a terminal; one line for everything else."""
    if not sys.stderr.isatty():
        return line
    indent = line[: len(line) - len(line.lstrip())]
    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, subsequent_indent=indent + "  ", break_long_words=False, break_on_hyphens=False)


def _single(error: BaseException) -> BaseException:
    """The error itself where a task group has wrapped it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
