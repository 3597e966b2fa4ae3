"""Log lines of a process, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from command_line import CommandLine
from support.music import tone


def test_log_lines_are_objects_for_programs(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    done = cli("--log-level", "info", "--log-format", "json", "scan", music_tree({"a.wav": tone(200)}), "--json")
    lines = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    assert lines
    for line in lines:
        assert set(line) == {"time", "level", "logger", "message"}
    assert {line["level"] for line in lines} == {"info"}


def test_the_format_may_stand_in_the_configuration(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    config = cli.folder / "nomarr.yaml"
    config.write_text("log_format: json\nlog_level: info\n")
    done = cli("--config", config, "scan", music_tree({"a.wav": tone(200)}))
    assert any(line.startswith('{"time": "') for line in done.err.splitlines())


def test_people_get_text(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    done = cli("--log-level", "info", "scan", music_tree({"a.wav": tone(200)}))
    assert " INFO nomarr." in done.err
    assert '{"time"' not in done.err
