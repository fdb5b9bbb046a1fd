"""The documents say what is so: commands parse, JSON is JSON, links lead somewhere, and lists are complete."""

import argparse
import asyncio
import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest

import septet
from septet import errors
from septet.assembly.composition import layout
from septet.assembly.grpc_serving import grpc_templates
from septet.cli.main import COMMANDS
from septet.cli.parser import Parser
from septet.protocols.http.error_bodies import STATUS
from septet.web.pages import FILES

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(septet [^`]+)`")
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def blocks(language: str) -> list[tuple[str, str]]:
    """Every block of a language: where it stands, and its text."""
    texts = [(path.relative_to(ROOT), path.read_text()) for path in DOCUMENTS]
    return [
        (f"{path}:{text.count(chr(10), 0, block.start()) + 2}", block[3])
        for path, text in texts
        for block in BLOCK.finditer(text)
        if block[2] == language
    ]


def commands() -> list[str]:
    """Every command line that begins with `septet`, in blocks and in running text, each once."""
    found: dict[str, None] = {}
    for path in DOCUMENTS:
        text = path.read_text()
        lines = [line.strip() for block in BLOCK.finditer(text) for line in block[3].splitlines()]
        lines += [match[1] for match in INLINE.finditer(text)]
        for line in lines:
            bare = line.removeprefix("$ ").partition(" #")[0].partition(" >> ")[0].strip()
            if bare.startswith("septet ") and " / " not in bare and bare.split()[1] in COMMANDS:
                found[bare] = None
    return list(found)


@pytest.mark.parametrize("command", commands())
def test_a_documented_command_parses(command: str) -> None:
    name, *arguments = shlex.split(command)[1:]
    if not arguments or "--help" in arguments:
        return
    module = importlib.import_module(f"septet.cli.{name}")
    parser = Parser(prog=f"septet {name}")
    module.configure(parser)
    assert isinstance(parser.parse_args(arguments), argparse.Namespace)


@pytest.mark.parametrize(("place", "text"), blocks("json"))
def test_documented_json_is_json(place: str, text: str) -> None:
    assert json.loads(text), place


@pytest.mark.parametrize(("place", "text"), blocks("python"))
def test_documented_python_compiles(place: str, text: str) -> None:
    compile(text, place, "exec")


@pytest.mark.parametrize(("place", "text"), [each for each in blocks("python") if "docs/testing.md" in each[0]])
def test_documented_tests_pass(place: str, text: str) -> None:
    exec(compile(text, place, "exec"), {"__name__": "documented"})


def test_the_documented_middleware_flags_what_it_says() -> None:
    (text,) = [text for place, text in blocks("python") if "docs/serving.md" in place and "Predictor" in text]
    found: dict[str, Any] = {}
    exec(text, found)
    app = septet.asgi(ROOT / "examples" / "iris", middleware=[found["Cautious"]])

    async def flags(rows: int) -> tuple[str | None, Any]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            reply = await client.post("/predict", json={"data": [[5.1, 3.5, 1.4, 0.2]] * rows})
        assert reply.status_code == 200
        return reply.headers.get("septet-flags"), reply.json().get("flags")

    assert asyncio.run(flags(100)) == (None, None)
    assert asyncio.run(flags(101)) == ("large", ["large"])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_to_one(path: Path) -> None:
    targets = [target for target in LINK.findall(path.read_text()) if "://" not in target]
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_every_error_code_is_documented_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE)
    assert {code: int(status) for code, status in rows} == STATUS


def test_every_error_that_stops_a_start_is_documented() -> None:
    named = set(re.findall(r"^\| `([A-Z]\w+)` \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE))
    assert named == {error.__name__ for error in errors.StartupError.__subclasses__()}


def test_every_route_is_documented() -> None:
    text = (ROOT / "docs/serving.md").read_text()
    pages = set(FILES)
    templates = set(layout(1).routes) - (pages - {"/", "/docs"}) - {"unmatched"}
    assert [path for path in templates if f" {path}`" not in text] == []
    for method in grpc_templates():
        _, service, name = method.split("/")
        assert f"`{service}`" in text
        assert f"`{name}`" in text
