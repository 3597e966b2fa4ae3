"""What `make` refuses with a word, before it sets anything up."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("target", "told"), [("run", "make run MUSIC="), ("test-arango", "make test-arango NOMARR_TEST_ARANGO_URL=")]
)
def test_what_has_to_be_told_is_asked_for(target: str, told: str) -> None:
    unset = {name: value for name, value in os.environ.items() if name not in ("MUSIC", "NOMARR_TEST_ARANGO_URL")}
    finished = subprocess.run(
        ["make", "--no-print-directory", target], cwd=REPOSITORY, env=unset, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert told in finished.stderr
    assert "pip" not in finished.stdout
