"""An encrypted way to the server: whom Nomarr trusts, and what it says when it does not."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.arango import ArangoDouble

from nomarr.helpers.exceptions import ConfigurationError, DatabaseError, DatabaseNotReachable
from nomarr.persistence.database.http_client import CertificateRefused
from nomarr.persistence.db import Database

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing: it makes certificates")

PATIENT = "opening_seconds=20&patience_seconds=20"


def signed_by_itself(file: Path, name: str) -> Path:
    """A certificate for `name`, such as `IP:127.0.0.1`, and its key in one file."""
    key, certificate = file.with_suffix(".key"), file.with_suffix(".crt")
    made = ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=test", "-addext", f"subjectAltName={name}"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *kind, *made], check=True, capture_output=True, timeout=30)
    file.write_text(certificate.read_text() + key.read_text())
    return file


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return signed_by_itself(tmp_path_factory.mktemp("certificates") / "own.pem", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def of_others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return signed_by_itself(tmp_path_factory.mktemp("certificates") / "others.pem", "DNS:elsewhere.example")


@pytest.fixture
def server(own: Path) -> Iterator[ArangoDouble]:
    with ArangoDouble(certificate=own) as running:
        yield running


def refused(url: str) -> str:
    """What is said when it is opened; at once, although there is patience for more."""
    began = time.monotonic()
    with pytest.raises(DatabaseError) as caught:
        Database.open(url)
    assert time.monotonic() - began < 10
    # Whoever waits for a server to come back would wait for this one for ever.
    assert not isinstance(caught.value, DatabaseNotReachable)
    assert "secret" not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"
    return str(caught.value)


def test_a_certificate_that_is_named_is_trusted(server: ArangoDouble, own: Path) -> None:
    with Database.open(f"{server.database_url()}?ca_file={own}") as db:
        assert db.events.last_seq() == 0


def test_a_certificate_that_nobody_named_is_refused_at_once(server: ArangoDouble) -> None:
    said = refused(f"{server.database_url()}?{PATIENT}")
    assert said.startswith(f"arangodb+https://127.0.0.1:{server.port}/nomarr: its certificate is not trusted (")
    assert "ca_file=" in said
    assert (server.connections, server.log) == (1, [])


def test_a_server_with_another_certificate_is_refused_at_once(server: ArangoDouble, of_others: Path) -> None:
    assert "ca_file=" in refused(f"{server.database_url()}?{PATIENT}&ca_file={of_others}")
    assert (server.connections, server.log) == (1, [])


def test_a_certificate_for_another_name_is_refused_at_once(of_others: Path) -> None:
    with ArangoDouble(certificate=of_others) as server:
        said = refused(f"{server.database_url()}?{PATIENT}&ca_file={of_others}")
        assert "its certificate is for another host (" in said
        assert "127.0.0.1" in said
        assert "ca_file=" in said
        assert (server.connections, server.log) == (1, [])


def test_a_certificate_that_has_expired_is_to_be_renewed() -> None:
    error = ssl.SSLCertVerificationError()
    # No tool makes one that has expired already without a clock that is set back.
    error.verify_code, error.verify_message = 10, "certificate has expired"
    assert "(certificate has expired); renew it" in str(CertificateRefused("host", error))


def test_a_certificate_that_was_exchanged_is_told_at_once(tmp_path: Path, own: Path, of_others: Path) -> None:
    shown = tmp_path / "server.pem"
    shown.write_text(own.read_text())
    with ArangoDouble(certificate=shown) as server, Database.open(f"{server.database_url()}?ca_file={own}") as db:
        server.stop()
        shown.write_text(of_others.read_text())
        server.start()
        began = time.monotonic()
        with pytest.raises(DatabaseError, match="its certificate is not trusted"):
            db.events.last_seq()
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file or directory"), ("", "there is no certificate in it"), ("words", "no certificate in it")],
    ids=["none", "empty", "words"],
)
def test_a_file_that_holds_no_certificate_is_a_mistake_of_the_url(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=f"^database URL: .*{problem}.*; name a file") as caught:
        Database.open(f"arangodb+https://root:secret@127.0.0.1:1/nomarr?ca_file={file}")
    assert str(file) in str(caught.value)
    assert "secret" not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize("name", ["", "%00"])
def test_what_is_no_file_is_a_mistake_of_the_url(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^database URL: .*; name a file"):
        Database.open(f"arangodb+https://root:secret@127.0.0.1:1/nomarr?ca_file={tmp_path}/{name}")
