"""Messages of gRPC, however they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import Malformed, TooLarge
from septet.server.h2.grpc_calls import is_single_message
from septet.server.h2.grpc_messages import GrpcMessage, MessageBuffer, framed
from tests.server.h2.peer import message


@given(st.lists(st.tuples(st.binary(max_size=50), st.booleans())), st.lists(st.integers(0, 500)))
def test_messages_come_back_however_they_are_cut(made: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    data = b"".join(message(body, flag=flag) for body, flag in made)
    inbox, found, at = MessageBuffer(), [], 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        inbox.extend(data[at:cut])
        at = cut
        while (taken := inbox.take(50)) is not None:
            found.append(taken)
    assert found == [GrpcMessage(body, flag) for body, flag in made]
    assert not inbox


def test_a_message_over_the_limit_is_refused_by_its_announcement() -> None:
    inbox = MessageBuffer()
    inbox.extend(message(bytes(11))[:5])
    with pytest.raises(TooLarge, match="11 bytes, over the limit of 10"):
        inbox.take(10)


def test_bytes_that_begin_no_message_are_refused() -> None:
    inbox = MessageBuffer()
    inbox.extend(b"POST / HTTP/1.1")
    with pytest.raises(Malformed, match="not 80"):
        inbox.take(10)


@given(st.binary(max_size=30), st.binary(max_size=3))
def test_only_exactly_one_message_is_whole(body: bytes, more: bytes) -> None:
    assert is_single_message(framed(body) + more, 30) is (more == b"")
    assert not is_single_message(message(body, flag=1), 30)
    assert not is_single_message(framed(body)[:-1], 30)
    assert not is_single_message(framed(body), len(body) - 1)
