"""Helpers that tests share: music folders from literals, an independent look at the disk, short ways to scan."""

import pytest

pytest.register_assert_rewrite("support.disk", "support.scans")
