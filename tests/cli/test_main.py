"""The command line as a whole: help, unknown words, exit codes, and what is imported for it."""

import subprocess
import sys
import threading
from argparse import Namespace
from pathlib import Path

import pytest

from septet.cli.main import COMMANDS, main
from septet.errors import Invalid, ModelNotFound, Problem
from septet.settings.fields import fields


def septet(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "septet", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_importing_the_command_line_imports_no_numpy_and_no_engine() -> None:
    code = "import sys; import septet.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    heavy = {"numpy", "onnxruntime", "sklearn", "pandas", "onnx", "email", "uvloop"}
    assert not heavy & set(done.stdout.split())


def test_the_module_is_the_command() -> None:
    done = septet("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("septet ")


def test_a_program_may_call_a_command_in_a_thread(capsys: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["--version"])))
    thread.start()
    thread.join()
    assert codes == [0]
    assert capsys.readouterr().out.startswith("septet ")


def test_no_command_is_refused_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "septet --help" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"  septet {name} " in text
    assert "example" in text


def test_help_of_serve_names_every_flag_and_variable(capsys: pytest.CaptureFixture[str]) -> None:
    main(["serve", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for field in fields():
        if field.group != "batch":  # of other commands
            assert f"--{field.flag} " in text
            assert field.env in text


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sevre"]) == 2
    assert "'sevre'" in capsys.readouterr().err


def test_an_unknown_flag_is_refused_with_its_likely_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "iris.onnx", "--prot=80"]) == 2
    assert "error: unknown argument --prot (did you mean --port?)" in capsys.readouterr().err


def test_flags_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "iris.onnx", "--work", "2"]) == 2
    assert "--work" in capsys.readouterr().err


def test_effective_settings_are_printed_with_their_sources(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "septet-server.toml"
    config.write_text("[server]\nport = 1\nworkers = 3\n[limits]\nmax_rows = 5\n")
    monkeypatch.setenv("SEPTET_PORT", "2")
    monkeypatch.setenv("SEPTET_WORKERS", "4")
    words = ["serve", "iris.onnx", "--print-config", "--config", str(config), "--port", "3", "--access-log"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "port = 3  # --port" in lines
    assert "workers = 4  # SEPTET_WORKERS" in lines
    assert f"max_rows = 5  # {config}" in lines
    assert "access = true  # --access-log" in lines


def test_a_bad_setting_is_one_message_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "iris.onnx", "--port", "http"]) == 2
    assert (
        capsys.readouterr().err == "error: server.port (--port) is 'http'; expected a whole number from 0 to 65535.\n"
    )


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What `septet serve` raises in place of serving."""
    raised: list[BaseException] = []

    def run(_: Namespace) -> int:
        raise raised[0]

    monkeypatch.setattr("septet.cli.serve.run", run)
    return raised


def test_a_start_up_error_is_one_message_and_exit_code_2(
    outcome: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome.append(ModelNotFound("iris.onnx: does not exist"))
    assert main(["serve", "iris.onnx"]) == 2
    assert capsys.readouterr().err == "error: iris.onnx: does not exist\n"


def test_a_fault_is_exit_code_1_with_a_hint(outcome: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    outcome.append(ZeroDivisionError("division by zero"))
    assert main(["serve", "iris.onnx"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: ZeroDivisionError: division by zero\n")
    assert "--log-level debug" in text
    assert "Traceback" not in text


def test_debugging_shows_the_traceback(outcome: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    outcome.append(ZeroDivisionError("division by zero"))
    assert main(["serve", "iris.onnx", "--log-level", "debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interruption_is_quiet(outcome: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    outcome.append(KeyboardInterrupt())
    assert main(["serve", "iris.onnx"]) == 130
    assert capsys.readouterr().err == ""


def test_several_problems_are_listed(outcome: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    problems = (Problem(3, "a", "number", "string"), Problem(None, "b", "a column", "none"))
    outcome.append(Invalid("2 things are wrong.", problems))
    assert main(["serve", "iris.onnx"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: 2 things are wrong.",
        "  row 3, column 'a': expected number, received string",
        "  column 'b': expected a column, received none",
    ]
