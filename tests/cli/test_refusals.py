"""What cannot be done is one message and exit code 2, for each command and each thing that may be wrong."""

from pathlib import Path

import pytest

from septet.cli.main import main
from tests.runtimes import onnx_models


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a model and files that do not suit it."""
    onnx_models.saved(tmp_path, onnx_models.identity())
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "damaged.onnx").write_bytes(b"nonsense")
    (tmp_path / "folder").mkdir()
    (tmp_path / "rows.csv").write_text("x_0,x_1\n1,2\n")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "header.csv").write_text("x_0,x_1\n")
    (tmp_path / "short.csv").write_text("x_0,x_1\n1,2\n3\n")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "latin.csv").write_bytes(b"x_0,x_1\n\xff,1\n")
    (tmp_path / "rows.json").write_text('{"data": [[1, 2]')
    (tmp_path / "rows.npy").write_bytes(b"nonsense")
    (tmp_path / "settings.toml").write_text("[server]\nport = 'http'\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


REFUSED = [
    ("serve model.onnx --port 99999", "server.port (--port) is '99999'; expected a whole number from 0 to 65535."),
    ("serve model.onnx --config settings.toml", "server.port (settings.toml) is 'http'"),
    ("serve model.onnx --config none.toml", "the configuration file none.toml cannot be read: No such file"),
    ("serve model.onnx --config folder", "the configuration file folder cannot be read: Is a directory"),
    ("serve model.onnx --tls-key none.pem", "server.tls_key (--tls-key) is 'none.pem'; expected the path of a file"),
    ("serve model.onnx --host 256.1.1.1 --port 0", "cannot listen on host '256.1.1.1'"),
    ("serve folder --port 0", "folder"),
    ("serve empty.onnx --port 0", "empty.onnx: the file is empty. Export or copy it again."),
    ("serve damaged.onnx --port 0", "damaged.onnx: "),
    ("serve rows.csv --port 0", "rows.csv: no runtime reads '.csv'"),
    ("serve model.onnx --labels none.json --port 0", "label file none.json: does not exist"),
    ("serve model.onnx --middleware none:wrap --port 0", "the middleware 'none:wrap' cannot be imported"),
    ("serve model.onnx --middleware os:sep --port 0", "the middleware 'os:sep' is a str, not a function or class"),
    ("serve model.onnx damaged.onnx --port 0", "damaged.onnx: "),
    ("serve model.onnx model.onnx --port 0", "two models have the name 'model'"),
    ("inspect none.onnx", "none.onnx: there is no such file or folder. Check the path."),
    ("inspect folder", "folder: is a folder without septet.toml"),
    ("check model.onnx --data rows.csv", "--data gives rows to compare the native model on; give --native as well"),
    ("predict model.onnx --data none.csv", "none.csv: there is no such file"),
    ("predict model.onnx --data folder", "folder: there is no such file"),
    ("predict model.onnx --data empty.csv", "The CSV is empty. Send a header row of column names, then the rows."),
    ("predict model.onnx --data header.csv", "no rows"),
    ("predict model.onnx --data short.csv", "row 1"),
    ("predict model.onnx --data other.csv", "column 'x_0'"),
    ("predict model.onnx --data latin.csv", "The CSV is not UTF-8"),
    ("predict model.onnx --data rows.json", "JSON"),
    ("predict model.onnx --data rows.npy", "not a .npy file"),
    ("predict model.onnx --data rows.csv --data-format npy", "not a .npy file"),
    ("predict model.onnx --data rows.csv --format xml", "argument --format: invalid choice: 'xml'"),
    ("predict model.onnx", "the following arguments are required: --data"),
    ("pack model.onnx", "the following arguments are required: --out"),
    ("pack model.onnx --out folder", "folder: exists and is not a Septet package, so it is left alone"),
    ("pack model.onnx --out rows.csv/below", "rows.csv/below: the package cannot be written"),
    ("pack model.onnx --out p --data-since 2026-02-01 --data-until 2026-01-01", "window: the first day, 2026-02-01"),
    ("pack model.onnx --out p --data other.csv", "column 'x_0'"),
    ("pack none.onnx --out p", "none.onnx: there is no such file or folder"),
    ("bench model.onnx --json none/report.json", "none/report.json: cannot be written: there is no folder none"),
]


@pytest.mark.parametrize(("command", "said"), REFUSED)
def test_a_command_that_cannot_be_done_says_why(
    command: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in folder.rglob("*"))
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert said in err
    assert line.count("error:") == 1
    assert "Traceback" not in err
    assert out == ""
    assert sorted(path.name for path in folder.rglob("*")) == before
