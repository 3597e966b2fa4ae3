"""`nomarr token` as a process: making, listing and revoking."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest
from command_line import CommandLine

USAGE, INTERRUPTED = 2, 130
TOKEN = {"token_id", "name", "scope", "created_at", "expires_at"}


def names(cli: CommandLine) -> list[str]:
    return [token["name"] for token in cli("token", "list", "--json").json]


def test_a_token_is_made_listed_and_revoked(cli: CommandLine) -> None:
    assert cli("token", "list", "--json").json == []
    assert "nomarr token create" in cli("token", "list").error
    made = cli("token", "create", "--name", "kitchen tablet", "--days", "2", "--json").json
    assert made.keys() == TOKEN | {"token"}
    cli("token", "create", "--scope", "admin")
    listed = {token["name"]: token for token in cli("token", "list", "--json").json}
    assert listed["kitchen tablet"] == {name: made[name] for name in TOKEN}
    assert listed["unnamed"]["scope"] == "admin"
    shown = cli("token", "list").out
    assert "kitchen tablet" in shown
    assert made["token_id"] in shown
    assert made["token"] not in shown
    assert cli("token", "revoke", made["token_id"]).error == "this token is worthless now"
    assert names(cli) == ["unnamed"]
    again = cli("token", "revoke", made["token_id"])
    assert (again.code, "nomarr token list" in again.error) == (USAGE, True)


def test_a_script_gets_the_token_and_nothing_else(cli: CommandLine) -> None:
    finished = cli("token", "create")
    assert (finished.err, finished.out.count("."), finished.out.count("\n")) == ("", 2, 1)


@pytest.mark.parametrize("arguments", [(), ("--all",)])
def test_a_script_that_revokes_all_is_not_asked(cli: CommandLine, arguments: tuple[str, ...]) -> None:
    cli("token", "create", "--name", "one")
    cli("token", "create", "--name", "two")
    finished = cli("token", "revoke", *arguments)
    assert (finished.code, "every token until now is worthless" in finished.error) == (0, True)
    assert names(cli) == []


def test_an_id_and_all_contradict_each_other(cli: CommandLine) -> None:
    cli("token", "create")
    finished = cli("token", "revoke", "0123456789abcdef", "--all")
    assert (finished.code, "contradict" in finished.error) == (USAGE, True)
    assert names(cli) == ["unnamed"]


@pytest.mark.parametrize(
    ("arguments", "answer", "code", "left"),
    [((), b"n\n", INTERRUPTED, ["one"]), ((), b"y\n", 0, []), (("--all",), b"", 0, [])],
)
def test_whoever_forgets_the_id_on_a_terminal_is_asked(
    cli: CommandLine, arguments: tuple[str, ...], answer: bytes, code: int, left: list[str]
) -> None:
    cli("token", "create", "--name", "one")
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        command = cli.command("token", "revoke", *arguments)
        done = subprocess.run(
            command, env=cli.environment, cwd=cli.folder, stdin=theirs, capture_output=True, check=False, timeout=30
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, b"Make every token" in done.stderr) == (code, arguments == ())
    assert names(cli) == left


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[31mred", "x" * 101, os.fsdecode(b"\xff")])
def test_what_is_no_name_is_refused_in_one_line(cli: CommandLine, name: str) -> None:
    finished = cli("token", "create", "--name", name)
    assert (finished.code, "1 to 100 characters" in finished.error) == (USAGE, True)
    assert names(cli) == []
