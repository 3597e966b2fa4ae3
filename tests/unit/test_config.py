"""Settings: where they come from, which one wins, and what is said of wrong ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from nomarr.config import Config, load_config
from nomarr.helpers.exceptions import ConfigurationError

YES_OR_NO = "true and false (in YAML also yes, no, on and off) mean nothing here"
SHIPPED = Path(__file__).parents[2] / "config" / "config.yaml"


def test_the_shipped_file_names_every_setting_with_its_default() -> None:
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    assert list(shipped) == list(Config.model_fields)
    defaults = {name: field.default for name, field in Config.model_fields.items() if name != "database_url"}
    assert {name: value for name, value in shipped.items() if name != "database_url"} == defaults
    assert shipped["database_url"] is None


@pytest.mark.parametrize("name", Config.model_fields)
def test_the_shipped_file_explains_a_setting_as_the_schema_does(name: str) -> None:
    blocks = SHIPPED.read_text(encoding="utf-8").split("\n\n")
    (comments,) = [block.splitlines()[:-1] for block in blocks if f"\n{name}:" in block]
    said = " ".join(line.removeprefix("# ") for line in comments)
    assert said == " ".join((Config.model_fields[name].description or "").split())


def test_the_shipped_file_can_be_used_as_it_is() -> None:
    assert load_config(SHIPPED) == load_config()


def test_arguments_win_over_variables_and_variables_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("scan_batch_size: 100\ntag_workers: 3\nlease_seconds: 9\n", encoding="utf-8")
    monkeypatch.setenv("NOMARR_TAG_WORKERS", "4")
    monkeypatch.setenv("NOMARR_LEASE_SECONDS", "8")
    config = load_config(file, lease_seconds=7.0, database_url=None)
    assert (config.scan_batch_size, config.tag_workers, config.lease_seconds) == (100, 4, 7.0)


def test_a_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("scan_batch_size: 77\n", encoding="utf-8")
    monkeypatch.setenv("NOMARR_CONFIG", str(file))
    assert load_config().scan_batch_size == 77


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scan_batch_sise: 100", "'scan_batch_sise' is not a setting"),
        ("scan_batch_size: 5", "'scan_batch_size': input should be greater than or equal to 50"),
        ("scan_batch_size: many", "'scan_batch_size': input should be a valid integer"),
        ("resume_policy: maybe", "'resume_policy'"),
        ("purge_missing_after_days: -1", "'purge_missing_after_days': input should be greater than or equal to 0"),
        ("purge_missing_after_days: no", f"'purge_missing_after_days': {YES_OR_NO}"),
        ("parallel_libraries: true", f"'parallel_libraries': {YES_OR_NO}"),
        ("watcher_max_wait_seconds: off", f"'watcher_max_wait_seconds': {YES_OR_NO}"),
        ("purge_missing_after_days: sometimes", "'purge_missing_after_days': input should be 'never'"),
        ("root_marker: a/b", "'root_marker'"),
        ("enable_file_watching: sometimes", "'enable_file_watching'"),
        ("watcher_debounce_seconds: 61", "'watcher_debounce_seconds': input should be less than or equal to 60"),
        ("watcher_debounce_seconds: -1", "'watcher_debounce_seconds'"),
        ("watcher_max_wait_seconds: 0", "'watcher_max_wait_seconds'"),
        ("watcher_poll_seconds: 0.5", "'watcher_poll_seconds'"),
        ("watcher_poll_seconds: .inf", "'watcher_poll_seconds': input should be a finite number"),
        ("watcher_reconcile_seconds: 59", "'watcher_reconcile_seconds': input should be greater than or equal to 60"),
        ("- a list", "lines of the form"),
        ("scan_batch_size: [", "not valid YAML in line"),
        ("text: \x01", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        load_config(file)
    assert said in str(error.value)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("name", [name for name in Config.model_fields if name.endswith("_seconds")])
def test_no_time_is_longer_than_a_moment_can_be_told(name: str) -> None:
    with pytest.raises(ConfigurationError, match="less than or equal to"):
        load_config(**{name: 1e300})


def test_a_file_that_is_not_there_is_an_error_only_if_it_was_named(tmp_path: Path) -> None:
    load_config()
    with pytest.raises(ConfigurationError, match="no such file"):
        load_config(tmp_path / "none.yaml")


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="can't be read"):
        load_config(file)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMARR_LEASE_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match="NOMARR_LEASE_SECONDS"):
        load_config()


@pytest.mark.parametrize("name", Config.model_fields)
@pytest.mark.parametrize("text", ["nonsense", "[", "{}", "~nobody-here/there", os.fsdecode(b"\xff")])
def test_whatever_a_variable_holds_is_used_or_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    variable = f"NOMARR_{name.upper()}"
    monkeypatch.setenv(variable, text)
    told = f"the variable {variable}: "
    try:
        load_config()
    except ConfigurationError as error:
        told = str(error)
    assert told.startswith(f"the variable {variable}: ")


def test_a_wrong_variable_is_named_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nomarr_lease_seconds", "soon")
    with pytest.raises(ConfigurationError, match="the variable nomarr_lease_seconds: "):
        load_config()


@pytest.mark.parametrize("name", Config.model_fields)
def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"NOMARR_{name.upper()}", "")
    assert load_config() == Config()


def test_an_empty_text_in_the_file_counts_as_not_set(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("".join(f'{name}: ""\n' for name in Config.model_fields), encoding="utf-8")
    assert load_config(file) == Config()


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("/music", ["/music"]),
        ("/music:/srv/my music", ["/music", "/srv/my music"]),
        ("/music:", ["/music"]),
        ('["/music", "/with:colon"]', ["/music", "/with:colon"]),
        ("~/Music", ["/home/me/Music"]),
        ('["~/Music"]', ["/home/me/Music"]),
    ],
)
def test_folders_can_be_named_in_every_usual_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, roots: list[str]
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("NOMARR_BROWSE_ROOTS", text)
    assert load_config().browse_roots == roots
    monkeypatch.delenv("NOMARR_BROWSE_ROOTS")
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"browse_roots": text}), encoding="utf-8")
    assert load_config(file).browse_roots == roots


@pytest.mark.parametrize("name", ["ignore_patterns", "audio_patterns"])
@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("*.tmp", ["*.tmp"]),
        ("*.tmp\n\n# a comment\r\n[Dd]raft*\n", ["*.tmp", "# a comment", "[Dd]raft*"]),
        ("[Dd]raft*", ["[Dd]raft*"]),
        ("[0-9]*", ["[0-9]*"]),
        ('["*.tmp", "a\\\\ b"]', ["*.tmp", "a\\ b"]),
        (' [ "*.tmp"\n]', ["*.tmp"]),
        ("[]", []),
    ],
)
def test_patterns_can_be_written_in_every_usual_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, text: str, patterns: list[str]
) -> None:
    monkeypatch.setenv(f"NOMARR_{name.upper()}", text)
    assert getattr(load_config(), name) == patterns
    monkeypatch.delenv(f"NOMARR_{name.upper()}")
    file = tmp_path / "config.yaml"
    for written in (text, patterns):
        file.write_text(yaml.safe_dump({name: written}), encoding="utf-8")
        assert getattr(load_config(file), name) == patterns


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("ignore_patterns", "*.tmp\n[z-a]", "'[z-a]' can't be understood: the range"),
        ("ignore_patterns", "[", "'[' can't be understood: its bracket is never closed"),
        ("ignore_patterns", '["*.tmp"', "write one pattern a line, or a list in JSON"),
        ("ignore_patterns", '["*.tmp", 5]', "should be a valid string"),
        ("audio_patterns", "!*.mp3", "'!*.mp3' can't be understood: it takes files out"),
        ("audio_patterns", "Rock/*.mp3", "'Rock/*.mp3' can't be understood: it speaks of folders"),
        ("audio_patterns", "*.mp3/", "'*.mp3/' can't be understood: it speaks of folders"),
        ("audio_patterns", "[broken", "'[broken' can't be understood: its bracket is never closed"),
    ],
)
def test_a_pattern_that_can_not_be_understood_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, said: str
) -> None:
    monkeypatch.setenv(f"NOMARR_{name.upper()}", text)
    with pytest.raises(ConfigurationError) as error:
        load_config()
    assert str(error.value).startswith(f"the variable NOMARR_{name.upper()}: '{name}': ")
    assert said in str(error.value)


def test_a_home_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMARR_DATA_FOLDER", "~nobody-here/covers")
    with pytest.raises(ConfigurationError, match="NOMARR_DATA_FOLDER: 'data_folder': nobody knows the home folder"):
        load_config()


@pytest.mark.parametrize("text", ["music", '["music"]', "/music:music", '[""]', "~nobody-here/music"])
def test_folders_that_are_not_told_in_full_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NOMARR_BROWSE_ROOTS", text)
    with pytest.raises(ConfigurationError, match="' is not a whole path"):
        load_config()


@pytest.mark.parametrize("text", ['["/music"', "[/music]"])
def test_a_list_that_is_none_is_refused_with_how_to_write_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NOMARR_BROWSE_ROOTS", text)
    with pytest.raises(ConfigurationError, match="separated by colons"):
        load_config()


def test_a_wrong_argument_is_named() -> None:
    with pytest.raises(ConfigurationError, match="command line"):
        load_config(log_level="loud")


@pytest.mark.parametrize(("text", "days"), [("0", 0), ("365", 365), ("never", "never")])
def test_missing_files_are_kept_for_some_days_or_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, days: int | str
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"purge_missing_after_days: {text}\n", encoding="utf-8")
    assert load_config(file).purge_missing_after_days == days
    monkeypatch.setenv("NOMARR_PURGE_MISSING_AFTER_DAYS", text)
    assert load_config().purge_missing_after_days == days


def test_watching_can_be_set_by_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMARR_ENABLE_FILE_WATCHING", "false")
    monkeypatch.setenv("NOMARR_WATCHER_POLL_SECONDS", "60")
    config = load_config()
    assert (config.enable_file_watching, config.watcher_poll_seconds) == (False, 60.0)
    assert (config.watcher_debounce_seconds, config.watcher_max_wait_seconds) == (2.0, None)
