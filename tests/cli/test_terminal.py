"""Nothing that a model, a file name, an argument or the environment says commands the terminal of who looks at it."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from septet.cli.banner import BannerServer, banner
from septet.cli.main import main
from septet.cli.progress import Progress
from septet.cli.terminal import PrintedTable, indented, show
from septet.server.release_messages import ReleaseResult, described
from septet.types import Identity
from tests.cli.hostile import EVIL, hostile, is_clean
from tests.e2e.process import IRIS
from tests.runtimes.onnx_models import FLOAT, info, model, node, saved, with_metadata

ROW = '{"data": [[5.1, 3.5, 1.4, 0.2]]}'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(words)
    captured = capsys.readouterr()
    return captured.out + captured.err


@pytest.mark.parametrize(
    "words",
    [
        ("inspect",),
        ("inspect", "--json"),
        ("check",),
        ("check", "--json"),
        ("predict", "--label"),
        ("predict", "--format", "json"),
        ("predict", "--stale-warn-days", EVIL),
    ],
)
def test_the_texts_of_a_package_are_printed_escaped(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.json").write_text(ROW)
    data = ("--data", str(tmp_path / "rows.json")) if words[0] == "predict" else ()
    text = printed(capsys, words[0], str(hostile(tmp_path)), *words[1:], *data)
    assert text
    assert is_clean(text), text
    if "--json" in words:
        json.loads(text)


def test_json_for_programs_keeps_the_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "inspect", str(hostile(tmp_path)), "--json"))
    assert found["description"] == EVIL
    assert found["signature"]["labels"][0] == f"{EVIL}setosa"


@pytest.mark.parametrize("command", ["inspect", "check", "pack", "predict", "serve", "release", "bench"])
def test_the_names_of_files_are_printed_escaped(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {
        "pack": ("--out", str(tmp_path / EVIL / "out")),
        "predict": ("--data", EVIL),
        "release": ("--to", EVIL),
    }.get(command, ())
    text = printed(capsys, command, str(tmp_path / EVIL), *more)
    assert "forged" in text
    assert is_clean(text), text


def test_unknown_arguments_are_printed_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert is_clean(printed(capsys, "inspect", str(IRIS), f"--{EVIL}"))
    assert is_clean(printed(capsys, EVIL))


def test_the_environment_is_printed_escaped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEPTET_MIDDLEWARE", EVIL)
    assert is_clean(printed(capsys, "serve", str(IRIS)))
    monkeypatch.delenv("SEPTET_MIDDLEWARE")
    monkeypatch.setenv("SEPTET_HOST", EVIL)
    text = printed(capsys, "serve", str(IRIS), "--print-config")
    assert "host" in text
    assert is_clean(text), text


def test_a_packed_model_is_reported_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"{EVIL}input"
    made = model(
        [node("Identity", [name], [f"{EVIL}y"])], [info(name, FLOAT, ["N", 2])], [info(f"{EVIL}y", FLOAT, ["N", 2])]
    )
    made.doc_string = made.graph.name = made.producer_name = EVIL
    file = saved(tmp_path, with_metadata(made, **{EVIL: EVIL}))
    named = tmp_path / "e\x1b[2J\u202e.onnx"
    shutil.copy(file, named)
    for words in (
        ("inspect", str(file)),
        ("check", str(file)),
        ("pack", str(named), "--out", str(tmp_path / "\x1b[2J")),
    ):
        text = printed(capsys, *words)
        assert text
        assert is_clean(text), text


def test_the_banner_is_printed_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from septet.assembly import open_service
    from septet.settings import Settings

    show(
        banner(open_service(hostile(tmp_path), Settings()), BannerServer("http://127.0.0.1:1", workers=1, grpc=(EVIL,)))
    )
    text = capsys.readouterr().out
    assert r"e\x1b]0;owned\x07\x9b2J\u202e\r\nerror: forgedsetosa" in text
    assert is_clean(text), text


def test_a_release_is_printed_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    evil = Identity(EVIL, EVIL, EVIL)
    show((described(ReleaseResult(evil, evil, 1, changed=True)),))
    assert is_clean(capsys.readouterr().out)


def test_progress_is_printed_escaped() -> None:
    stream = Terminal()
    with Progress(f"loading {EVIL}", stream):
        pass
    assert is_clean(stream.getvalue().replace("\r\x1b[K", ""))


def test_a_traceback_is_printed_escaped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError(EVIL)

    monkeypatch.setattr("septet.cli.inspect.describe", failing)
    for level in ("debug", "info"):
        text = printed(capsys, "inspect", str(IRIS), "--log-level", level)
        assert "forged" in text
        assert is_clean(text), text


def test_csv_is_escaped_on_a_terminal_and_exact_in_a_file() -> None:
    for stream, expected in ((Terminal(), f"{EVIL!r}"[1:-1].replace(r"\n", "\n")), (io.StringIO(), EVIL)):
        PrintedTable(stream, is_json=False).write(EVIL)
        assert stream.getvalue() == expected


def test_lines_after_the_first_of_a_message_are_indented() -> None:
    assert list(indented("a\nerror: forged\n  row 1")) == ["a", "  error: forged", "  row 1"]
