"""Configuration: a YAML file, then `NOMARR_*` variables, then arguments; loaded at the edge, passed down as values."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, LiteralString

import platformdirs
import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from nomarr.helpers.dto.scan import LONGEST_LEASE_SECONDS
from nomarr.helpers.exceptions import ConfigurationError
from nomarr.helpers.ignore_pattern_helper import problem_of, problem_of_name
from nomarr.helpers.paths_helper import escaped, strip_control

__all__ = ["Config", "changed_config", "default_config_file", "default_database_url", "load_config"]

_ENVIRONMENT_PREFIX: Final = "NOMARR_"
_LONGEST_SECONDS: Final = 31 * 86400
"""Of any time: with much longer ones no moment can be told in which it is over."""
_JSON_LIST: Final = re.compile(r'\s*\[\s*(?:"|\]\s*$)')
"""Begins a list of texts in JSON, or is an empty one."""


def default_database_url() -> str:
    """The embedded database in the user's data folder."""
    return f"sqlite:///{Path(platformdirs.user_data_dir('nomarr', appauthor=False)) / 'nomarr.db'}"


def default_config_file() -> Path:
    """Where the configuration file is looked for when none is named."""
    return Path(platformdirs.user_config_dir("nomarr", appauthor=False)) / "config.yaml"


def _expanded(path: str) -> str:
    """`path` with the home folder that a `~` at its beginning stands for."""
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise _refusal("home_unknown", "nobody knows the home folder in '{path}'", path)
    return expanded


def _whole_path(path: str) -> str:
    expanded = os.path.expanduser(path)
    if not os.path.isabs(expanded):
        raise _refusal("path_not_whole", "'{path}' is not a whole path, as '/srv/music' or '~/Music'", path)
    return expanded


def _refusal(kind: LiteralString, problem: LiteralString, path: str) -> PydanticCustomError:
    # Pydantic can't put bytes into a message that are no UTF-8.
    return PydanticCustomError(kind, problem, {"path": escaped(path)})


def _paths_in(value: Any) -> Any:
    """A text is taken for paths as in PATH, or for a list in JSON; everything else stays what it is."""
    if not isinstance(value, str):
        return value
    if not value.startswith("["):
        return [path for path in value.split(os.pathsep) if path]
    try:
        return json.loads(value)
    except ValueError:
        raise PydanticCustomError("no_paths", "write whole paths separated by colons, or a list in JSON") from None


def _lines_in(value: Any) -> Any:
    """A text is taken for one pattern a line, or for a list in JSON; everything else stays what it is."""
    if not isinstance(value, str):
        return value
    if not _JSON_LIST.match(value):
        # A bracket begins many a pattern, too.
        return [line for line in value.splitlines() if line.strip()]
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise PydanticCustomError("no_patterns", "write one pattern a line, or a list in JSON") from None


def _understood(problem_of: Callable[[str], str | None]) -> AfterValidator:
    """Refuses a pattern with the words of `problem_of`."""

    def check(pattern: str) -> str:
        if (problem := problem_of(pattern)) is not None:
            told = {"pattern": strip_control(pattern), "problem": problem}
            raise PydanticCustomError("pattern_not_understood", "'{pattern}' can't be understood: {problem}", told)
        return pattern

    return AfterValidator(check)


