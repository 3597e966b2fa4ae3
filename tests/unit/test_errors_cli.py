"""What is told of an error on stderr."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from nomarr.helpers.exceptions import DatabaseError
from nomarr.interfaces.cli.errors_cli import say, tell_error, warn

TEXT = "arangodb://root:hunter2@host:8529/nomarr does not answer"
SHOWN = "arangodb://***@host:8529/nomarr does not answer"


@pytest.mark.parametrize(
    "tell",
    [say, warn, lambda text: tell_error(DatabaseError(text)), lambda text: tell_error(ValueError(text))],
    ids=["said", "warned", "known", "unexpected"],
)
def test_no_password_is_told(tell: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    tell(TEXT)
    told = capsys.readouterr().err
    assert SHOWN in told
    assert "hunter2" not in told


def test_no_password_is_in_a_traceback(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "nomarr")
    tell_error(DatabaseError(TEXT))
    told = capsys.readouterr().err
    assert told.count(SHOWN) == 2
    assert "hunter2" not in told
