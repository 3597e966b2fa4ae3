"""Environment variables that look like Nomarr's own and do nothing: most probably they are misspelt."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Final

import typer

from nomarr.interfaces.cli.errors_cli import warn

__all__ = ["warn_of_unknown_variables"]

_OURS: Final = "NOMARR_"
_OF_OTHERS: Final = re.compile(
    "NOMARR_(TEST_|CHAOS_|([A-Z0-9_]+_)?(SERVICE_(HOST|PORT)|PORT_[0-9]+_[A-Z]+|PORT=[a-z]+://))"
)
"""As name=value: what only the tests read, and what Kubernetes tells of services that are called nomarr or nomarr-web
(https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables)."""


def warn_of_unknown_variables(context: typer.Context) -> None:
    """Say which variables do nothing, each with the known name that is nearest."""
    ours = [name for name in os.environ if name.upper().startswith(_OURS)]
    if not ours:
        return
    known = {*_setting_variables(), *_option_variables(context.find_root().command)}
    for name in ours:
        if name.upper() not in known and not _OF_OTHERS.match(f"{name}={os.environ[name]}"):
            warn(
                f"the variable {name} is not known and does nothing; the nearest known name is {_nearest(name, known)}"
            )


def _setting_variables() -> Iterator[str]:
    from nomarr.config import Config

    yield _OURS + "CONFIG"
    for name in Config.model_fields:
        yield _OURS + name.upper()


def _option_variables(command: Any) -> Iterator[str]:
    """Those of the options and arguments of a command, and of all commands below it."""
    for parameter in command.params:
        if parameter.envvar is not None:
            yield parameter.envvar
    for child in getattr(command, "commands", {}).values():
        yield from _option_variables(child)


def _nearest(name: str, known: set[str]) -> str:
    # Imported here: hardly anybody needs it.
    from difflib import get_close_matches

    (nearest,) = get_close_matches(name.upper(), sorted(known), n=1, cutoff=0)
    return nearest
