"""What is enriched here is made with the tools of the tests of enrichment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from process_kit import Scanner
from support.fork_server import ForkServer

sys.path.insert(0, str(Path(__file__).parents[1] / "enrichment"))


@pytest.fixture
def scanners(forks: ForkServer) -> None:
    """Lets programs that scan start."""
    Scanner.forks = forks
