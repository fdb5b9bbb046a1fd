"""What `septet render` refuses, and what a configuration must not lack. Real balancers: tests/e2e/test_balancers.py."""

import pytest

from septet.cli.main import main

ONE = ["--replica", "10.0.0.1:8000"]


def rendered(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["render", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nginx"], "give each server with --replica"),
        (["nginx", "--replica", "10.0.0.1"], "give each replica as HOST:PORT"),
        (["nginx", "--replica", "10.0.0.1:0"], "give each replica as HOST:PORT"),
        (["nginx", "--replica", "unix:relative.sock"], "or as unix:/PATH"),
        (["nginx", "--replica", "unix:/a;b.sock"], "or as unix:/PATH"),
        (["nginx", "--grpc-replica", "unix:/run/a.sock"], "gRPC is served on TCP ports only"),
        (["nginx", "--replica", "a;b:80"], "give each replica as HOST:PORT"),
        (["nginx", *ONE, "--service", "a b"], "take letters, digits and _ only"),
        (["nginx", *ONE, "--listen", "70000"], "70000 is no port"),
        (["nginx", *ONE, "--certificate", "/etc/a.pem"], "--certificate and --key together"),
        (["haproxy", *ONE, "--certificate", "/etc/a b.pem"], "a path without spaces"),
        (["haproxy", *ONE, *ONE, "--grpc-replica", "10.0.0.1:8001"], "2 replicas for HTTP and 1 for gRPC"),
    ],
)
def test_what_no_configuration_can_be_written_for_is_refused(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", *words]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("balancer", ["nginx", "haproxy"])
def test_times_are_longer_than_those_of_the_server(balancer: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = rendered(capsys, balancer, *ONE, "--max-timeout-seconds", "60")

    assert "65s" in text


@pytest.mark.parametrize("balancer", ["nginx", "haproxy"])
def test_an_address_of_ipv6_has_brackets(balancer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "[::1]:8000" in rendered(capsys, balancer, "--replica", "[::1]:8000")


def test_a_server_on_a_unix_socket_is_written_as_each_balancer_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    replica = ["--replica", "unix:/run/septet/iris.sock", "--grpc-replica", "127.0.0.1:8001"]
    assert "server unix:/run/septet/iris.sock max_fails=1" in rendered(capsys, "nginx", *replica)
    haproxy = rendered(capsys, "haproxy", *replica)
    assert "unix@/run/septet/iris.sock check\n" in haproxy
    assert "127.0.0.1:8001 proto h2 check\n" in haproxy


def test_a_published_path_is_taken_off(capsys: pytest.CaptureFixture[str]) -> None:
    nginx = rendered(capsys, "nginx", *ONE, "--root-path", "/models/iris")
    haproxy = rendered(capsys, "haproxy", *ONE, "--root-path", "/models/iris")

    assert "location /models/iris/ {\n        proxy_pass http://septet/;" in nginx
    assert "location = /models/iris/metrics { return 404; }" in nginx
    assert "set-path %[path,regsub(^/models/iris/,/)]" in haproxy


def test_grpc_is_published_alone_where_only_that_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    for balancer in ("nginx", "haproxy"):
        text = rendered(capsys, balancer, "--grpc-replica", "10.0.0.1:8001")
        assert "8001" in text
        assert "/metrics" not in text


@pytest.mark.parametrize("path", ["/a;}", "/a$b", "/a'b", '/a"b', "/a{b", "/a\\b", "/a\x1b[2J", "/a\r\nb", "/a\u202eb"])
def test_a_path_that_would_end_a_line_of_a_configuration_is_refused(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", "nginx", *ONE, "--root-path", path]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "--root-path" in err
    assert err.replace("\n", "").isprintable()


def test_a_callers_id_stands_in_the_json_of_nginx_only_where_it_breaks_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = rendered(capsys, "nginx", *ONE)
    assert '"id":"$septet_request_id_shown"' in text
    assert '"id":"$septet_request_id"' not in text
    assert r'"~^[!#-\[\]-~]{1,128}$" $septet_request_id;' in text
