"""Brings answers to a stream of Redis."""

from typing import TYPE_CHECKING, Any, Final

from septet.errors import MissingExtra
from septet.sinks.delivery import Delivery, DeliveryFailed, Sink
from septet.sinks.sink_address import StreamAddress

if TYPE_CHECKING:
    from redis import Redis

#: For how long the stream's server knows what it has: twice the longest time for which a delivery is tried.
REMEMBERED_SECONDS: Final = 2 * 86_400
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 30.0
# The entry comes first: where it is refused, as by a full memory, the id is not remembered.
_ADD_ONCE: Final = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local limit = {}
if ARGV[2] ~= '' then limit = {'MAXLEN', '~', ARGV[2]} end
local entry = {'XADD', KEYS[1]}
for _, each in ipairs(limit) do entry[#entry + 1] = each end
entry[#entry + 1] = '*'
for at = 3, #ARGV do entry[#entry + 1] = ARGV[at] end
redis.call(unpack(entry))
redis.call('SET', KEYS[2], '1', 'EX', ARGV[1])
return 1
"""


class StreamSink(Sink):
    """Exactly once, as far as the server keeps what it has stored: it remembers the ids of deliveries for two days.

    An entry has the fields `id`, `job_id`, `state` and `message`.

    Raises:
        MissingExtra: the library of Redis lacks.
    """

    def __init__(self, address: StreamAddress) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise MissingExtra("A stream of Redis needs its library: pip install 'septet[redis]'") from None
        self._address = address
        self._errors: type[Exception] = redis.RedisError
        # What is tried again is tried by the queue, which knows when.
        self._client: Redis = redis.Redis.from_url(
            address.server,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._add_once = self._client.register_script(_ADD_ONCE)

    def deliver(self, delivery: Delivery) -> None:
        """Add one entry, unless the stream was given it before."""
        stream = self._address.stream
        # Braces name the slot of a cluster: that of the stream.
        keys = [stream, f"{{{stream}}}:delivered:{delivery.id}"]
        fields: dict[str, Any] = {
            "id": delivery.id,
            "job_id": delivery.job_id,
            "state": str(delivery.state),
            "message": delivery.message(),
        }
        entry = [each for pair in fields.items() for each in pair]
        try:
            self._add_once(keys=keys, args=[REMEMBERED_SECONDS, self._address.most or "", *entry])
        except (self._errors, OSError) as error:
            raise DeliveryFailed(f"{self._address.shown} took no entry: {str(error)[:200]}") from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
