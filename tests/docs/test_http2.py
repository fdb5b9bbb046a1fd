"""What the document of HTTP/2 says is held by tests that exist."""

import re
from pathlib import Path

import pytest

from tests.server.h2.test_hostile import CONNECTION_FAULTS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "http2.md").read_text()
FOLDERS = (ROOT / "tests" / "server" / "h2", ROOT / "tests" / "server", ROOT / "tests")
TESTS = sorted(set(re.findall(r"`([\w/]+)::(test_\w+)`", TEXT)))
CASES = sorted(set(re.findall(r"`test_hostile\[([^\].]+(?:\.[^\].]+)*)\]`", TEXT)))


@pytest.mark.parametrize(("module", "name"), TESTS)
def test_a_named_test_exists(module: str, name: str) -> None:
    files = [folder / f"{module}.py" for folder in FOLDERS]
    assert any(f"def {name}(" in file.read_text() for file in files if file.exists())


def test_every_hostile_case_is_named_and_every_named_case_exists() -> None:
    assert set(CASES) == set(CONNECTION_FAULTS)


def test_every_rule_has_a_test() -> None:
    rows = [
        line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith(("| section", "| rule"))
    ]
    assert rows
    assert [row for row in rows if "`test_" not in row.rpartition(" | ")[2] and "::test_" not in row] == []
