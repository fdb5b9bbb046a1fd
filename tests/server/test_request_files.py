"""A warm request runs through few files of this source, so that its way can be read."""

import asyncio
from pathlib import Path

import pytest

from tests.server.request_files import request_files

#: The most files, by the kind of request. `docs/architecture.md` lists them.
MOST = {"POST /predict": 14, "V2 binary": 15, "gRPC": 20}


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    return asyncio.run(request_files())


@pytest.mark.parametrize("kind", MOST)
def test_a_warm_request_runs_through_few_files(found: dict[str, list[str]], kind: str) -> None:
    assert len(found[kind]) <= MOST[kind], "\n".join(found[kind])


@pytest.mark.parametrize("kind", MOST)
def test_the_document_of_the_architecture_lists_them_in_order(found: dict[str, list[str]], kind: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    section = text.partition(f"### {kind}\n")[2].partition("#")[0]
    assert section.split() == found[kind]
