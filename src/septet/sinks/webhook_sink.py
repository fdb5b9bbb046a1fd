"""Brings answers to a hook: one signed POST for each attempt."""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from time import time
from typing import Final

from septet.sinks.delivery import Delivery, DeliveryFailed, DeliveryRefused, Sink
from septet.sinks.sink_address import WebhookAddress
from septet.sinks.webhook_client import WebhookClient
from septet.sinks.webhook_signature import signature_headers

#: Of the answers that blame the request, those that may be others at another time.
_PASSING: Final = frozenset((408, 409, 425, 429))
_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class WebhookSink(Sink):
    """At least once, with an id: where the answer of a hook is lost, it is called again with the same `webhook-id`.

    Args:
        address: of the hook.
        client: sends the requests.
        keys: sign them.
        clock: seconds since 1970.
    """

    def __init__(
        self, address: WebhookAddress, client: WebhookClient, keys: Sequence[bytes], clock: Callable[[], float] = time
    ) -> None:
        self._address = address
        self._client = client
        self._keys = keys
        self._clock = clock

    def deliver(self, delivery: Delivery) -> None:
        """Call the hook; an answer from 200 to 299 says that it has the delivery."""
        body = delivery.message()
        headers = {"content-type": "application/json", "user-agent": "septet"}
        headers |= signature_headers(delivery.id, int(self._clock()), body, self._keys)
        if delivery.trace is not None and _TRACE.fullmatch(delivery.trace):
            headers["traceparent"] = delivery.trace
        reply = self._client.post(self._address, headers, body)
        if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            return
        text = f"{self._address.shown} answered with the status {reply.status}."
        blamed = HTTPStatus.BAD_REQUEST <= reply.status < HTTPStatus.INTERNAL_SERVER_ERROR
        if blamed and reply.status not in _PASSING:
            raise DeliveryRefused(text)
        raise DeliveryFailed(text, reply.retry_after)
