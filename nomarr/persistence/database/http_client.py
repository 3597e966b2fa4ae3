"""The HTTP side of the driver: quiet, without retries of its own and without proxies out of the environment."""

from __future__ import annotations

from collections.abc import MutableMapping

from arango.http import HTTPClient
from arango.response import Response
from requests import Session
from requests.adapters import HTTPAdapter
from requests_toolbelt import MultipartEncoder
from urllib3.util.retry import Retry

__all__ = ["QuietHttpClient"]


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
        answer = session.request(
            method, url, params=params, data=body, headers=headers, auth=auth, timeout=self._timeout
        )
        return Response(
            method=method,
            url=answer.url,
            headers=answer.headers,
            status_code=answer.status_code,
            status_text=answer.reason,
            raw_body=answer.content.decode("utf-8", "replace"),
        )
