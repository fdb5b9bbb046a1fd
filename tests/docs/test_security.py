"""What the page on security names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(tests/[\w/.]+)`", TEXT)) - {"tests/FILE"}))
def test_a_named_test_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_promise_has_a_test() -> None:
    table = TEXT.partition("## Promises")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) > 10
    assert [row for row in rows if "`tests/" not in row.rstrip(" |").rpartition(" | ")[2]] == []


@pytest.mark.parametrize("flag", sorted(set(re.findall(r"`(--[a-z-]+)", TEXT))))
def test_a_named_flag_exists(flag: str) -> None:
    assert f"`{flag}`" in (ROOT / "docs" / "settings.md").read_text() or flag == "--print-config"