class Config(BaseSettings):
    """Every setting with its default. `config/config.yaml` says the same."""

    model_config = SettingsConfigDict(
        env_prefix=_ENVIRONMENT_PREFIX,
        # Who starts containers and units sets variables to nothing, to say nothing.
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    database_url: str = Field(default_factory=default_database_url)
    """Where the database is. Empty: nomarr.db in the user's data folder (on Linux ~/.local/share/nomarr)."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """How much is logged on the terminal: debug, info, warning or error."""
    log_format: Literal["text", "json"] = "text"
    """How log lines look: text for people, or json, one object a line for programs."""
    scan_batch_size: int = Field(default=200, ge=50, le=1000)
    """File rows per write transaction, 50 to 1000."""
    tag_workers: int = Field(default=0, ge=0, le=64)
    """Processes that read tags; 0 means one for each processor."""
    file_timeout_seconds: float = Field(default=30.0, gt=0, le=_LONGEST_SECONDS)
    """A file whose tags take longer to read (seconds) gets an error and does not hold the scan."""
    settle_seconds: float = Field(default=2.0, ge=0, le=60)
    """A folder in which something changed less than so many seconds ago is looked at once more."""
    lease_seconds: float = Field(default=60.0, ge=1, le=LONGEST_LEASE_SECONDS)
    """After so many seconds without a sign of life another process may take a scan over."""
    resume_policy: Literal["auto", "never"] = "auto"
    """Whether an interrupted scan is gone on with at the next start: auto or never."""
    parallel_libraries: int = Field(default=2, ge=1, le=32)
    """How many libraries are scanned at the same time."""
    purge_missing_after_days: Annotated[int, Field(ge=0, le=36500)] | Literal["never"] = 30
    """A file that has been missing for so many days is forgotten, with its id and all that is known of it: 0
    (as soon as a scan finds it missing; a file that another scan finds at another place is a new one then)
    to 36500, or never. It goes some days later, so that no clock that is wrong for a while costs anything. What
    is chosen on the service's page or over HTTP holds instead, for every program that uses the database."""
    ignore_patterns: Annotated[
        list[Annotated[str, _understood(problem_of)]], NoDecode, BeforeValidator(_lines_in), Field(max_length=1000)
    ] = Field(default=[])
    """What is left out of every library: patterns as in .gitignore, at each library's root; a library's own patterns
    and files win over them. A list of texts in quotation marks; a variable has one pattern a line, or a list in JSON.
    What is chosen on the service's page or over HTTP holds instead, for every program that uses the database."""
    audio_patterns: Annotated[
        list[Annotated[str, _understood(problem_of_name)]],
        NoDecode,
        BeforeValidator(_lines_in),
        Field(max_length=1000),
    ] = Field(default=[])
    """Names of files that are taken for audio, such as "*.flac", in small or capital letters; all others are left
    out. Written as ignore_patterns, and what is chosen holds as there. Empty: every type that can be read."""
    root_marker: str = Field(default="", pattern="^[^/]*$")
    """Name of a file that must be in each library's root; without it the library is offline. Empty: none."""
    data_folder: Annotated[str, AfterValidator(_expanded)] | None = None
    """Where covers are kept; a folder that belongs to this database alone. Empty: beside an embedded database,
    in a folder with its name and "-data" behind it."""
    enable_enrichment: bool = True
    """Whether 'nomarr watch' also works out audio hashes, fingerprints, exact lengths and covers in the
    background."""
    enrichment_workers: int = Field(default=0, ge=0, le=64)
    """Files worked on at a time by enrichment; 0 means one for each processor. A disk that turns is read one
    file at a time."""
    enrichment_timeout_seconds: float = Field(default=120.0, gt=0, le=_LONGEST_SECONDS)
    """A file for which one step of enrichment takes longer (seconds) gets an error and is tried again later."""
    content_hashes: bool = False
    """Whether enrichment hashes whole files too (xxh3-128 and sha256): reads every file from end to end."""
    enable_file_watching: bool = True
    """Whether libraries are watched for changes at all; false makes 'nomarr watch' refuse to start."""
    watcher_debounce_seconds: float = Field(default=2.0, ge=0, le=60)
    """A change is scanned when its library has been quiet for so many seconds, 0 to 60."""
    watcher_max_wait_seconds: float | None = Field(default=None, gt=0, le=3600)
    """A library that is never quiet is scanned so many seconds after the first change. Empty: three times the
    debounce."""
    watcher_poll_seconds: float = Field(default=300.0, ge=1, le=_LONGEST_SECONDS)
    """Seconds between two looks at a library that is polled, because its disk does not tell of every change; 1 to
    2678400 (31 days)."""
    watcher_reconcile_seconds: float = Field(default=3600.0, ge=60, le=_LONGEST_SECONDS)
    """Seconds between two looks at all of a watched library, for changes that no event told of; 60 to 2678400
    (31 days)."""
    browse_roots: Annotated[list[Annotated[str, AfterValidator(_whole_path)]], NoDecode, BeforeValidator(_paths_in)] = (
        Field(default=[])
    )
    """Folders inside of which libraries may be added over HTTP, as whole paths, or such that begin with ~. A
    variable has them separated by colons: NOMARR_BROWSE_ROOTS=/music:/srv/music. Empty: the home folder of
    whoever runs the service, and /music, /srv, /mnt and /media where they exist."""

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_yes_and_no(cls, value: Any, field: ValidationInfo) -> Any:
        # Python takes them for 1 and 0, and who writes `purge_missing_after_days: no` would lose what is missing.
        if isinstance(value, bool) and cls.model_fields[str(field.field_name)].annotation is not bool:
            raise PydanticCustomError(
                "yes_or_no", "true and false (in YAML also yes, no, on and off) mean nothing here"
            )
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values only: `load_config` reads file and variables and decides which of them wins."""
        return (init_settings,)


def load_config(file: str | os.PathLike[str] | None = None, **arguments: Any) -> Config:
    """Read the configuration.

    Args:
        file: a YAML file; by default `NOMARR_CONFIG` or the user's configuration file, if there is one.
        arguments: settings that win over everything else; None is left out.

    Raises:
        ConfigurationError: if the file can't be read, or a setting is unknown or out of range.
    """
    path, stored = _stored_settings(file)
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return Config(**stored | EnvSettingsSource(Config)() | given)
    except ValidationError as error:
        raise ConfigurationError(_problem(error), source=_source(error, path, given)) from None


def changed_config(config: Config, changes: Mapping[str, Any]) -> Config:
    """`config` with these settings instead of its own.

    Raises:
        ConfigurationError: if a setting is unknown or out of range.
    """
    try:
        return Config(**config.model_dump() | dict(changes))
    except ValidationError as error:
        raise ConfigurationError(_problem(error), source="the change of settings") from None


def _stored_settings(file: str | os.PathLike[str] | None) -> tuple[str, dict[str, Any]]:
    named = file if file is not None else os.environ.get(_ENVIRONMENT_PREFIX + "CONFIG")
    path = Path(named) if named else default_config_file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if named:
            raise ConfigurationError("there is no such file", source=str(path)) from None
        return str(path), {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the file can't be read ({error})", source=str(path)) from error
    try:
        settings = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where is not None else ""
        raise ConfigurationError(f"it is not valid YAML{line}", source=str(path)) from error
    if not isinstance(settings, dict):
        raise ConfigurationError("it must hold lines of the form 'name: value'", source=str(path))
    return str(path), {str(name): value for name, value in settings.items() if value not in (None, "")}


def _problem(error: ValidationError) -> str:
    problems = []
    for detail in error.errors(include_url=False, include_input=False):
        # The rest says which of the forms that the setting may have was tried.
        name = detail["loc"][0]
        if detail["type"] == "extra_forbidden":
            problems.append(f"'{name}' is not a setting; there are: {', '.join(sorted(Config.model_fields))}")
        else:
            problems.append(f"'{name}': {detail['msg'][:1].lower()}{detail['msg'][1:]}")
    return "; ".join(problems)


def _source(error: ValidationError, path: str, given: dict[str, Any]) -> str:
    """Where the first bad setting was set, in the order in which settings win."""
    name = str(error.errors()[0]["loc"][0])
    if name in given:
        return "the command line"
    wanted = _ENVIRONMENT_PREFIX + name.upper()
    variable = next((variable for variable in os.environ if variable.upper() == wanted), None)
    return f"the variable {variable}" if variable is not None else path
