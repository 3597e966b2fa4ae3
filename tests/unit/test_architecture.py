"""What the layers ask of every file, beside the contracts of .importlinter."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "nomarr"

# A layer's files end with its suffix. Where several fit, each names a kind of part that the layer has.
SUFFIXES = {
    "interfaces/api": ("_if",),
    "interfaces/cli": ("_cli",),
    "services": ("_svc",),
    "workflows": ("_wf",),
    "components": ("_comp",),
    "persistence/embedded": ("_operations",),
    "helpers": ("_helper",),
}
# Files that a layer has once, under a plain name.
PLAIN = {
    "nomarr/__main__.py",
    "nomarr/app.py",
    "nomarr/config.py",
    "nomarr/interfaces/contract.py",
    "nomarr/persistence/db.py",
    "nomarr/persistence/ports.py",
    "nomarr/persistence/embedded/connection.py",
    "nomarr/persistence/embedded/database.py",
    "nomarr/helpers/exceptions.py",
    "nomarr/helpers/file_kinds.py",
    "nomarr/helpers/protocols.py",
}
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")


def source_files() -> list[str]:
    return sorted(path.relative_to(REPOSITORY).as_posix() for path in PACKAGE.rglob("*.py"))


def suffixes_for(file: str) -> tuple[str, ...]:
    return next((suffixes for folder, suffixes in SUFFIXES.items() if file.startswith(f"nomarr/{folder}/")), ())


def is_named_by_its_layer(file: str) -> bool:
    return (
        file.endswith("/__init__.py")
        or file in PLAIN
        or file.startswith("nomarr/helpers/dto/")
        or file.removesuffix(".py").endswith(suffixes_for(file) or ("",))
    )


def imports_of_the_root(source: str) -> Iterator[int]:
    """Lines that import `nomarr` itself instead of one of its modules."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) if any(alias.name == "nomarr" for alias in names):
                yield node.lineno
            case ast.ImportFrom(module="nomarr", level=0):
                yield node.lineno


def test_the_import_contracts_are_kept() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    finished = subprocess.run([lint, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("file", source_files())
def test_a_file_is_named_by_its_layer(file: str) -> None:
    assert is_named_by_its_layer(file), f"{file} should end with one of {suffixes_for(file)}"


@pytest.mark.parametrize("file", [file for file in source_files() if file != "nomarr/__init__.py"])
def test_inner_modules_never_import_the_root(file: str) -> None:
    assert list(imports_of_the_root((REPOSITORY / file).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_links_of_the_documentation_lead_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
