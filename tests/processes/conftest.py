"""The child program and the tools around it live with the chaos tests; both kinds of tests share them."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from support.fork_server import ForkServer

sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))

from disk_model import Disk
from process_kit import Scanner


@pytest.fixture(autouse=True)
def _scanners(forks: ForkServer) -> None:
    """Lets programs that scan start."""
    Scanner.forks = forks


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A library big enough for worker processes and a few write transactions."""
    folder = tmp_path / "Music"
    Disk([folder], random.Random(1)).fill(folder, 1500)
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "nomarr.db"
