"""One connection: what is one request, what is refused, in which order answers come, and when it is closed."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from septet.protocols.http.asgi import Asgi
from septet.protocols.http.error_bodies import STATUS
from septet.server.http_connection import MAX_PIPELINED
from septet.server.http_server_state import STATUS_LINES
from septet.settings import Limits
from tests.budgets import examples
from tests.server.memory import HOST, MemoryTransport, Peer

GET = b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n"
SLOW = b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /echo?a=b HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
PREDICT = b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
OFFER = b"GET /echo HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


pytestmark = pytest.mark.usefixtures("loop")


def request(*lines: bytes, body: bytes = b"", first: bytes = b"POST /echo HTTP/1.1") -> bytes:
    return b"\r\n".join([first, b"Host: here", *lines, b"", body])


# What is read.


@pytest.mark.parametrize("sent", [GET, POST, CHUNKED, OFFER, OFFER + POST + CHUNKED, POST + GET])
def test_bytes_split_anywhere_are_the_same_requests(sent: bytes) -> None:
    whole = Peer().send(sent).transport.written
    assert b"HTTP/1.1 200" in whole
    for place in range(1, len(sent)):
        assert Peer().send(sent[:place], sent[place:]).transport.written == whole, place
    assert Peer().send(*(sent[i : i + 1] for i in range(len(sent)))).transport.written == whole


def test_a_chunked_body_is_one_body() -> None:
    assert Peer().send(CHUNKED).answers[0].json[4] == "hello"


def test_trailers_change_no_header() -> None:
    sent = request(b"Transfer-Encoding: chunked", b"X-Who: me", body=b"0\r\nX-Who: you\r\n\r\n")
    assert Peer().send(sent).answers[0].json[3]["x-who"] == "me"


def test_head_is_answered_as_get_without_its_body() -> None:
    peer = Peer().send(GET.replace(b"GET", b"HEAD"))
    assert peer.transport.written.endswith(b"\r\n\r\n")
    assert b"\r\ncontent-length: 0\r\n" not in peer.transport.written
    assert peer.app.identity is not None


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        (b"/ech%6F?x=%20", "/echo", "x=%20"),
        (b"http://here/echo?x", "/echo", "x"),
        (b"http://here", "/", ""),
        (b"/echo?", "/echo", ""),
    ],
)
def test_urls_may_be_escaped_or_absolute(url: bytes, path: str, query: str) -> None:
    answer = Peer().send(GET.replace(b"/echo", url)).answers[0]
    assert (answer.status, *answer.json[1:3]) == (200, path, query)


@pytest.mark.parametrize(
    "url", [b"*", b"//echo", b"/%C3%A9", b"/%00", b"/%zz", b"/echo/", b"/ECHO", b"/" + b"a" * 5000]
)
def test_urls_of_nothing_are_not_found(url: bytes) -> None:
    assert Peer().send(GET.replace(b"/echo", url)).statuses == [404]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET /\r\n\r\n",
        b"GET / HTTP/3.7\r\nHost: h\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET\x00/ HTTP/1.1\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"CONNECT here:80 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /echo HTTP/1.1\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: h\n\n",
        request(b"A: b\r\n folded"),
        request(b"A: \x00"),
        request(b"A : b"),
        request(b"no colon"),
        request(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"),
        request(b"Content-Length: 3", b"Content-Length: 4", body=b"abc"),
        request(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        request(b"Content-Length: -1"),
        request(b"Content-Length: +1", body=b"a"),
        request(b"Content-Length: 1e3"),
        request(b"Content-Length: " + b"9" * 30),
        request(b"Content-Length: " + b"9" * 5000),
        request(b"Transfer-Encoding: gzip", body=b"abc"),
        request(b"Transfer-Encoding: gzip, chunked, gzip", body=b"0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", first=b"POST /echo HTTP/1.0", body=b"0\r\n\r\n"),
        request(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", body=b"1\na\r\n0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", body=b"1;a\nb\r\na\r\n0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", body=b"0x1\r\na\r\n0\r\n\r\n"),
        request(b"Content-Length: " + b"0" * 5000 + b"5", body=b"hello"),
        request(b"Content-Length: 5, 5", body=b"hello"),
        request(b"Content-Length:", body=b"hello"),
        request(b"A: b\rc"),
        request(b"A: b\nc: d"),
        request(b"A:\r\n b"),
        request(b": b"),
        *(
            b"GET /echo HTTP/1.1\r\nHost: %b\r\n\r\n" % host
            for host in (
                b"a b/c@d",
                b"a/b",
                b"a@b",
                b"a:b",
                b"a:1:2",
                b"[::1",
                b"[::1]x",
                b"a,b c",
                b"<a>",
                b"\xc3\xa9",
                b"a\x0c",
            )
        ),
        request(b"Transfer-Encoding: chunked", body=b"zz\r\n"),
        request(b"Transfer-Encoding: chunked", body=b"-1\r\n"),
        request(b"Transfer-Encoding: chunked", body=b"3\r\nabcd\r\n"),
        request(b"Transfer-Encoding: chunked", body=b"f" * 17 + b"\r\n"),
    ],
)
def test_what_is_not_http_is_refused_and_the_connection_closed(sent: bytes) -> None:
    peer = Peer().send(sent, GET)
    assert peer.statuses == [400]
    answer = peer.answers[0]
    assert answer.code == "malformed"
    assert answer.headers["connection"] == "close"
    assert answer.json["error"]["id"] == answer.headers["x-request-id"]
    assert peer.transport.ended


@pytest.mark.parametrize(
    "first", [b"GET /echo HTTP/1.0\r\n\r\n", b"GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"]
)
def test_a_connection_for_one_request_is_closed_behind_its_answer(first: bytes) -> None:
    peer = Peer().send(first)
    assert peer.statuses == [200]
    assert peer.answers[0].headers["connection"] == "close"
    assert peer.transport.ended
    assert not peer.connection.eof_received()


def test_a_connection_is_used_again_and_again() -> None:
    peer = Peer().send(*[GET, POST, CHUNKED] * 20)
    assert peer.statuses == [200] * 60
    assert not peer.transport.closed


def test_nothing_is_answered_behind_the_last_answer() -> None:
    peer = Peer()
    peer.app.draining = True
    peer.send(PREDICT + GET, GET)
    assert peer.statuses == [200, 200]
    peer.seconds_pass(100)
    assert peer.transport.closed


def test_an_offer_to_upgrade_is_declined_by_answering() -> None:
    assert Peer().send(OFFER * 3 + GET).statuses == [200] * 4


def test_many_offers_in_a_row_are_declined() -> None:
    assert len(Peer().send(OFFER * 3000).statuses) == 3000


def test_connect_opens_no_tunnel() -> None:
    peer = Peer().send(b"CONNECT here:80 HTTP/1.1\r\nHost: here:80\r\n\r\n" + GET)
    assert peer.statuses == [400]
    assert "CONNECT" in peer.answers[0].json["error"]["message"]


@pytest.mark.parametrize("host", [b"", b"a", b"a.b-c_d", b"127.0.0.1:8000", b"[::1]:80", b"[fe80::1%25eth0]", b"a:"])
def test_a_host_is_a_name_or_an_address_perhaps_with_a_port(host: bytes) -> None:
    assert Peer().send(b"GET /echo HTTP/1.1\r\nHost: %b \r\n\r\n" % host).statuses == [200]


def test_zeros_may_lead_a_content_length() -> None:
    peer = Peer().send(*[request(b"Content-Length: 0000000000000005", body=b"hello")] * 3)
    assert [each.json[4] for each in peer.answers] == ["hello"] * 3


def test_a_transfer_encoding_that_is_not_read_is_not_implemented() -> None:
    peer = Peer().send(request(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), GET)
    assert peer.statuses == [501]
    assert peer.transport.ended


def test_a_tls_connection_closes_at_once_behind_its_last_answer() -> None:
    peer = Peer(tls=True).send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert peer.statuses == [200]
    assert peer.transport.closed


# Limits.


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent() -> None:
    peer = Peer(Limits(max_body_bytes=4))
    peer.send(request(b"Expect: 100-continue", b"Content-Length: 5"))
    assert peer.transport.written.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_too_large_is_refused() -> None:
    peer = Peer(Limits(max_body_bytes=4)).send(CHUNKED)
    assert peer.statuses == [413]


def test_what_a_refused_client_still_sends_is_discarded_for_a_moment() -> None:
    peer = Peer(Limits(max_body_bytes=4)).send(request(b"Content-Length: 5"), b"hello" * 1000, GET)
    assert peer.statuses == [413]
    assert not peer.transport.closed
    assert peer.transport.reading
    peer.seconds_pass(4)
    assert peer.transport.closed


def test_a_caller_that_expects_it_is_told_to_continue() -> None:
    peer = Peer().send(request(b"Expect: 100-Continue", b"Content-Length: 5"))
    assert peer.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b"HTTP/1.1 200" in peer.send(b"hello").transport.written


def test_http_1_0_is_never_told_to_continue() -> None:
    sent = request(b"Expect: 100-continue", b"Content-Length: 5", first=b"POST /echo HTTP/1.0")
    assert Peer().send(sent).transport.written == b""


def test_a_head_of_too_many_headers_is_refused() -> None:
    lines = [b"A%d: b" % i for i in range(4)]
    assert Peer(Limits(max_headers=5)).send(request(*lines, first=b"GET /echo HTTP/1.1")).statuses == [200]
    assert Peer(Limits(max_headers=5)).send(request(*lines, b"Z: z")).statuses == [431]


LARGE = [b"GET /" + b"a" * 2000, b"GET / HTTP/1.1\r\nA: " + b"b" * 2000, b"GET / HTTP/1.1\r\n" + b"c" * 2000]


@pytest.mark.parametrize("head", LARGE)
def test_a_head_that_never_ends_is_refused(head: bytes) -> None:
    peer = Peer(Limits(max_header_bytes=1024))
    for i in range(0, len(head), 100):
        peer.send(head[i : i + 100])
    assert peer.statuses == [431]


def test_empty_lines_before_a_request_are_passed_over_but_not_for_ever() -> None:
    peer = Peer(Limits(max_header_bytes=1024)).send(b"\r\n" * 100 + GET)
    assert peer.statuses == [200]
    peer.send(*[b"\r\n" * 100] * 20)
    assert peer.statuses == [200, 431]


@pytest.mark.parametrize("step", [100, 1000, 5000])
def test_a_complete_head_over_the_limit_is_refused(step: int) -> None:
    sent = request(b"A: " + b"b" * 1100, first=b"GET /echo HTTP/1.1")
    peer = Peer(Limits(max_header_bytes=1024))
    peer.send(*(sent[i : i + step] for i in range(0, len(sent), step)))
    assert peer.statuses == [431]


@pytest.mark.parametrize("place", [10, 50, 70])
def test_a_large_body_behind_a_split_head_is_not_taken_for_a_head(place: int) -> None:
    sent = request(b"Content-Length: 5000", body=b"x" * 5000)
    peer = Peer(Limits(max_header_bytes=1024)).send(sent[:place], sent[place:])
    assert peer.statuses == [200]


@pytest.mark.parametrize("endless", [b"0\r\nA: " + b"b" * 3000, b"1;" + b"e" * 3000])
def test_a_frame_of_a_body_that_never_ends_is_refused(endless: bytes) -> None:
    sent = request(b"Transfer-Encoding: chunked", body=b"")
    peer = Peer(Limits(max_header_bytes=1024)).send(sent, *(endless[i : i + 500] for i in range(0, len(endless), 500)))
    assert peer.statuses == [431]


def test_one_connection_too_many_is_refused() -> None:
    peer = Peer(Limits(max_connections=1))
    second = MemoryTransport()
    peer.connect(second)
    assert second.written.startswith(b"HTTP/1.1 503 ")
    assert second.ended
    assert peer.send(GET).statuses == [200]


# Order.


def test_pipelined_requests_are_answered_in_order() -> None:
    peer = Peer().send(GET + SLOW + POST + SLOW + GET)
    assert len(peer.answers) == 1
    peer.answer(b"one")
    assert len(peer.answers) == 3
    peer.answer(b"two")
    assert [answer.body[-3:] for answer in peer.answers[1::2]] == [b"one", b"two"]
    assert peer.statuses == [200] * 5


def test_reading_pauses_while_many_wait_and_none_is_lost() -> None:
    peer = Peer().send(SLOW)
    while peer.transport.reading:
        peer.send(GET)
    assert len(peer.answers) == 0
    peer.answer()
    assert peer.statuses == [200] * (MAX_PIPELINED + 1)
    assert peer.transport.reading


def test_thousands_that_arrive_at_once_behind_a_slow_one_are_all_answered() -> None:
    peer = Peer().send(SLOW + GET * 3000)
    peer.answer()
    assert len(peer.answers) == 3001


def test_garbage_behind_requests_is_refused_after_their_answers() -> None:
    peer = Peer().send(SLOW + GET + b"\x00\x01\r\n")
    assert peer.transport.written == b""
    peer.answer()
    assert peer.statuses == [200, 200, 400]
    assert peer.transport.ended


def test_what_follows_a_last_request_does_not_cost_it_its_answer() -> None:
    peer = Peer().send(SLOW.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET)
    peer.answer()
    assert peer.statuses == [200]
    assert peer.transport.ended


def test_a_client_that_reads_nothing_is_not_answered_any_further() -> None:
    peer = Peer()
    peer.connection.pause_writing()
    assert not peer.transport.reading
    peer.call(peer.connection.data_received, GET * 40)
    assert peer.answers == []
    peer.call(peer.connection.resume_writing)
    assert peer.statuses == [200] * 40
    assert peer.transport.reading


def test_a_client_that_reads_nothing_for_long_is_given_up() -> None:
    peer = Peer(Limits(keep_alive_seconds=5))
    peer.connection.pause_writing()
    peer.seconds_pass(7)
    assert peer.transport.aborted


def test_a_caller_that_ends_its_sending_is_still_answered() -> None:
    peer = Peer().send(SLOW + GET)
    assert peer.connection.eof_received()
    peer.answer()
    assert peer.statuses == [200, 200]
    assert peer.transport.closed


def test_an_end_in_the_middle_of_a_request_closes() -> None:
    assert not Peer().send(POST[:-2]).connection.eof_received()
    assert not Peer().connection.eof_received()


def test_a_caller_that_goes_away_cancels_its_request() -> None:
    peer = Peer().send(SLOW + SLOW)
    peer.transport.close()
    peer.call(peer.connection.connection_lost, None)
    assert peer.slow.cancelled == 1
    assert len(peer.slow.waiting) == 1
    assert not len(peer.state.registry)


# Time.

TIMES = Limits(header_timeout_seconds=3, body_timeout_seconds=5, keep_alive_seconds=9)


@pytest.mark.parametrize(("sent", "seconds"), [(b"", 3), (GET, 9)])
def test_a_silent_connection_is_closed_in_its_time(sent: bytes, seconds: int) -> None:
    peer = Peer(TIMES).send(sent) if sent else Peer(TIMES)
    peer.seconds_pass(seconds)
    assert not peer.transport.closed
    peer.seconds_pass(1)
    assert peer.transport.closed


@pytest.mark.parametrize(("sent", "seconds"), [(GET[:-2], 3), (POST[:-1], 5)])
def test_a_request_that_comes_too_slowly_is_refused(sent: bytes, seconds: int) -> None:
    peer = Peer(TIMES).send(sent)
    peer.seconds_pass(seconds)
    assert peer.answers == []
    peer.seconds_pass(1)
    assert peer.statuses == [408]


def test_a_slow_answer_is_waited_for() -> None:
    peer = Peer(TIMES).send(SLOW + GET[:-2])
    peer.seconds_pass(100)
    assert not peer.transport.closed
    peer.answer()
    assert peer.statuses == [200, 408]


async def closed(transport: MemoryTransport) -> None:
    async with asyncio.timeout(60):
        while transport.open:  # noqa: ASYNC110 - the transport sets no event
            await asyncio.sleep(0.01)


def test_draining_closes_what_is_idle_and_answers_what_is_not() -> None:
    idle, busy = Peer().send(GET), Peer().send(SLOW)
    idle.call(idle.connection.shutdown)
    busy.call(busy.connection.shutdown)
    assert not idle.transport.closed
    idle.loop.run_until_complete(closed(idle.transport))
    busy.answer()
    assert busy.answers[0].headers["connection"] == "close"
    assert busy.transport.ended


def test_a_request_that_was_on_its_way_when_draining_began_is_answered() -> None:
    peer = Peer().send(GET)
    peer.call(peer.connection.shutdown)
    peer.send(GET)
    assert peer.statuses == [200, 200]
    assert peer.transport.ended


def test_the_date_is_taken_anew() -> None:
    peer = Peer().send(GET)
    peer.now = 86_399.0
    peer.seconds_pass(1)
    peer.send(GET)
    dates = [answer.headers["date"] for answer in peer.answers]
    assert dates == ["Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 23:59:59 GMT"]


# The same application over ASGI.

METHODS = st.sampled_from(["GET", "POST", "HEAD", "DELETE", "OPTIONS", "PUT"])
PATHS = st.sampled_from(["/echo", "/", "/nothing", "/echo/", "/health", "/health/ready", "//", "/é"])
IDS = st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=140)
BODIES = st.binary(max_size=80)


async def over_asgi(
    peer: Peer, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    scope: dict[str, object] = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "headers": headers,
    }
    scope |= {"query_string": b"", "root_path": ""}
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: object) -> None:
        sent.append(message)  # type: ignore[arg-type]

    await Asgi(peer.app, max_body_bytes=60)(scope, receive, send)
    pairs: list[tuple[bytes, bytes]] = sent[0]["headers"]  # type: ignore[assignment]
    return sent[0]["status"], {n.decode(): v.decode() for n, v in pairs}, sent[1]["body"]  # type: ignore[return-value]


@given(METHODS, PATHS, IDS, BODIES)
@hypothesis_settings(max_examples=examples(75))
def test_asgi_gives_the_same_answers(method: str, path: str, own_id: str | None, body: bytes) -> None:
    peer = Peer(Limits(max_body_bytes=60))
    headers = [(b"host", b"here"), (b"content-length", b"%d" % len(body))]
    if own_id is not None:
        headers.append((b"x-request-id", own_id.encode()))
    target = path.replace("é", "%C3%A9").encode()
    peer.send(
        b"%b %b HTTP/1.1\r\n" % (method.encode(), target)
        + b"".join(b"%b: %b\r\n" % pair for pair in headers)
        + b"\r\n"
        + body
    )
    head, _, content = peer.transport.written.partition(b"\r\n\r\n")
    status_line, *lines = head.decode().split("\r\n")
    own = dict(line.split(": ", 1) for line in lines)
    status, theirs, their_content = peer.loop.run_until_complete(over_asgi(peer, method, path, headers, body))
    assert own.pop("date") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert int(status_line.split()[1]) == status
    assert content.replace(own.pop("x-request-id").encode(), b"") == their_content.replace(
        theirs.pop("x-request-id").encode(), b""
    )
    assert own == theirs


def test_every_status_has_a_line() -> None:
    assert set(STATUS.values()) <= set(STATUS_LINES)
