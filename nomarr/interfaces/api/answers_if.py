"""Answers as JSON, byte for byte as the command line prints it."""

from __future__ import annotations

import json
from typing import Any

from fastapi.responses import JSONResponse

__all__ = ["Answer"]


class Answer(JSONResponse):
    """ASCII only: names that are no valid UTF-8 survive as lone surrogates, which no other encoding of JSON takes."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")
