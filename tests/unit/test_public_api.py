"""`import nomarr` is small, explicit and cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import nomarr


def test_all_is_sorted_and_without_repetition() -> None:
    assert list(nomarr.__all__) == sorted(set(nomarr.__all__))


def test_every_public_name_can_be_had() -> None:
    assert {name: getattr(nomarr, name).__name__ for name in nomarr.__all__} == {n: n for n in nomarr.__all__}


def test_type_checkers_and_the_table_of_homes_see_the_same_names() -> None:
    tree = ast.parse(Path(nomarr.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.name: node.module
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == nomarr._HOMES
    assert sorted(imported) == list(nomarr.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(nomarr, "Nomad")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import nomarr, sys; print([m for m in ('pydantic', 'anyio', 'sqlite3', 'mutagen') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"
