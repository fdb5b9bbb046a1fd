"""`septet bench` as it is typed: on a server of iris, on servers of known behaviour, and on none."""

import io
import json
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from septet.bench.load import Load
from septet.cli.bench_output import BenchProgress
from septet.cli.main import main
from tests.bench.servers import ServerThread, answer
from tests.e2e.process import IRIS, START_SECONDS, ServerProcess, free_port, septet_serve
from tests.waiting import until

SHORT = ("--duration", "0.4", "--warmup", "0.1")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log"
    with ServerProcess(septet_serve(IRIS), log) as server:
        yield f"http://127.0.0.1:{server.port}"


def bench(*words: object) -> int:
    return main(["bench", *(str(word) for word in words)])


def report(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any]:
    code = bench(*words, "--json", "-")
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("protocol", ["data", "records", "v2", "v2-binary"])
def test_every_protocol_is_answered_right(url: str, protocol: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = report(capsys, url, *SHORT, "--rate", 50, "--protocol", protocol, "--rows-per-request", 3)
    assert code == 0
    (measurement,) = found["measurements"]
    assert (measurement["answered"], measurement["errors"]) == (20, {})
    assert found["server"]["name"] == "iris"


def test_a_closed_loop_is_the_default_and_told_in_a_table(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(url, *SHORT, "--connections", 2) == 0
    out, err = capsys.readouterr()
    assert "2 connections" in out
    assert "p99.9" in out
    assert "measuring 2 connections for 0.4 s" in err


def test_rows_of_a_file_are_different_requests(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text("[[5.1, 3.5, 1.4, 0.2], [6.2, 2.9, 4.3, 1.3], [5.9, 3.0, 5.1, 1.8]]")
    code, found = report(capsys, url, *SHORT, "--rate", 50, "--data", rows)
    assert (code, found["requests"]["different"]) == (0, 3)


def test_several_rates_are_drawn_and_written(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chart, page, written = tmp_path / "chart.svg", tmp_path / "chart.html", tmp_path / "report.json"
    assert bench(url, *SHORT, "--ramp", "20:60:20", "--chart", chart, "--json", written) == 0
    assert "60/s" in capsys.readouterr().out
    assert chart.read_text().startswith("<svg")
    assert [each["load"]["rate"] for each in json.loads(written.read_text())["measurements"]] == [20, 40, 60]
    assert bench(url, *SHORT, "--rates", "20,30", "--arrivals", "poisson", "--chart", page) == 0
    assert page.read_text().startswith("<!doctype html>")


def test_a_package_is_served_and_its_golden_rows_are_verified(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = report(
        capsys, IRIS, *SHORT, "--rate", 50, "--verify", "--slo", "errors<1%", "--serve-options", "--max-rows 5"
    )
    assert code in (0, 1)  # 1 where the generator was late: the machine is busy
    assert found["measurements"][0]["errors"] == {}
    assert found["requests"]["different"] > 1


def test_a_server_is_verified_by_its_own_sample(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = report(capsys, url, *SHORT, "--rate", 50, "--verify", "--no-pin")
    assert (code, found["requests"]["different"]) == (0, 1)
    assert found["measurements"][0]["errors"] == {}


def test_a_model_that_cannot_be_served_is_told_with_what_the_server_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(tmp_path / "none.onnx", *SHORT) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_options_for_the_server_that_cannot_be_read_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(IRIS, "--serve-options", "--name 'iris") == 2
    assert "No closing quotation" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
def test_a_command_that_is_told_to_end_takes_its_server_along(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "septet", "bench", str(IRIS), "--duration", "60", "--json", "-"]
    with out.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as running:
        try:
            until(lambda: "measuring" in out.read_text(), START_SECONDS)
            (server,) = {int(each) for each in children(running.pid) if "serve" in words_of(int(each))}
            running.send_signal(signal.SIGTERM)
            assert running.wait(START_SECONDS) == 128 + signal.SIGTERM
        finally:
            running.kill()
    until(lambda: not Path(f"/proc/{server}").exists(), START_SECONDS)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def words_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def test_any_server_takes_a_body_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = tmp_path / "body.txt"
    body.write_text("hello")
    with ServerThread(lambda _: (0.0, answer(b"anything"))) as server:
        url = f"http://127.0.0.1:{server.port}/base"
        options = ("--body", body, "--path", "/score", "--content-type", "text/plain", "--header", "x-key: 1")
        code, found = report(capsys, url, *SHORT, "--rate", 50, *options)
    assert code == 0
    assert found["server"]["path"] == "/base/score"
    assert found["requests"]["body_bytes"] == {"least": 5, "most": 5}


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    file, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(file)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, key)
    return file, context


def test_a_certificate_is_checked_unless_told_otherwise(
    certificate: tuple[Path, ssl.SSLContext], capsys: pytest.CaptureFixture[str]
) -> None:
    file, context = certificate
    with ServerThread(tls=context) as server:
        words = (f"https://127.0.0.1:{server.port}", "--body", "", "--path", "/", *SHORT, "--rate", 50)
        assert bench(*words) == 2
        assert "does not answer" in capsys.readouterr().err
        assert bench(*words, "--insecure") == 0
        assert bench(*words, "--ca", file) == 0


def test_a_search_on_a_slow_server_finds_what_its_connections_allow(capsys: pytest.CaptureFixture[str]) -> None:
    """4 connections with answers of 20 ms allow 200 a second."""
    with ServerThread(lambda _: (0.02, answer())) as server:
        words = ("--body", "", "--path", "/", "--connections", 4, "--find-rate", "--slo", "p50<60ms,errors<50%")
        url = f"http://127.0.0.1:{server.port}"
        code, found = report(capsys, url, "--duration", 0.4, "--warmup", 0, *words, "--for-rate", 1000)
    assert code in (0, 1)  # 1 where a busy machine's figures vary too much to be confirmed
    assert found["found"]["rate"] < 230
    assert len(found["measurements"]) > 3
    assert found["suggestion"]["rate"] == 1000


def test_a_broken_objective_is_the_exit_code_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    refusal = answer(b"busy", "503 Service Unavailable")
    with ServerThread(lambda number: (0.0, refusal if number % 2 else answer())) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert bench(url, *SHORT, "--body", "", "--path", "/", "--rate", 50, "--slo", "max<1s") == 1
    out = capsys.readouterr().out
    assert "10 x status 503, such as: busy" in out
    assert "not met: 50/s: errors<0.1%: 50.000%" in out


def test_how_long_refusals_take_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    refusal = answer(b"busy", "503 Service Unavailable")
    with ServerThread(lambda number: (0.0, refusal if number % 2 else answer())) as server:
        words = (f"http://127.0.0.1:{server.port}", *SHORT, "--body", "", "--path", "/", "--rate", 50)
        _, found = report(capsys, *words)
        assert bench(*words) in (0, 1)
    (measured,) = found["measurements"]
    assert measured["refused"]["count"] == measured["errors"]["status 503"] > 0
    assert measured["response"]["count"] == measured["answered"] > 0
    assert "refused" in capsys.readouterr().out


def test_a_closed_loop_sizes_for_a_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with ServerThread(lambda _: (0.02, answer())) as server:
        url = f"http://127.0.0.1:{server.port}"
        bench(url, *SHORT, "--body", "", "--path", "/", "--connections", 2, "--for-rate", 700)
    assert "servers like this one" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ("--find-rate",),
        ("--find-rate", "--slo", "p99<1s", "--rates", "1,2"),
        ("--for-rate", "10", "--rate", "5"),
        ("--serve-options", "--workers 2"),
        ("--path", "/"),
        ("--verify", "--protocol", "v2"),
        ("--duration", "0"),
        ("--processes", "5", "--connections", "4"),
        ("--rows-per-request", "0"),
        ("--rate", "1", "--rates", "2"),
        ("--rates", "1,two"),
        ("--ramp", "1:2"),
        ("--ramp", "1:2:0"),
        ("--ramp", "2:1:1"),
        ("--ramp", "1:1e9:1"),
        ("--ramp", "1:inf:1"),
        ("--rate", "nan"),
        ("--duration", "nan"),
        ("--duration", "inf"),
        ("--timeout", "nan"),
        ("--for-rate", "0"),
        ("--for-rate", "nan"),
        ("--rate", "-1"),
        ("--rate", "1e9"),
        ("--slo", "fast"),
        ("--body", "", "--path", "no-slash"),
        ("--body", "none.json", "--path", "/"),
        ("--body", "", "--path", "/", "--header", "no colon"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_any_load(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(f"http://127.0.0.1:{free_port()}", *words) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("words", [("--verify", "--rows-per-request", "2"), ("--data", "none.csv")])
def test_what_does_not_fit_the_model_is_refused(
    url: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(url, *words) == 2
    assert "error: " in capsys.readouterr().err


def test_a_server_that_is_not_there_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(f"http://127.0.0.1:{free_port()}", *SHORT) == 2
    assert "does not answer" in capsys.readouterr().err


def test_a_first_answer_that_is_wrong_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    with ServerThread(lambda _: (0.0, answer(b"no such route", "404 Not Found"))) as server:
        assert bench(f"http://127.0.0.1:{server.port}", "--body", "", "--path", "/x") == 2
    assert "first request with 404: no such route" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--json", "--chart"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(f"http://127.0.0.1:{free_port()}", flag, tmp_path / "none" / "report") == 2
    assert f"report: cannot be written: there is no folder {tmp_path / 'none'}" in capsys.readouterr().err


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ServerThread() as server:
        words = ("--body", "", "--path", "/", *SHORT, "--json", tmp_path)
        assert bench(f"http://127.0.0.1:{server.port}", *words) == 2
    assert "cannot be written" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_line_that_is_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with BenchProgress(Load(1, 2.0, rate=5.0)) as watch:
        watch.step(3, 0)
    assert "measuring 5/s for 2 s" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[K")
