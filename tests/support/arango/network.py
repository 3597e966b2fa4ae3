"""HTTP for the double: a listening socket with its thread, keep-alive connections, and resets."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.arango.requests import Answer

Respond = Callable[[str, str, dict[str, str], bytes], tuple[Answer, bytes] | None]
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Listener:
    """Listens from the beginning to `close`; port 0 takes a free one.

    Args:
        certificate: a file with a certificate and its key, to speak TLS with.
    """

    def __init__(self, port: int, respond: Respond, certificate: Path | None = None) -> None:
        self._server = _Server(port, respond, certificate)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="arango-double")
        self._thread.start()

    @property
    def accepted(self) -> int:
        """How many connections there were."""
        return self._server.accepted

    def close(self) -> None:
        """Returns when the port is free and every connection is reset."""
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
        self._server.server_close()  # waits for the threads of the connections


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 100

    def __init__(self, port: int, respond: Respond, certificate: Path | None) -> None:
        self.respond = respond
        self.accepted = 0
        self._connections: set[socket.socket] = set()
        self._changing = threading.Lock()
        super().__init__(("127.0.0.1", port), _Connection)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # A handshake belongs to the thread of its connection, not to the one that accepts all of them.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def server_bind(self) -> None:
        """Without looking up the name of the host, as the class above does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changing:
            self.accepted += 1
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Called at the end of each connection; one that is to be reset must not say goodbye first."""
        with self._changing:
            self._connections.discard(request)
        if is_to_be_reset(request):
            request.close()
        else:
            super().shutdown_request(request)

    def end_connections(self) -> None:
        with self._changing:
            for connection in self._connections:
                reset_when_closed(connection)
                # Wakes the thread which waits for the next request of this connection.
                connection.shutdown(socket.SHUT_RD)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone, or does not trust the certificate, is no error; anything else is shown."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        response = self.server.respond(self.command, self.path, headers, body)
        if response is None:
            reset_when_closed(self.connection)
            self.close_connection = True
        else:
            self._send(*response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _send(self, answer: Answer, content: bytes) -> None:
        headers = {
            "Server": "ArangoDB",
            "Connection": "Keep-Alive",
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(content)),
            **answer.headers,
        }
        first = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"
        head = "\r\n".join([first, *(f"{name}: {text}" for name, text in headers.items()), "", ""])
        self.wfile.write(head.encode("latin-1") + (b"" if self.command == "HEAD" else content))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal: the double has its own log."""


def reset_when_closed(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def is_to_be_reset(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_RESET_ON_CLOSE)) == _RESET_ON_CLOSE
