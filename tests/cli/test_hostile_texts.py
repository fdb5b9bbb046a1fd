"""A package may say what it likes of itself; it steers neither the terminal, nor a log, nor a header."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from septet.assembly import open_service
from septet.cli.banner import banner
from septet.cli.main import main
from septet.cli.terminal_text import EscapedStream
from septet.control_characters import escaped, escaped_json, escaped_lines, has_controls
from septet.errors import PackageInvalid
from septet.model.package import read_package
from septet.protocols.http.response_headers import flags_header, identity_headers
from septet.settings import Settings
from septet.types import Identity

IRIS = Path(__file__).parents[2] / "examples" / "iris"
# Sets the title, clears the screen; C1's CSI; writes from right to left; begins another line; has no width.
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202egnp\u2066\r\nfake: line\u200b\x00\x7f\u2028"


@pytest.fixture
def package(tmp_path: Path) -> Callable[[str, str], Path]:
    """A package of which one text was replaced."""

    def made(old: str, new: str) -> Path:
        root = tmp_path / "iris"
        shutil.copytree(IRIS, root)
        text = (root / "septet.toml").read_text()
        assert old in text
        (root / "septet.toml").write_text(text.replace(old, new))
        return root

    return made


SIGNS = (
    "\x1b",
    "\x07",
    "\x9b",
    "\u202e",
    "\u2066",
    "\r",
    "\n",
    "\r\n",
    "\u200b",
    "\x00",
    "\x7f",
    "\u2028",
    " ",
    "/",
    "%0d",
)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("key", ["name", "version"])
def test_a_name_or_version_that_no_header_and_no_path_can_carry_is_refused(
    package: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str], key: str, sign: str
) -> None:
    old = 'name = "iris"' if key == "name" else 'version = "1"'
    root = package(old, f"{key} = {json.dumps(f'a{sign}b')}".replace("\\u007f", "\\u007F"))
    with pytest.raises(PackageInvalid) as refused:
        read_package(root)
    assert key in refused.value.message
    assert not has_controls(refused.value.message)
    for command in ("inspect", "check"):
        assert main([command, str(root)]) != 0
        printed = "".join(capsys.readouterr())
        assert not has_controls(printed.replace("\n", ""))


@pytest.mark.parametrize("command", ["inspect", "check"])
def test_texts_of_a_package_do_not_steer_the_terminal(
    package: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    root = package('description = "', f'description = "{json.dumps(HOSTILE)[1:-1]}')
    assert main([command, str(root), "--allow-stale"]) == 0
    out, err = capsys.readouterr()
    assert not has_controls((out + err).replace("\n", ""))
    assert not any(line.startswith("fake") for line in out.splitlines())


def test_json_for_programs_has_the_very_text_and_shows_none_of_it(
    package: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = package('description = "', f'description = "{json.dumps(HOSTILE)[1:-1]}')
    assert main(["inspect", str(root), "--json"]) == 0
    out = capsys.readouterr().out
    assert not has_controls(out.replace("\n", ""))
    assert json.loads(out)["description"].startswith(HOSTILE)


def test_labels_do_not_steer_the_banner() -> None:
    service = open_service(IRIS, Settings())
    labels = (HOSTILE, *service.manifest.signature.labels[1:])
    signature = msgspec.structs.replace(service.manifest.signature, labels=labels)
    hostile = msgspec.structs.replace(service, manifest=msgspec.structs.replace(service.manifest, signature=signature))
    shown = escaped_lines(banner(hostile, "http://127.0.0.1:8000", workers=1))
    assert not has_controls(shown.replace("\n", ""))
    assert not any(line.startswith("fake") for line in shown.splitlines())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_predictions_in_json_keep_their_texts_and_steer_nothing() -> None:
    stream = io.StringIO()
    EscapedStream(stream, json=True).write(json.dumps([HOSTILE], ensure_ascii=False) + "\n")
    assert not has_controls(stream.getvalue().removesuffix("\n"))
    assert json.loads(stream.getvalue()) == [HOSTILE]


def test_predictions_in_csv_are_exact_in_a_file_and_steer_no_terminal() -> None:
    file, terminal = io.StringIO(), Terminal()
    for stream in (file, terminal):
        EscapedStream(stream, json=False).write(f'"{HOSTILE}",1\n')
    assert file.getvalue() == f'"{HOSTILE}",1\n'
    assert not has_controls(terminal.getvalue().replace("\r\n", "").replace("\n", ""))


def test_no_header_has_a_line_break_whatever_a_model_is_called() -> None:
    headers = (*identity_headers(Identity(HOSTILE, HOSTILE, "sha256:0")), *flags_header((HOSTILE,)))
    for _, value in headers:
        assert not has_controls(value.decode("ascii"))


def test_escaping_keeps_what_is_no_control_character() -> None:
    plain = "Größe 年　齢 5\u202f°C, \U0001f468\u200d\U0001f469"
    assert escaped(plain) == escaped_lines(plain) == escaped_json(plain) == plain
    assert escaped_lines("a\n\tb\r\nc") == "a\n\tb\r\nc"
    assert escaped("a\n\tb") == r"a\n\tb"


def test_escaped_json_means_the_same() -> None:
    value = {HOSTILE: [HOSTILE, "\U000e0041"]}
    text = escaped_json(json.dumps(value, ensure_ascii=False))
    assert not has_controls(text)
    assert json.loads(text) == value
