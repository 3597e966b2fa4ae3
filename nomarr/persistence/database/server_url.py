"""What a database URL says of a server."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from nomarr.helpers.exceptions import ConfigurationError

__all__ = ["EXAMPLE_URL", "ServerUrl", "parsed", "require_certificates"]

EXAMPLE_URL: Final = "arangodb://user:password@host:8529/nomarr"
_SOURCE: Final = "database URL"
_SCHEMES: Final = {"arangodb": "http", "arangodb+https": "https"}
_DEFAULT_PORT: Final = 8529


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A server, a database on it, and how patient to be with it; its text never holds the password."""

    host: str
    """For the driver, such as `http://host:8529`."""
    location: str
    """For people, such as `arangodb://host:8529/nomarr`."""
    name: str
    user: str
    password: str = field(repr=False)
    read_seconds: float = 120.0
    """How long one request may take."""
    patience_seconds: float = 60.0
    """How long an operation is tried again while the server is away or busy."""
    opening_seconds: float = 10.0
    """The same for opening the database: whoever mistyped the host wants to know it soon."""
    ca_file: str | None = None
    """Certificates to trust instead of the usual ones, for a server that signed its own."""


def parsed(url: str) -> ServerUrl:
    """Read `arangodb://user:password@host:8529/name?option=value` or `arangodb+https://…`.

    Raises:
        ConfigurationError: if it is none; nothing of its text is told, as it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORT
    except ValueError:
        # Its text would tell the URL.
        raise _wrong("it is not a URL") from None
    if any(character.isspace() for character in parts.netloc):
        # Nobody could tell where in a message such an address ends, and hide its password.
        raise _wrong("it holds a space; write one in a password as %20")
    if "@" in parts.path:
        # A password with a slash that nobody escaped would be taken for the name, and told.
        raise _wrong("it has an '@' after the host; write a slash in a password as %2F, an '@' in a name as %40")
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in _SCHEMES or not parts.hostname or not name or "/" in name or parts.fragment:
        raise _wrong("it names no server and database")
    host = f"[{parts.hostname}]:{port}" if ":" in parts.hostname else f"{parts.hostname}:{port}"
    return ServerUrl(
        host=f"{_SCHEMES[parts.scheme]}://{host}",
        location=f"{parts.scheme}://{host}/{name}",
        name=name,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        **_options(parts.query),
    )


def require_certificates(server: ServerUrl) -> None:
    """Raises `ConfigurationError` unless the file that the URL names for certificates holds some."""
    if server.ca_file is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=server.ca_file)
    except ssl.SSLError:
        raise _no_certificates(server.ca_file, "there is no certificate in it") from None
    except (OSError, ValueError) as error:
        raise _no_certificates(server.ca_file, getattr(error, "strerror", None) or str(error)) from None


def _no_certificates(ca_file: str, problem: str) -> ConfigurationError:
    text = (
        f"its ca_file {ca_file!r} can't be used ({problem}); name a file with certificates in PEM form, or leave it out"
    )
    return ConfigurationError(text, source=_SOURCE)


def _options(query: str) -> Mapping[str, Any]:
    return dict(_option(name, value) for name, value in parse_qsl(query, keep_blank_values=True))


def _option(name: str, value: str) -> tuple[str, Any]:
    if name not in _READERS:
        raise _wrong(f"it has an unknown option; there are {', '.join(sorted(_READERS))}")
    try:
        return name, _READERS[name](value)
    except ValueError:
        raise _wrong(f"its option {name} has a value that is none") from None


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(text)
    return seconds


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "read_seconds": _seconds,
    "patience_seconds": _seconds,
    "opening_seconds": _seconds,
    "ca_file": str,
}


def _wrong(problem: str) -> ConfigurationError:
    return ConfigurationError(f"{problem}; use {EXAMPLE_URL}", source=_SOURCE)
