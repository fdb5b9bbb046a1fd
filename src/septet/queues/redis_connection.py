"""A connection to Redis: from its URL, with errors that say what to do, and what Redis promises of durability."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from septet.errors import MissingExtra, SettingsInvalid, StartupError
from septet.queues.job_store import StoreFailed
from septet.queues.redis_records import packed

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as Disconnected
    from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
    from redis.exceptions import TimeoutError as TimedOut
    from redis.retry import Retry
except ImportError as exc:
    raise MissingExtra("Jobs in Redis need its client: pip install 'septet[redis]'") from exc

#: Seconds until a call that is not answered has failed.
CALL_SECONDS: Final = 5.0
OLDEST_VERSION: Final = (7, 0)
DEFAULT_QUEUE: Final = "jobs"

# What may be said of TLS in the URL; the rest is ours to say.
_PARAMETERS: Final = frozenset(
    ("db", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
)
# Scripts whose effect is needed to have room again run where there is none.
_NEED_ROOM: Final = frozenset(("accept",))
_ADVICE: Final = {
    "OOM": "it is out of memory (maxmemory). What was accepted is kept; give it more, or wait until jobs are forgotten",
    "MISCONF": "it cannot write to its disk. See its log, and make room there",
    "LOADING": "it loads its data. That ends by itself",
    "READONLY": "it is a replica. The next call connects anew, by name; let the URL name the primary",
    "MASTERDOWN": "it is a replica without its primary. Let the URL name the primary",
    "NOAUTH": "it asks for a password. Put it into the URL",
    "WRONGPASS": "it does not know this user and password",
    "NOPERM": "its user may not do this. Allow it @scripting, @hash, @set, @sortedset, @keyspace, @transaction, "
    "@pubsub and @connection, with the keys and channels septet:*",
    "WRONGTYPE": "other data has the names of the queue's keys. Choose another with ?queue=NAME",
    "MOVED": "it is a node of a cluster that does not keep this queue. Let the URL name the one that does",
    "CLUSTERDOWN": "its cluster is down",
    "BUSY": "it is busy with another script",
    "NOREPLICAS": "it has fewer replicas than it is told to have before it writes",
}
_T = TypeVar("_T")


def _source(name: str) -> str:
    flags = "" if name in _NEED_ROOM else " flags=allow-oom"
    texts = files("septet.queues").joinpath("redis_scripts")
    return f"#!lua{flags}\n" + "".join(texts.joinpath(f"{part}.lua").read_text("utf-8") for part in ("common", name))


class RedisConnection:
    """Calls Redis, from one thread at a time, and connects anew by itself.

    Attributes:
        prefix: what the names of all keys of the queue begin with; a cluster keeps them together by its braces.
    """

    def __init__(self, url: str, seconds: float = CALL_SECONDS) -> None:
        """`url` is redis-py's, with `?queue=NAME`; a call may take so many seconds.

        Raises:
            SettingsInvalid: the URL is none.
        """
        address, _, query = url.partition("?")
        said = dict(parse_qsl(query, keep_blank_values=True))
        queue = said.pop("queue", DEFAULT_QUEUE)
        if not queue or set(queue) & set("{}"):
            raise SettingsInvalid("the name of a queue in Redis (?queue=NAME) is not empty and has no braces")
        unknown = sorted(set(said) - _PARAMETERS)
        if unknown:
            raise SettingsInvalid(f"the URL of Redis has unknown parameters: {', '.join(unknown)}")
        self.prefix = f"septet:{{{queue}}}:"
        self._sources: dict[str, tuple[str, str]] = {}
        try:
            parts = urlsplit(address)
            self.place = (
                parts.path if parts.scheme == "unix" else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
            )
            self.client: Any = redis.Redis.from_url(
                f"{address}?{urlencode(said)}",
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
                # A connection that broke while nobody used it is made anew; an answer that does not come is not asked
                # for again, so that a call ends in time.
                retry=Retry(NoBackoff(), 1, (Disconnected,)),
            )
        except (ValueError, TypeError):
            raise SettingsInvalid("the URL of Redis is none: expected redis://HOST:PORT/DATABASE") from None

    def call(self, work: Callable[[Any], _T]) -> _T:
        """Do something with the client.

        Raises:
            StoreFailed: Redis cannot do it now.
        """
        try:
            return work(self.client)
        except ReadOnlyError as exc:
            self.client.connection_pool.disconnect()
            raise self._failed(exc) from None
        except RedisError as exc:
            raise self._failed(exc) from None

    def run(self, script: str, arguments: Mapping[str, Any], rest: Sequence[bytes | str] = ()) -> Any:
        """Run a script, which is one step: all of it or nothing.

        Raises:
            StoreFailed: Redis cannot do it now.
        """
        if script not in self._sources:
            source = _source(script)
            self._sources[script] = source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        source, digest = self._sources[script]
        given = (1, self.prefix, packed(arguments), *rest)

        def evaluate(client: Any) -> Any:
            try:
                return client.execute_command("EVALSHA", digest, *given)
            except NoScriptError:  # it was started anew, or another one took over
                return client.execute_command("EVAL", source, *given)

        return self.call(evaluate)

    def _failed(self, error: RedisError) -> StoreFailed:
        # Of their texts only the first word: others may quote what was sent.
        if isinstance(error, TimedOut):
            return StoreFailed(f"Redis at {self.place} does not answer. What was asked of it may have happened.")
        word = getattr(error, "status_code", None) or str(error).partition(" ")[0].rstrip(":")
        word = next((code for text, code in _TEXTS.items() if text in str(error)), word)
        advice = _ADVICE.get(word) or _ADVICE.get(_WORDS.get(type(error).__name__, ""))
        if advice is not None:
            return StoreFailed(f"Redis at {self.place} refuses: {advice}.")
        if isinstance(error, Disconnected):
            return StoreFailed(f"Redis at {self.place} cannot be reached. Is it running?")
        if "user_script" in str(error):  # a fault of the script's, which quotes nothing
            return StoreFailed(f"Redis at {self.place} failed: {error}")
        known = word if isinstance(error, ResponseError) and word.isupper() and word.isalpha() else type(error).__name__
        return StoreFailed(f"Redis at {self.place} failed: {known}. Its log may say why.")

    def durability(self, *, durable: bool) -> tuple[str, bool]:
        """What is lost when Redis, or its machine, ends suddenly, in words; and whether that is nothing.

        Raises:
            StartupError: it may lose jobs at any time; or, where it has to be `durable`, when it ends suddenly.
            StoreFailed: Redis cannot be asked now.
        """
        self._check_version()
        try:
            said = self.client.config_get("appendonly", "appendfsync", "maxmemory", "maxmemory-policy", "save")
        except ResponseError:  # forbidden, or unknown to what is not quite Redis
            if durable:
                raise StartupError(
                    f"{self._unknown} Allow its user `CONFIG GET`, or do without jobs.durable."
                ) from None
            return self._unknown, False
        except RedisError as exc:
            raise self._failed(exc) from None
        if said.get("maxmemory") not in (None, "0") and said.get("maxmemory-policy") != "noeviction":
            raise StartupError(
                f"Redis at {self.place} throws data away when its memory is full (maxmemory-policy "
                f"{said.get('maxmemory-policy')}), and jobs with it: set maxmemory-policy to noeviction"
            )
        text, safe = _durability(said)
        if durable and not safe:
            raise StartupError(f"Redis at {self.place} is not durable, as jobs.durable asks: {text}. {_HOW_TO_BE_SAFE}")
        return text, safe

    def _check_version(self) -> None:
        try:
            version = str(self.client.info("server")["redis_version"])
        except (KeyError, ResponseError):  # as below: then the first script fails
            return
        except RedisError as exc:
            raise self._failed(exc) from None
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
            raise StartupError(f"Redis at {self.place} is {version}; jobs need 7.0 or later")

    @property
    def _unknown(self) -> str:
        return f"what Redis at {self.place} loses when it ends suddenly is unknown: it does not tell its configuration."

    def close(self) -> None:
        """Let go of the connections."""
        with suppress(RedisError, OSError):
            self.client.close()


# Errors that redis-py has taken the first word from.
_WORDS: Final = {
    "OutOfMemoryError": "OOM",
    "BusyLoadingError": "LOADING",
    "ReadOnlyError": "READONLY",
    "MasterDownError": "MASTERDOWN",
    "AuthenticationError": "WRONGPASS",
    "NoPermissionError": "NOPERM",
    "MovedError": "MOVED",
    "ClusterDownError": "CLUSTERDOWN",
}
_TEXTS: Final = {"executing the script can't": "NOPERM", "ACL failure": "NOPERM", "Authentication required": "NOAUTH"}
_HOW_TO_BE_SAFE: Final = "Set appendonly to yes and appendfsync to always."
_REPLICAS: Final = "a replica that takes over may lack the latest jobs"


def _durability(said: Mapping[str, str]) -> tuple[str, bool]:
    """What may be lost by such a configuration, and whether that is nothing."""
    if said.get("appendonly") != "yes":
        since = (
            "everything since its last snapshot" if said.get("save") else "everything: it writes nothing to its disk"
        )
        return f"Redis without its append-only file: when it ends suddenly, it loses {since}; {_REPLICAS}", False
    if said.get("appendfsync") == "always":
        return f"Redis with appendfsync always: nothing is lost when it or its machine ends suddenly; {_REPLICAS}", True
    seconds = "up to a second" if said.get("appendfsync") == "everysec" else "what the system had not yet written"
    setting = f"Redis with appendfsync {said.get('appendfsync')}"
    return f"{setting}: when its machine ends suddenly, it loses {seconds}; {_REPLICAS}", False
