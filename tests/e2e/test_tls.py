"""Certificates that are replaced while a server runs, and certificates of callers, over HTTP and gRPC."""

import os
import re
import shutil
import signal
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from tests.e2e.certificates import Authority, tls_options
from tests.e2e.grpc_server import ROWS, grpc_address
from tests.e2e.process import IRIS, ServerProcess, children, septet_serve
from tests.waiting import until

INFER = "/inference.GRPCInferenceService/ModelInfer"
LIVE = "/inference.GRPCInferenceService/ServerLive"
BODY = {"data": [[5.1, 3.5, 1.4, 0.2]]}
SWITCHED, KEPT = "new connections use the TLS files", "new connections go on with the TLS files"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "theirs")


def over_tls(log: Path, client: ssl.SSLContext, *options: str) -> ServerProcess:
    """A server that is asked, and waited for, with this context."""
    server = ServerProcess(septet_serve(IRIS, *options), log)
    server.client.close()
    server.client = asking(server, client)
    return server


def asking(server: ServerProcess, client: ssl.SSLContext) -> httpx.Client:
    return httpx.Client(base_url=f"https://127.0.0.1:{server.port}", verify=client, trust_env=False, timeout=30)


def served_name(port: int, client: ssl.SSLContext, protocols: Sequence[str] = ()) -> str:
    """The name in the certificate that a new connection is shown."""
    client.set_alpn_protocols(protocols)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as opened,
        client.wrap_socket(opened, server_hostname="127.0.0.1") as encrypted,
    ):
        assert encrypted.selected_alpn_protocol() == (protocols[0] if protocols else None)
        certificate = encrypted.getpeercert() or {}
    names = {pair[0]: pair[1] for part in certificate["subject"] for pair in part}
    return str(names["commonName"])


def replace(served: tuple[Path, Path], new: tuple[Path, Path]) -> None:
    """Put a new pair in the place of the served one, as tools do: one file after the other."""
    for old, fresh in zip(served, new, strict=True):
        beside = old.with_suffix(".new")
        shutil.copy(fresh, beside)
        beside.rename(old)


@pytest.fixture
def pair(authority: Authority, tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and key that a test may replace."""
    issued = authority.issue("first")
    served = tmp_path / "served.pem", tmp_path / "served.key"
    replace(served, issued)
    return served


def resumed(
    port: int, client: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool | None]:
    """The session of a new connection, and whether it was resumed."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as opened,
        client.wrap_socket(opened, server_hostname="127.0.0.1", session=session) as encrypted,
    ):
        encrypted.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert encrypted.recv(12) == b"HTTP/1.1 200"
        return encrypted.session, encrypted.session_reused


def infer(address: str, credentials: grpc.ChannelCredentials) -> bytes:
    request = service_pb2.ModelInferRequest(model_name="iris")
    request.inputs.add(name="input", datatype="FP32", shape=[1, 4])
    request.raw_input_contents.append(np.ascontiguousarray(ROWS[:1]).tobytes())
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.secure_channel(address, credentials, options) as channel:
        call = channel.unary_unary(INFER, _registered_method=False)
        return bytes(call(request.SerializeToString(), timeout=20))


