"""Servers whose weights lie beside the model: new ones are seen, named by another digest, and never half of them."""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.process import ServerProcess, septet_serve
from tests.runtimes.external_data import mapped, weights
from tests.waiting import until


def answered(server: ServerProcess) -> tuple[list[float], str]:
    answer = server.post("/predict", {"inputs": {"x": [[1, 1]]}})
    assert answer.status_code == 200, answer.text
    return answer.json()["prediction"][0], answer.headers["septet-model-digest"]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("watch", [True, False])
def test_weights_that_are_replaced_are_released_with_their_digest(workers: str, *, watch: bool, tmp_path: Path) -> None:
    path = mapped(tmp_path)
    command = septet_serve(path, "--workers", workers, "--threads", "1", *(("--watch",) if watch else ()))
    with ServerProcess(command, tmp_path / "log") as server:
        before, digest = answered(server)
        assert before == [2, 2]
        (tmp_path / "new").write_bytes(weights(9))
        (tmp_path / "new").rename(tmp_path / "w.bin")
        if not watch:
            server.process.send_signal(signal.SIGHUP)
        until(lambda: answered(server)[0] == [9, 9])
        assert answered(server)[1] != digest


@pytest.mark.parametrize("workers", ["1", "2"])
def test_weights_that_are_overwritten_or_cut_do_not_change_the_answers_of_a_digest(
    workers: str, tmp_path: Path
) -> None:
    with ServerProcess(
        septet_serve(mapped(tmp_path), "--workers", workers, "--threads", "1"), tmp_path / "log"
    ) as server:
        before = answered(server)
        with (tmp_path / "w.bin").open("r+b") as file:
            file.write(weights(9))
        assert [answered(server) for _ in range(10)] == [before] * 10
        os.truncate(tmp_path / "w.bin", 0)
        assert [answered(server) for _ in range(10)] == [before] * 10
