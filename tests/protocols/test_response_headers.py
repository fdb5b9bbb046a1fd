"""What a reply says of its model is one line of visible ASCII in every transport, whoever named the model."""

import pytest

from septet.protocols.http.response_headers import flags_header, identity_headers
from septet.types import Identity
from tests.cli.hostile import EVIL


@pytest.mark.parametrize("text", [EVIL, "a\r\n\r\nHTTP/1.1 200 OK", "\0", "\u2028", "größer", "\ud800"])
def test_no_text_ends_a_header_or_leaves_ascii(text: str) -> None:
    for _, value in (*identity_headers(Identity(text, text, text)), *flags_header((text, text))):
        assert all(0x20 <= each < 0x7F for each in value)
