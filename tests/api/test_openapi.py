"""The OpenAPI document, and whether the service keeps to it when it is asked all kinds of things."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from anyio.from_thread import start_blocking_portal
from api_kit import running_server
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.music import png, tone
from support.scans import scan

from nomarr import Nomarr
from nomarr.interfaces.api import models_if
from nomarr.interfaces.api.app_if import create_app
from nomarr.interfaces.api.examples_if import SHAPES
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.session_if import SESSION_PATH
from nomarr.interfaces.api.tokens_if import TOKEN_KEY, Tokens, TokenScope, new_key

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CLIENTS = ("open", "admin", "read", "without a token")
FREE = {"/healthz", "/readyz", SESSION_PATH}
# Of each client; some operations can't be asked in so many ways, so there are somewhat fewer.
LONG_RUN = 2000


@dataclass(frozen=True)
class Served:
    """A service that runs in a thread of its own."""

    schema: Any
    address: str
    headers: dict[str, str]
    client: str

    def operations(self) -> Iterator[Any]:
        for result in self.schema.get_all_operations():
            yield result.ok()

    def known(self) -> dict[str, str]:
        """Ids that there are; libraries come and go."""
        admin = self.headers if self.client != "read" else {}
        with httpx.Client(base_url=f"{self.address}/api/v1", headers=admin) as client:
            answers = [client.get(path) for path in ("/libraries", "/files?wide=true", "/scan-requests")]
        if any(answer.status_code == 401 for answer in answers):
            return {}
        libraries, files, asked = (answer.json() for answer in answers)
        found = [
            *(("library_id", library["library_id"]) for library in libraries),
            *(("file_id", file["file_id"]) for file in files["items"]),
            *(("cover_id", file["cover_id"]) for file in files["items"] if file["cover_id"]),
            *(("request_id", request["request_id"]) for request in asked),
        ]
        return dict(found)


@asynccontextmanager
async def a_service(folder: Path, client: str) -> AsyncIterator[tuple[str, str]]:
    """Its address, and a token for this client."""
    for path, content in {"Rock/a.wav": tone(200), "Rock/cover.png": png(), "list.m3u": b"Rock/a.wav\n"}.items():
        (folder / "music" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "music" / path).write_bytes(content)
    options = ServiceOptions(
        tokens_required=client != "open",
        browse_roots=(str(folder / "music"),),
        requests_per_second=1e6,
        burst=1_000_000,
        watch=False,
    )
    async with Nomarr.open(f"sqlite:///{folder / 'nomarr.db'}", enable_enrichment=False) as nomarr:
        library = await nomarr.libraries.add_library("Music", folder / "music")
        await scan(nomarr, library)
        await nomarr.enrichment.run()
        key = await nomarr.settings.get_or_put(TOKEN_KEY, new_key())
        token = Tokens(key).create(TokenScope.READ if client == "read" else TokenScope.ADMIN, days=1)
        async with running_server(nomarr, options) as address:
            yield address, token


@contextmanager
def served(folder: Path, client: str) -> Iterator[Served]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(a_service(folder, client)) as (address, token),
    ):
        headers = {"Authorization": f"Bearer {token}"} if client in ("admin", "read") else {}
        schema = schemathesis.openapi.from_dict(create_app(f"sqlite:///{folder / 'other.db'}").openapi())
        yield Served(schema, address, headers, client)


def ask_generated(service: Served, operation: Any, cases: int) -> int:
    """Ask so many generated questions, right and wrong ones, half of them about something that there is."""
    known = service.known() if "{" in operation.path else {}
    asked = 0

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=generated_cases(operation), is_known=st.booleans())
    def ask(case: Case, is_known: bool) -> None:
        nonlocal asked
        if is_known:
            case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
        ask_once(service, operation, case)
        asked += 1

    ask()
    return asked


def generated_cases(operation: Any) -> st.SearchStrategy[Case]:
    right: st.SearchStrategy[Case] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not operation.body and not list(operation.query) and not list(operation.path_parameters):
        # There is no way to ask this wrongly.
        return right
    return right | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


def ask_once(service: Served, operation: Any, case: Case) -> None:
    if operation.path.endswith("/stream"):
        # It has no end, so only its beginning is looked at.
        question = case.as_transport_kwargs(base_url=service.address, headers=service.headers)
        with requests.request(**question, stream=True, timeout=10) as beginning:
            status = beginning.status_code
        assert str(status) in operation.definition.raw["responses"]
    else:
        answer = case.call(base_url=service.address, headers=service.headers, timeout=30)
        status = answer.status_code
        case.validate_response(answer, checks=CHECKS)
    if service.client == "without a token" and operation.path not in FREE:
        assert status == 401
    if service.client == "read" and operation.method.upper() not in ("GET", "HEAD") and operation.path not in FREE:
        assert status in (403, 413)


def test_generated_questions_are_answered_as_documented(tmp_path: Path) -> None:
    with served(tmp_path, "admin") as service:
        for operation in service.operations():
            ask_generated(service, operation, cases=1)


@pytest.mark.fuzz
@pytest.mark.parametrize("client", CLIENTS)
def test_thousands_of_generated_questions_are_answered_as_documented(tmp_path: Path, client: str) -> None:
    with served(tmp_path, client) as service:
        operations = list(service.operations())
        each = -(-LONG_RUN // len(operations))
        asked = sum(ask_generated(service, operation, each) for operation in operations)
    print(f"{client}: {asked} questions")
    assert asked >= LONG_RUN * 0.5


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    return create_app(f"sqlite:///{tmp_path / 'nomarr.db'}").openapi()


def test_every_operation_has_examples(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            for parameter in operation.get("parameters", []):
                has_none = parameter["schema"].get("type") == "boolean" or "default" in parameter["schema"]
                assert "example" in parameter or has_none, f"{where} {parameter['name']}"
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
            for body in bodies + answers:
                for media_type, media in body.get("content", {}).items():
                    assert "example" in media or media_type == "image/*", where


def test_examples_are_what_they_are_examples_of() -> None:
    for name, example in SHAPES.items():
        if name != "Problem":
            getattr(models_if, name).model_validate(example)


def test_every_answer_is_told_apart(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert {"401", "403", "421", "429", "503"} <= operation["responses"].keys(), f"{method} {path}"
            assert ("{" in path) <= ("404" in operation["responses"]) or path.endswith("/events"), f"{method} {path}"
            assert ("requestBody" in operation) == ("413" in operation["responses"]), f"{method} {path}"
