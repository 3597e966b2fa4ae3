"""What is hidden in texts that others may read."""

from __future__ import annotations

import pytest

from nomarr.helpers.secrets_helper import without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("arangodb://user:pass@host:8529/nomarr", "arangodb://***@host:8529/nomarr"),
        ("arangodb+https://user:p@ss@host/x is down", "arangodb+https://***@host/x is down"),
        ("use arangodb://user:password@host:8529/nomarr", "use arangodb://user:password@host:8529/nomarr"),
        ("arangodb://user:password@host@home/nomarr", "arangodb://***@home/nomarr"),
        ("http://host/a@b", "http://host/a@b"),
        ("Authorization: Bearer abc.def-g", "Authorization: Bearer ***"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzY29wZSI6ImEifQ.c2ln here", "got *** here"),
        ("GET /?token=abc&x=1", "GET /?token=***&x=1"),
        ("password: hunter2; token = 5", "password: ***; token = ***"),
        ("Rock/The Token Song/01.flac", "Rock/The Token Song/01.flac"),
    ],
)
def test_secrets_are_hidden_and_the_rest_stays(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
