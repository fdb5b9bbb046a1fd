"""The header blocks around gRPC's answers, as a client decodes them."""

from base64 import b64decode
from urllib.parse import unquote

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.protocols.http.error_bodies import GRPC
from septet.protocols.http.http_messages import HttpReply
from septet.server.h2.grpc_headers import (
    LONGEST_MESSAGE,
    NO_TABLE,
    RESPONSE_HEADERS,
    ResponseTrailers,
    escaped,
    http_status_only,
    literal,
)
from septet.types import Identity

ANSWERS = ResponseTrailers(lambda: Identity("iris", "1", "sha256:" + "0" * 64))


def decoded(block: bytes) -> dict[bytes, bytes]:
    decoder = hpack.Decoder()
    found = dict(decoder.decode(block, raw=True))
    assert not decoder.header_table.dynamic_entries
    return found


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=200), st.binary(max_size=1000)), unique_by=lambda it: it[0]))
def test_fields_come_back_and_leave_the_table_empty(pairs: list[tuple[bytes, bytes]]) -> None:
    assert decoded(NO_TABLE + b"".join(literal(*pair) for pair in pairs)) == dict(pairs)


@given(st.text("abc-", min_size=1, max_size=128))
def test_an_answer_names_the_model_and_the_request(request_id: str) -> None:
    assert decoded(RESPONSE_HEADERS) == {b":status": b"200", b"content-type": b"application/grpc"}
    assert decoded(ANSWERS.success(HttpReply(200, b"", request_id))) == {
        b"grpc-status": b"0",
        b"septet-model": b"iris",
        b"septet-model-version": b"1",
        b"septet-model-digest": b"sha256:" + b"0" * 64,
        b"x-request-id": request_id.encode(),
    }


def test_a_failure_says_why_in_words_and_in_full() -> None:
    body = b'{"error": {"code": "invalid"}}'
    reply = HttpReply(429, body, "mine", headers=((b"retry-after", b"3"),), code="overloaded", message="100 % voll: ü")
    found = decoded(ANSWERS.failure(reply))
    assert found[b"grpc-status"] == b"14"
    assert unquote(found[b"grpc-message"].decode()) == "100 % voll: ü"
    assert (found[b"retry-after"], found[b"x-request-id"]) == (b"3", b"mine")
    encoded = found[b"septet-error-bin"]
    assert b64decode(encoded + b"=" * (-len(encoded) % 4)) == body


def test_a_failure_with_a_large_body_leaves_it_out() -> None:
    assert b"septet-error-bin" not in decoded(ANSWERS.failure(HttpReply(500, bytes(5000), "mine", code="internal")))


@pytest.mark.parametrize("code", [*GRPC, "no such code"])
def test_every_code_has_a_status(code: str) -> None:
    found = decoded(ANSWERS.failure(HttpReply(500, b"", "mine", code=code)))
    assert 1 <= int(found[b"grpc-status"]) <= 16
    assert (b"grpc-accept-encoding" in found) == (found[b"grpc-status"] == b"12")
    assert found[b"grpc-message"] == code.encode()


@given(st.text())
def test_messages_are_visible_ascii_and_come_back(text: str) -> None:
    encodable = text.encode(errors="replace").decode()
    found = escaped(encodable)
    assert all(0x20 <= byte < 0x7F for byte in found)
    assert len(found) <= LONGEST_MESSAGE
    if len(found) < LONGEST_MESSAGE - 10:
        assert unquote(found.decode()) == encodable


@pytest.mark.parametrize("before", range(4))
def test_a_long_message_is_cut_between_characters(before: int) -> None:
    found = escaped("x" * before + "%" * 2000).decode()
    assert len(found) <= LONGEST_MESSAGE
    assert found.endswith("%25...")


def test_what_is_no_call_is_answered_as_http_does() -> None:
    assert decoded(http_status_only(415)) == {b":status": b"415", b"content-length": b"0"}
