"""scripts/discover_api.py tells what a module offers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "discover_api.py"

MODULE = '''
"""A module to look at."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

LIMIT = 3
Check = Callable[[str], bool]
_hidden = 1


class Colour(Enum):
    """What paint has."""

    RED = "red"


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0

    @property
    def length(self) -> float:
        """How far it is from the origin.

        In the unit of x."""
        return 0.0

    @classmethod
    def origin(cls) -> Point:
        return cls(0)

    def _secret(self) -> None: ...


async def fetch(path: Path | None, *, full: bool = False) -> list[Point]:
    """Get them all."""
    return []


def _helper() -> None: ...
'''

PRINTED = """\
LIMIT: int
class Colour(Enum)
    What paint has.
    RED = 'red'
class Point(x: int, y: int = 0)
    length: float
        How far it is from the origin.
    def origin() -> Point
async def fetch(path: Path | None, *, full: bool = False) -> list[Point]
    Get them all.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sample.py").write_text(MODULE)
    (tmp_path / "listed.py").write_text('__all__ = ["b", "Check"]\nfrom sample import Check\na = 1\nb = 2\n')
    return tmp_path


def discover(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_public_names_are_printed_with_signatures_and_first_lines(folder: Path) -> None:
    assert discover(folder, "sample").stdout == PRINTED


def test_all_decides_what_is_public_and_in_which_order(folder: Path) -> None:
    assert discover(folder, "listed").stdout == "b: int\nCheck = collections.abc.Callable[[str], bool]\n"


def test_json_says_the_same(folder: Path) -> None:
    names = json.loads(discover(folder, "sample", "--json").stdout)
    assert [(name["name"], name["kind"]) for name in names] == [
        ("LIMIT", "value"),
        ("Colour", "class"),
        ("Point", "class"),
        ("fetch", "async function"),
    ]
    assert names[2]["members"][0] == {
        "name": "length",
        "kind": "property",
        "signature": ": float",
        "summary": "How far it is from the origin.",
        "members": [],
    }


def test_a_module_that_does_not_exist_is_a_wrong_usage(folder: Path) -> None:
    finished = discover(folder, "no_such_module")
    assert finished.returncode == 2
    assert "no_such_module" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_the_modules_of_nomarr_can_be_looked_at(folder: Path) -> None:
    assert "class ScanTarget(" in discover(folder, "nomarr.helpers.dto.library").stdout
