"""The HTTP side of the driver: quiet, without retries of its own and without proxies out of the environment."""

from __future__ import annotations

import ssl
from collections.abc import MutableMapping
from typing import Final
from urllib.parse import urlsplit

from arango.http import HTTPClient
from arango.response import Response
from requests import Session
from requests.adapters import HTTPAdapter
from requests.exceptions import SSLError
from requests_toolbelt import MultipartEncoder
from urllib3.util.retry import Retry

__all__ = ["CertificateRefused", "QuietHttpClient"]

# Numbers of X509_V_ERR_* in OpenSSL's manual page X509_STORE_CTX_get_error.
_OUT_OF_DATE: Final = (9, 10)
_OTHER_HOST: Final = (62, 64)
"""By name, and by address."""


class CertificateRefused(Exception):
    """The server does not prove that it is the one that is meant, and nothing was sent to it; the text says what helps.

    No kind of `OSError`: of those the driver tells no cause.
    """

    def __init__(self, host: str, error: ssl.SSLCertVerificationError) -> None:
        super().__init__(_explained(host, error.verify_code, error.verify_message))


def _explained(host: str, code: int, message: str) -> str:
    if code in _OTHER_HOST:
        return (
            f"its certificate is for another host ({message}); write a host that it is for instead of {host}, or give"
            f" the server one for {host}, and name that with ca_file= if the server signed it itself"
        )
    if code in _OUT_OF_DATE:
        return f"its certificate is not valid at this time ({message}); renew it, or set the clock of this machine"
    return (
        f"its certificate is not trusted ({message}); name a file with the certificate that signed it with "
        "?ca_file=/path/to/ca.pem in the database URL"
    )


class QuietHttpClient(HTTPClient):
    """One request is one request: whether to ask again is decided by those who know what was asked.

    Args:
        connections: how many are kept open; as many as there are worker threads.
        ca_file: certificates to trust instead of the usual ones.
    """

    def __init__(self, *, connect_seconds: float, read_seconds: float, connections: int, ca_file: str | None) -> None:
        self._timeout = (connect_seconds, read_seconds)
        self._connections = connections
        self._ca_file = ca_file

    def create_session(self, host: str) -> Session:
        session = Session()
        # Neither proxies nor passwords of a .netrc.
        session.trust_env = False
        session.verify = self._ca_file or True
        adapter = HTTPAdapter(
            pool_connections=1, pool_maxsize=self._connections, max_retries=Retry(0, read=False, raise_on_status=False)
        )
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def send_request(
        self,
        session: Session,
        method: str,
        url: str,
        headers: MutableMapping[str, str] | None = None,
        params: MutableMapping[str, str] | None = None,
        data: str | bytes | MultipartEncoder | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Response:
        # The driver hands over text; requests would send it as Latin-1 where it can.
        body = data.encode() if isinstance(data, str) else data
        try:
            answer = session.request(
                method, url, params=params, data=body, headers=headers, auth=auth, timeout=self._timeout
            )
        except SSLError as error:
            if refusal := _refusal_in(error):
                raise CertificateRefused(urlsplit(url).hostname or url, refusal) from error
            raise
        return Response(
            method=method,
            url=answer.url,
            headers=answer.headers,
            status_code=answer.status_code,
            status_text=answer.reason,
            raw_body=answer.content.decode("utf-8", "replace"),
        )


def _refusal_in(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """What OpenSSL said, out of the errors that requests and urllib3 have wrapped around it."""
    while not isinstance(error, ssl.SSLCertVerificationError):
        # urllib3 gives up with the reason beside the text.
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
        if not isinstance(inner, BaseException):
            return None
        error = inner
    return error
