"""Ids and what headers say."""

import os

import pytest

from septet.errors import Malformed
from septet.protocols.http.http_messages import HttpRequest, RequestContext, context_of, headers_of
from septet.protocols.http.request_factory import new_id


def test_ids_are_128_random_bits() -> None:
    drawn = [new_id() for _ in range(1000)]
    assert len(set(drawn)) == len(drawn)
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in drawn)


def test_a_forked_child_gives_out_no_id_of_its_parents() -> None:
    new_id()  # its parent has some in hand
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "".join(new_id() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reading, 100 * 32).decode()
    os.close(reading)
    os.close(writing)
    assert len(told) == 100 * 32
    assert not {told[at : at + 32] for at in range(0, len(told), 32)} & {new_id() for _ in range(1000)}


def test_what_the_headers_say_is_read_from_them_unless_it_is_known() -> None:
    headers = {b"x-request-id": b"a", b"traceparent": b"00-1", b"content-type": b"Text/CSV ; header=present"}
    assert HttpRequest("POST", "/", b"", headers, b"").context == RequestContext("a", "00-1", b"text/csv")
    known = RequestContext(None, None, b"")
    assert HttpRequest("POST", "/", b"", headers, b"", known_context=known).context is known
    with pytest.raises(Malformed, match="x-request-id"):
        context_of({b"x-request-id": b"a b"})


def test_of_a_header_that_repeats_the_last_counts_but_codings_are_one_list() -> None:
    pairs = [(b"a", b"1"), (b"content-encoding", b"deflate"), (b"a", b"2"), (b"content-encoding", b"gzip")]
    assert headers_of(pairs) == {b"a": b"2", b"content-encoding": b"deflate, gzip"}
