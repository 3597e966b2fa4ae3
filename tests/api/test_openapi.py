"""The OpenAPI document, and whether the service keeps to it when it is asked all kinds of things."""

from __future__ import annotations

import re
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
from api_kit import Api, new_token, running_server
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
from nomarr.helpers.dto.tokens import TokenScope
from nomarr.interfaces.api import models_if
from nomarr.interfaces.api.app_if import create_app
from nomarr.interfaces.api.examples_if import SHAPES
from nomarr.interfaces.api.guard_if import needed_scope
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.problems_if import _TITLES
from nomarr.interfaces.api.session_if import SESSION_PATH

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CLIENTS = ("open", "admin", "read", "without a token")
FOR_ADMINS = {"/api/v1/folders", "/api/v1/tokens"}
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
        operations = [result.ok() for result in self.schema.get_all_operations()]
        # Last what makes the token of this very client worthless.
        yield from sorted(operations, key=lambda operation: operation.label == "DELETE /api/v1/tokens")

    def known(self) -> dict[str, str]:
        """Ids that there are; libraries come and go."""
        admin = self.headers if self.client != "read" else {}
        with httpx.Client(base_url=f"{self.address}/api/v1", headers=admin) as client:
            answers = [client.get(path) for path in ("/libraries", "/files?wide=true", "/scan-requests", "/tokens")]
        if any(answer.status_code == 401 for answer in answers):
            return {}
        libraries, files, asked, tokens = (answer.json() for answer in answers)
        found = [
            ("name", "scan_batch_size"),
            *(("library_id", library["library_id"]) for library in libraries),
            *(("file_id", file["file_id"]) for file in files["items"]),
            *(("cover_id", file["cover_id"]) for file in files["items"] if file["cover_id"]),
            *(("request_id", request["request_id"]) for request in asked["items"]),
            # Not the one of this very client.
            *(("token_id", token["token_id"]) for token in tokens[:-1]),
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
        token = await new_token(nomarr, TokenScope.READ if client == "read" else TokenScope.ADMIN)
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
    if service.client == "read" and needed_scope(operation.method.upper(), operation.path) is TokenScope.ADMIN:
        assert status == 403


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
            assert {"401", "403", "413", "421", "429", "503"} <= operation["responses"].keys(), f"{method} {path}"
            assert ("{" in path) <= ("404" in operation["responses"]) or path.endswith("/events"), f"{method} {path}"
            assert ("requestBody" in operation) == ("400" in operation["responses"]), f"{method} {path}"
            assert ("requestBody" in operation) == ("408" in operation["responses"]), f"{method} {path}"


async def test_too_large_a_body_is_refused_by_every_operation_as_documented(api: Api, document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answer = await api.client.request(method, path, content=b" " * 2_000_000)
            assert (answer.status_code, answer.json()["error"]) == (413, "TooLarge")
            assert str(answer.status_code) in operation["responses"]


def test_clients_are_told_how_to_show_their_token(document: dict[str, Any], tmp_path: Path) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"] == {"type": "http", "scheme": "bearer", "description": schemes["bearer"]["description"]}
    cookies = {(scheme["in"], scheme["name"]) for scheme in schemes.values() if scheme["type"] == "apiKey"}
    assert cookies == {("cookie", "nomarr_token"), ("cookie", "__Host-nomarr_token")}
    closed = create_app(f"sqlite:///{tmp_path / 'nomarr.db'}", ServiceOptions(tokens_required=True)).openapi()
    for path, methods in closed["paths"].items():
        for method, operation in methods.items():
            needed = ["read"] if method == "get" and path not in FOR_ADMINS else ["admin"]
            ways = [] if path in FREE else [{scheme: needed} for scheme in schemes]
            assert operation["security"] == ways, f"{method} {path}"
            # Here none is needed.
            assert document["paths"][path][method]["security"] == ([*ways, {}] if ways else []), f"{method} {path}"


async def test_the_document_for_people_tells_bodies_and_answers(api: Api) -> None:
    page = (await api.client.get("/docs")).text
    new_library = page.partition("<code>POST /api/v1/libraries</code>")[2].partition("<h2")[0]
    for told in (
        "<code>name</code>: text",
        "<code>watch_mode</code>",
        'href="#WatchMode"',
        "201",
        "409",
        "Answers",
    ):
        assert told in new_library, told
    for name in SHAPES:
        assert f'id="{name}"' in page, name
        assert f'href="#{name}"' in page, name
    listed = page.partition("<code>GET /api/v1/files</code>")[2].partition("<h2")[0]
    assert "a page of" in listed
    assert "<code>limit</code>" in listed
    assert "one of auto, events, poll, off" in page


def test_every_status_has_its_place_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8").partition("## Problems\n")[2]
    told = {int(status) for cell in re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE) for status in cell.split(", ")}
    assert told == set(_TITLES)
