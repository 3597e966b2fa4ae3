"""Variables with a misspelt name, which would do nothing and say nothing."""

from __future__ import annotations

import subprocess

import pytest
from command_line import CommandLine

KNOWN = {
    "NOMARR_SCAN_BATCH_SIZE": "100",
    "nomarr_lease_seconds": "9",
    "NOMARR_DATA_FOLDER": "",
    "NOMARR_CONFIG": "",
    "NOMARR_COPY_FROM": "sqlite:///a.db",
    "NOMARR_COPY_TO": "sqlite:///b.db",
    "NOMARR_SERVE_HOST": "127.0.0.1",
    "NOMARR_SERVE_PORT": "8337",
    "NOMARR_SERVE_REQUIRE_TOKEN": "true",
}
OF_OTHERS = {
    "NOMARR_TEST_ARANGO_URL": "arangodb://root@localhost:8529/test",
    "NOMARR_CHAOS_SEED": "1",
    # What Kubernetes tells of services called nomarr and nomarr-web.
    "NOMARR_SERVICE_HOST": "10.0.0.1",
    "NOMARR_SERVICE_PORT_HTTP": "8337",
    "NOMARR_PORT": "tcp://10.0.0.1:8337",
    "NOMARR_PORT_8337_TCP_ADDR": "10.0.0.1",
    "NOMARR_WEB_PORT": "tcp://10.0.0.2:80",
    "_NOMARR": "1",
    "NOMARRS": "1",
}


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("NOMARR_SCAN_BATCHSIZE", "NOMARR_SCAN_BATCH_SIZE"),
        ("NOMARR_DB_URL", "NOMARR_DATABASE_URL"),
        ("NOMARR_HOST", "NOMARR_SERVE_HOST"),
        ("NOMARR_PORT", "NOMARR_SERVE_PORT"),
        ("NOMARR_CONFIG_", "NOMARR_CONFIG"),
        ("nomarr_tag_worker", "NOMARR_TAG_WORKERS"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest_known_one(cli: CommandLine, variable: str, nearest: str) -> None:
    cli.settings[variable] = "1"
    finished = cli("library", "list", "--json")
    (line,) = finished.err.splitlines()
    assert (finished.code, finished.json) == (0, [])
    assert f"{variable} is not known and does nothing" in line
    assert f"the nearest known name is {nearest}" in line


def test_nothing_is_said_of_what_is_known_or_belongs_to_others(cli: CommandLine) -> None:
    cli.settings |= KNOWN | OF_OTHERS
    finished = cli("library", "list", "--json")
    assert (finished.code, finished.err) == (0, "")


def test_completion_says_nothing(cli: CommandLine) -> None:
    asked = {"_NOMARR_COMPLETE": "complete_bash", "COMP_WORDS": "nomarr scan ", "COMP_CWORD": "2"}
    finished = subprocess.run(
        cli.command()[:3], env=cli.environment | asked | {"NOMARR_SCAN_BATCHSIZE": "1"}, capture_output=True
    )
    assert finished.stderr == b""


def test_what_is_no_text_does_no_harm(cli: CommandLine) -> None:
    cli.settings["NOMARR_\udcff\x1b"] = "1"
    finished = cli("library", "list", "--json")
    assert (finished.code, "\\x1b is not known" in finished.err) == (0, True)
