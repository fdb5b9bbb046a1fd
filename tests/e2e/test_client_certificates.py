"""`septet.Client`, `septet.AsyncClient` and `septet bench` on a server that asks for certificates of its callers."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import septet
from septet.errors import Invalid, Unavailable
from tests.e2e.certificates import Authority, tls_options
from tests.e2e.grpc_server import grpc_address
from tests.e2e.process import IRIS, ServerProcess, septet_serve

ROWS = [[5.1, 3.5, 1.4, 0.2]]
Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def caller(authority: Authority) -> Pair:
    return authority.issue("caller")


@pytest.fixture(scope="module")
def server(authority: Authority, caller: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    options = (*tls_options(authority.issue("server")), "--tls-client-ca", str(authority.certificate))
    log = tmp_path_factory.mktemp("server") / "log"
    server = ServerProcess(septet_serve(IRIS, "--grpc-port", "0", *options), log)
    server.client.close()
    trusting = authority.trusting(caller)
    server.client = httpx.Client(
        base_url=f"https://127.0.0.1:{server.port}", verify=trusting, trust_env=False, timeout=30
    )
    with server:
        yield server


def urls(server: ServerProcess) -> tuple[str, str]:
    return f"https://127.0.0.1:{server.port}", f"grpcs://{grpc_address(server)}"


@pytest.fixture(params=["files", "one file"])
def presented(request: pytest.FixtureRequest, authority: Authority, caller: Pair, tmp_path: Path) -> dict[str, Any]:
    """The arguments of a client that has a certificate."""
    certificate, key = caller
    if request.param == "files":
        return {"ca": authority.certificate, "client_certificate": certificate, "client_key": str(key)}
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return {"ca": authority.certificate, "client_certificate": both}


def test_a_client_presents_its_certificate(server: ServerProcess, presented: dict[str, Any]) -> None:
    for url in urls(server):
        with septet.Client(url, timeout=30.0, **presented) as client:
            assert client.labels(ROWS) == ["setosa"]


def test_an_asynchronous_client_presents_its_certificate(server: ServerProcess, presented: dict[str, Any]) -> None:
    async def asked(url: str) -> Any:
        async with septet.AsyncClient(url, timeout=30.0, **presented) as client:
            return await client.labels(ROWS)

    for url in urls(server):
        assert asyncio.run(asked(url)) == ["setosa"]


def test_a_client_without_a_certificate_is_not_answered(server: ServerProcess, authority: Authority) -> None:
    async def asked(url: str) -> None:
        async with septet.AsyncClient(url, timeout=30.0, retries=0, ca=authority.certificate) as client:
            await client.predict(ROWS)

    for url in urls(server):
        with (
            septet.Client(url, timeout=30.0, retries=0, ca=authority.certificate) as client,
            pytest.raises(Unavailable),
        ):
            client.predict(ROWS)
        with pytest.raises(Unavailable):
            asyncio.run(asked(url))


def test_bench_presents_a_certificate(
    server: ServerProcess, authority: Authority, caller: Pair, tmp_path: Path
) -> None:
    def bench(*options: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "septet", "bench", urls(server)[0], "--ca", str(authority.certificate))
        lengths = ("--duration", "0.2", "--warmup", "0", "--connections", "2", "--json", str(tmp_path / "report"))
        return subprocess.run(
            [*command, *lengths, *options], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
        )

    asked = bench("--client-certificate", str(caller[0]), "--client-key", str(caller[1]))
    assert asked.returncode == 0, asked.stderr
    assert json.loads((tmp_path / "report").read_text())
    refused = bench()
    assert refused.returncode != 0
    assert "does not answer" in refused.stderr


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "grpcs://127.0.0.1:1"])
def test_files_that_cannot_be_used_are_refused_when_the_client_is_made(
    url: str, authority: Authority, caller: Pair, tmp_path: Path
) -> None:
    certificate, key = caller
    other = authority.issue("other")[1]
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked],
        check=True,
        capture_output=True,
    )
    for given in (
        {"client_key": key},
        {"client_certificate": certificate},
        {"client_certificate": certificate, "client_key": other},
        {"client_certificate": certificate, "client_key": locked},
        {"client_certificate": tmp_path / "none.pem"},
        {"ca": key},
    ):
        for made in (septet.Client, septet.AsyncClient):
            with pytest.raises(Invalid, match="cert"):
                made(url, timeout=1.0, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "grpc://127.0.0.1:1", "unix:/tmp/none"])
def test_files_for_tls_are_refused_where_there_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        septet.Client(url, timeout=1.0, ca="authority.pem")