def test_a_new_certificate_serves_new_connections_in_all_workers(
    authority: Authority, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    trusted = authority.trusting()
    options = ("--workers", "2", "--grpc-port", "0", *tls_options(pair))
    with over_tls(tmp_path / "log", trusted, *options) as server:
        grpc_port = int(grpc_address(server).rpartition(":")[2])
        before = server.prediction("/predict", BODY)
        assert served_name(server.port, authority.trusting(), ["http/1.1"]) == "first"
        replace(pair, authority.issue("second"))

        def all_new(port: int, protocol: str) -> bool:
            # Of as many connections, each worker has some.
            names = {served_name(port, authority.trusting(), [protocol]) for _ in range(20)}
            return names == {"second"}

        until(lambda: all_new(server.port, "http/1.1"))
        until(lambda: all_new(grpc_port, "h2"))
        assert infer(f"127.0.0.1:{grpc_port}", grpc.ssl_channel_credentials(authority.certificate.read_bytes()))
        # The connection that was open before is open.
        assert server.prediction("/predict", BODY) == before
        assert server.log.count(SWITCHED) == 1, server.log
        server.client.close()
        assert server.stop() == 0


def test_a_pair_that_cannot_be_used_is_told_once_and_the_old_one_goes_on(
    authority: Authority, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    trusted = authority.trusting()
    with over_tls(tmp_path / "log", trusted, "--workers", "2", *tls_options(pair)) as server:
        second = authority.issue("second")
        whole = second[0].read_bytes()
        first_key = pair[1].read_bytes()
        pair[0].write_bytes(whole)  # the key is that of the first
        until(lambda: server.log.count(KEPT) == 1)
        pair[0].write_bytes(whole[: len(whole) // 2])
        until(lambda: server.log.count(KEPT) == 2)
        pair[0].unlink()
        until(lambda: server.log.count(KEPT) == 3)
        assert "key values mismatch" in server.log.casefold().replace("_", " ")
        assert f"{pair[0]}: there is no such file" in server.log
        assert {served_name(server.port, authority.trusting()) for _ in range(10)} == {"first"}
        # Also in a worker that is started in between.
        started = children(server.process.pid)
        for worker in started:
            os.kill(worker, signal.SIGKILL)
        until(lambda: len(children(server.process.pid)) == 2 and not {*started} & {*children(server.process.pid)})
        assert {served_name(server.port, authority.trusting()) for _ in range(10)} == {"first"}
        assert first_key.splitlines()[1].decode() not in server.log
        replace(pair, second)
        until(lambda: {served_name(server.port, authority.trusting()) for _ in range(10)} == {"second"})
        assert server.log.count(KEPT) == 3, server.log


def test_a_caller_needs_a_certificate_of_the_authority(
    authority: Authority, stranger: Authority, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    ours, theirs = authority.issue("caller"), stranger.issue("intruder")
    served = tmp_path / "callers.pem"
    shutil.copy(authority.certificate, served)
    options = ("--grpc-port", "0", *tls_options(pair), "--tls-client-ca", str(served))
    with over_tls(tmp_path / "log", authority.trusting(ours), *options) as server:
        assert server.prediction("/predict", BODY)
        address = grpc_address(server)
        root = authority.certificate.read_bytes()
        assert infer(address, grpc.ssl_channel_credentials(root, ours[1].read_bytes(), ours[0].read_bytes()))
        for refused in (authority.trusting(), authority.trusting(theirs)):
            with asking(server, refused) as client, pytest.raises(httpx.TransportError):
                client.get("/health/live")
        for credentials in (
            grpc.ssl_channel_credentials(root),
            grpc.ssl_channel_credentials(root, theirs[1].read_bytes(), theirs[0].read_bytes()),
        ):
            with pytest.raises(grpc.RpcError):
                infer(address, credentials)
        # Another authority takes its place; a session of the first one is worth nothing then.
        trusting = authority.trusting(ours)
        trusting.maximum_version = ssl.TLSVersion.TLSv1_2
        session, _ = resumed(server.port, trusting, None)
        assert resumed(server.port, trusting, session)[1]
        shutil.copy(stranger.certificate, served)

        def answered(pair: tuple[Path, Path]) -> bool:
            with asking(server, authority.trusting(pair)) as client:
                try:
                    return client.get("/health/live").status_code == 200
                except httpx.TransportError:
                    return False

        until(lambda: answered(theirs))
        with pytest.raises(OSError, match=r"EOF|reset"):
            resumed(server.port, trusting, session)
        assert not answered(ours)
        assert "Traceback" not in server.log


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_nothing_below_tls_1_2_is_spoken(authority: Authority, pair: tuple[Path, Path], tmp_path: Path) -> None:
    with over_tls(tmp_path / "log", authority.trusting(), *tls_options(pair)) as server:
        for version, spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
            old = authority.trusting()
            old.set_ciphers("DEFAULT:@SECLEVEL=0")
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = version
            if spoken:
                assert served_name(server.port, old) == "first"
            else:
                with pytest.raises((ssl.SSLError, OSError)):
                    served_name(server.port, old)


def test_a_handshake_that_does_not_come_ends_as_headers_that_do_not(
    authority: Authority, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    options = ("--header-timeout-seconds", "0.5", "--max-connections", "3", *tls_options(pair))
    with over_tls(tmp_path / "log", authority.trusting(), *options) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(8)]
        for each in silent:
            with each:
                assert each.recv(1) == b""
        server.client.close()
        server.client = asking(server, authority.trusting())
        assert server.prediction("/predict", BODY)
        assert not re.search("Traceback|Unhandled|exception", server.log)
