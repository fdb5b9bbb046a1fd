"""New versions of a model in servers that run, by the command, by SIGHUP and by watching, with real processes."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from septet.server.admin_socket import default_admin_path
from tests.e2e.process import ServerProcess, free_port, septet_serve
from tests.packing.saving import save
from tests.waiting import until

ROW = [5.1, 3.5, 1.4, 0.2]
RELEASES = 10
TOLERANCE = 1e-5


class Versions:
    """Packages of one model: two versions that callers cannot tell apart, and others that may not follow them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        generator = np.random.default_rng(1)
        x = generator.normal(3.0, 2.0, (60, 4))
        y = (x.sum(axis=1) > 12).astype(np.int64)
        self.expected: dict[str, list[float]] = {}
        for version, c in (("1", 1.0), ("2", 0.01)):
            model = LogisticRegression(C=c).fit(x, y)
            save(model, folder / f"iris-{version}", data=x, name="iris", version=version)
            self.expected[version] = model.predict_proba([ROW])[0].tolist()
        save(LogisticRegression().fit(x[:, :3], y), folder / "narrow", data=x[:, :3], name="iris", version="3")
        save(DecisionTreeClassifier(max_depth=2).fit(x, y), folder / "other", data=x, name="wine", version="1")
        self.first, self.second = folder / "iris-1", folder / "iris-2"
        self.narrow, self.other = folder / "narrow", folder / "other"
        self.damaged = folder / "damaged"
        shutil.copytree(self.second, self.damaged)
        artefact = next(self.damaged.glob("*.onnx"))
        artefact.write_bytes(artefact.read_bytes()[:-1] + b"\0")

    def right(self, version: str, probabilities: list[float]) -> bool:
        """Whether an answer to `ROW` is this version's own."""
        return np.allclose(probabilities, self.expected[version], rtol=0, atol=TOLERANCE)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    return Versions(tmp_path_factory.mktemp("versions"))


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def workers(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(versions: Versions, workers: str, tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(septet_serve(versions.first, "--workers", workers), tmp_path / "log") as server:
        yield server


def release(server: ServerProcess | Path, path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    to = str(server.port) if isinstance(server, ServerProcess) else str(server)
    command = [sys.executable, "-m", "septet", "release", str(path), "--to", to, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def served_versions(server: ServerProcess) -> set[str]:
    """The versions that answer new connections."""
    return {httpx.get(f"{server.client.base_url}/metadata", timeout=30).json()["version"] for _ in range(8)}


def ask_over_http(server: ServerProcess, over: threading.Event) -> list[tuple[str, list[float]]]:
    """Ask without a pause over one connection; the version and probabilities of each answer."""
    found = []
    with httpx.Client(base_url=server.client.base_url, timeout=30, trust_env=False) as client:
        while not over.is_set():
            reply = client.post("/predict", json={"data": [ROW]})
            assert reply.status_code == httpx.codes.OK, reply.text
            body = reply.json()
            assert reply.headers["septet-model-version"] == body["model"]["version"]
            assert reply.headers["septet-model-digest"] == body["model"]["digest"]
            found.append((body["model"]["version"], body["prediction"][0]))
    return found


def ask_over_grpc(address: str, over: threading.Event) -> list[tuple[str, list[float]]]:
    found = []
    with triton.InferenceServerClient(address) as client:
        (described,) = client.get_model_metadata("iris").inputs
        tensor = triton.InferInput(described.name, [1, 4], described.datatype)
        tensor.set_data_from_numpy(np.array([ROW], {"FP32": np.float32, "FP64": np.float64}[described.datatype]))
        while not over.is_set():
            answer = client.infer("iris", [tensor])
            found.append((answer.get_response().model_version, answer.as_numpy("probabilities")[0].tolist()))
    return found


def test_ten_releases_and_a_roll_back_under_load_lose_no_request(
    versions: Versions, workers: str, tmp_path: Path
) -> None:
    port, over = free_port(), threading.Event()
    command = septet_serve(versions.first, "--workers", workers, "--grpc-port", str(port))
    with ServerProcess(command, tmp_path / "log") as server, ThreadPoolExecutor(4) as pool:
        grpc.channel_ready_future(grpc.insecure_channel(f"127.0.0.1:{port}")).result(60)
        asking = [pool.submit(ask_over_http, server, over) for _ in range(3)]
        asking.append(pool.submit(ask_over_grpc, f"127.0.0.1:{port}", over))
        try:
            for turn in range(RELEASES + 1):
                done = release(server, versions.first if turn % 2 else versions.second)
                assert done.returncode == 0, done.stderr + server.log
                assert f"in {workers} worker" in done.stdout
        finally:
            over.set()
        answers = [answer for each in asking for answer in each.result()]
        assert served_versions(server) == {"2"}
        assert {version for version, _ in answers} == {"1", "2"}
        assert all(versions.right(*answer) for answer in answers)
        assert server.metric("septet_requests_total", code="internal") == 0
        assert server.stop() == 0


REFUSED = {
    "narrow": "the column 'x3' is gone",
    "other": "is the model 'wine'",
    "damaged": "is not the file that was packed",
    "absent": "no such file",
}


def test_what_may_not_follow_is_refused_and_the_old_version_is_served_on(
    server: ServerProcess, versions: Versions
) -> None:
    for name, why in REFUSED.items():
        done = release(server, versions.folder / name)

        assert done.returncode == 2
        assert why in done.stderr
    assert served_versions(server) == {"1"}


def test_who_breaks_the_schema_on_purpose_says_so(server: ServerProcess, versions: Versions) -> None:
    assert release(server, versions.narrow).returncode == 2

    done = release(server, versions.narrow, "--force", "--json")

    assert json.loads(done.stdout)["after"]["version"] == "3"
    assert len(server.prediction("/predict", {"data": [ROW[:3]]})[0]) == 2
    assert server.post("/predict", {"data": [ROW]}).status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_a_release_may_say_name_and_version(server: ServerProcess, versions: Versions) -> None:
    bare = next(versions.second.glob("*.onnx"))

    done = release(server, bare, "--name", "iris", "--version", "2b", "--force")

    assert done.returncode == 0, done.stderr
    assert served_versions(server) == {"2b"}
    assert release(server, bare, "--name", "a b").returncode == 2


def test_a_worker_that_is_replaced_serves_what_was_released(versions: Versions, tmp_path: Path) -> None:
    with ServerProcess(septet_serve(versions.first, "--workers", "2"), tmp_path / "log") as server:
        assert release(server, versions.second).returncode == 0
        before = set(children(server.process.pid))

        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(now := set(children(server.process.pid))) == 2 and now != before)

        assert served_versions(server) == {"2"}


def test_a_hangup_releases_what_has_changed_on_disk(versions: Versions, workers: str, tmp_path: Path) -> None:
    with ServerProcess(septet_serve(copy(versions.first, tmp_path), "--workers", workers), tmp_path / "log") as server:
        server.process.send_signal(signal.SIGHUP)
        replace(tmp_path / "current", versions.second)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: served_versions(server) == {"2"})

        replace(tmp_path / "current", versions.damaged)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "is not released, what was served is served on" in server.log)

        assert served_versions(server) == {"2"}
        assert server.stop() == 0


def test_a_watched_model_is_released_when_its_files_change(versions: Versions, workers: str, tmp_path: Path) -> None:
    command = septet_serve(copy(versions.first, tmp_path), "--workers", workers, "--watch")
    with ServerProcess(command, tmp_path / "log") as server:
        replace(tmp_path / "current", versions.second)
        until(lambda: served_versions(server) == {"2"})
        replace(tmp_path / "current", versions.first)
        until(lambda: served_versions(server) == {"1"})


def test_a_model_that_was_missing_is_served_once_it_is_released(versions: Versions, tmp_path: Path) -> None:
    command = [*septet_serve(versions.other), str(versions.damaged), "--allow-missing"]
    with ServerProcess(command, tmp_path / "log", ready="/health/live") as server:
        until(
            lambda: server.client.get("/models/iris/metadata").json()["error"]["message"].startswith("The model 'iris'")
        )

        assert release(server, versions.second).returncode == 0

        assert versions.right("2", server.prediction("/models/iris/predict", {"data": [ROW]})[0])


def test_only_its_owner_may_use_the_admin_socket(server: ServerProcess) -> None:
    path = default_admin_path(server.port)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert server.client.post("/release", json={}).status_code == httpx.codes.NOT_FOUND
    assert server.stop() == 0
    assert not path.exists()


def test_a_socket_that_a_killed_server_left_behind_is_no_obstacle(versions: Versions, tmp_path: Path) -> None:
    socket = tmp_path / "admin.sock"
    with ServerProcess(septet_serve(versions.first, "--admin-socket", str(socket)), tmp_path / "log") as killed:
        killed.process.kill()
        killed.process.wait()
    assert socket.is_socket()

    command = septet_serve(versions.first, "--admin-socket", str(socket))
    with ServerProcess(command, tmp_path / "log") as server:
        assert release(socket, versions.second).returncode == 0
        second = [word.format(port=0) for word in command]
        taken = subprocess.run(second, capture_output=True, text=True, check=False)
        assert taken.returncode == 2
        assert "another server has the admin socket" in taken.stderr
        assert served_versions(server) == {"2"}


def test_without_an_admin_socket_the_command_says_so(versions: Versions, tmp_path: Path) -> None:
    with ServerProcess(septet_serve(versions.first, "--admin-socket", "none"), tmp_path / "log") as server:
        done = release(server, versions.second)

        assert done.returncode == 2
        assert "--admin-socket" in done.stderr


def copy(package: Path, folder: Path) -> Path:
    shutil.copytree(package, folder / "current")
    return folder / "current"


def replace(place: Path, package: Path) -> None:
    """Put a package where another one is, as a careful deployment does: the whole folder at once."""
    new, old = place.with_name("new"), place.with_name("old")
    shutil.copytree(package, new)
    place.rename(old)
    new.rename(place)
    shutil.rmtree(old)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
