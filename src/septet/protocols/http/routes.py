"""What an application can answer: one `Route` for each path.

A route that predicts is two pure halves around the predictor: `decode` makes the request, and gives the `Encode` that
will make the reply. Neither knows when, where or with whom the model runs, so one transport may await the answer and
another may answer many requests of one turn together.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from septet.protocols.http.http_messages import Handle, HttpReply, HttpRequest
from septet.types import Request, Response

#: The reply to a request. Raises SeptetError where the answer cannot be shown.
Encode: TypeAlias = Callable[[Request, Response], HttpReply]
#: The request in a body, and how its answer is shown. Raises SeptetError where the body is wrong.
Decode: TypeAlias = Callable[[HttpRequest], tuple[Request, Encode]]


class Route(msgspec.Struct, frozen=True):
    """One path.

    Attributes:
        template: the path as metrics count it, such as `/v2/models/{model}/infer`: a closed list.
        handlers: what answers a method without predicting, or with more than one prediction.
        predict: what decodes a POST, or None.
    """

    template: str
    handlers: Mapping[str, Handle] = {}
    predict: Decode | None = None


#: By path, unescaped.
Routes: TypeAlias = Mapping[str, Route]
