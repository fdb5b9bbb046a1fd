"""An application that answers only who may ask. A server that lets everybody ask has a plain `App` instead.

In this order: the host that is asked for, what browsers ask for pages of other origins, the API key, its limits.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from septet.access.allowed_hosts import AllowedHosts
from septet.access.api_keys import ApiKey, presented_keys
from septet.access.cross_origin import CrossOrigin
from septet.access.key_limits import KeyLimits
from septet.access.watched_keys import WatchedKeys
from septet.errors import SeptetError, Unauthenticated
from septet.events import Finished
from septet.protocols.http.app import UNMATCHED, App
from septet.protocols.http.error_responses import id_of, refused
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.response_headers import HeaderPairs
from septet.registry import Models
from septet.types import DONE_ALREADY, Pending

#: What is given the reply to a request.
Done = Callable[[HttpReply], None]


class AccessRules(msgspec.Struct, frozen=True):
    """Who may ask; None for what is not looked at.

    Attributes:
        keys: that a request must have one of.
        limits: of these keys; not None where `keys` is not.
        hosts: that a request may name.
        cross_origin: what pages of other origins may ask.
    """

    keys: WatchedKeys | None = None
    limits: KeyLimits | None = None
    hosts: AllowedHosts | None = None
    cross_origin: CrossOrigin | None = None


class GuardedApp(App):
    """An `App` behind rules. `open_paths` are answered without a key; of these, `probes` for whatever address."""

    def __init__(
        self,
        rules: AccessRules,
        models: Models | None = None,
        *,
        open_paths: frozenset[str],
        probes: frozenset[str],
    ) -> None:
        self._rules = rules
        self._open_paths = open_paths | probes
        self._probes = probes
        super().__init__(models)

    def beside(self, probes: frozenset[str]) -> App:
        """An application of the same models and rules for another protocol; `probes` need no key."""
        return GuardedApp(self._rules, self.models, open_paths=probes, probes=probes)

    async def __call__(self, http: HttpRequest) -> HttpReply:
        """Answer a request; every failure becomes an error body, none is raised."""
        future: asyncio.Future[HttpReply] = asyncio.get_running_loop().create_future()
        pending = self.answer(http, partial(_resolve, future))
        try:
            return await future
        except asyncio.CancelledError:
            pending.cancel()
            raise

    def answer(self, http: HttpRequest, done: Done) -> Pending:
        """Answer a request by calling `done` once: a refusal or a prediction perhaps before this returns."""
        rules = self._rules
        origins = rules.cross_origin
        if origins is not None:
            done = partial(_with_headers, done, origins.headers(http.headers))
        try:
            if rules.hosts is not None:
                rules.hosts.check(http.headers, probing=http.path in self._probes)
            if origins is not None and origins.is_preflight(http) and self.find(http.path) is not None:
                done(self._preflight(http, origins))
                return DONE_ALREADY
            key = self._key(http.path, http.headers)
        except SeptetError as error:
            done(self._refused(error, http))
            return DONE_ALREADY
        return super().answer(http, done) if key is None else self._admitted(key, http, done)

    def refuse(self, error: SeptetError, path: str, headers: Mapping[bytes, bytes]) -> HttpReply:
        """The reply to a request that a transport refuses before it is complete; `headers` as far as they came."""
        reply = super().refuse(error, path, headers)
        origins = self._rules.cross_origin
        if origins is None:
            return reply
        return msgspec.structs.replace(reply, headers=(*reply.headers, *origins.headers(headers)))

    def check_caller(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a caller who may not ask before its large body is read.

        Raises:
            Misdirected: it asks for another host.
            Unauthenticated: it has no key that is good now.
        """
        if self._rules.hosts is not None:
            self._rules.hosts.check(headers, probing=path in self._probes)
        self._key(path, headers)

    def _key(self, path: str, headers: Mapping[bytes, bytes]) -> ApiKey | None:
        """The key of a request; None where it needs none.

        Raises:
            Unauthenticated: it has none that is good now.
        """
        keys = self._rules.keys
        if keys is None or path in self._open_paths:
            return None
        keys.look_when_due()
        presented = presented_keys(headers)
        key = keys.ring.find(presented)
        if key is not None:
            return key
        if presented:
            raise Unauthenticated("The API key is not one of this server's, or no longer.")
        raise Unauthenticated(
            "This needs an API key: send it in the header Authorization, as Bearer KEY, or in X-API-Key."
        )

    def _admitted(self, key: ApiKey, http: HttpRequest, done: Done) -> Pending:
        """Answer a request with a good key, within its limits."""
        http = msgspec.structs.replace(http, caller=key.name)
        limits = self._rules.limits
        if limits is None:
            return super().answer(http, done)
        try:
            entry = limits.admit(key)
        except SeptetError as error:
            done(self._refused(error, http))
            return DONE_ALREADY
        admitted = AdmittedRequest(limits, entry, done)
        admitted.pending = super().answer(http, admitted.answer)
        return admitted

    def _refused(self, error: SeptetError, http: HttpRequest) -> HttpReply:
        reply = refused(error, http.path, http.headers)
        self._observe(http, reply)
        return reply

    def _preflight(self, http: HttpRequest, origins: CrossOrigin) -> HttpReply:
        routes = self.find(http.path)
        methods = "" if routes is None else routes.allowed
        reply = HttpReply(200, b"", id_of(http.headers), b"text/plain", origins.preflight_headers(methods))
        self._observe(http, reply)
        return reply

    def _observe(self, http: HttpRequest, reply: HttpReply) -> None:
        routes = self.find(http.path)
        template = UNMATCHED if routes is None else routes.template
        self._observer.started()
        self._observer.finished(
            Finished(template, reply.id, reply.code, reply.status, 0, 0.0, message=reply.message, caller=http.caller)
        )


class AdmittedRequest(msgspec.Struct, gc=False, eq=False):
    """A `Pending` that counts against the limits of its key until it is answered or given up."""

    limits: KeyLimits
    entry: int
    done: Done | None
    pending: Pending = DONE_ALREADY

    def answer(self, reply: HttpReply) -> None:
        """Pass the reply on."""
        done, self.done = self.done, None
        if done is not None:
            self.limits.release(self.entry)
            done(reply)

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        if self.done is not None:
            self.done = None
            self.limits.release(self.entry)
        self.pending.cancel()


def _with_headers(done: Done, headers: HeaderPairs, reply: HttpReply) -> None:
    done(msgspec.structs.replace(reply, headers=(*reply.headers, *headers)) if headers else reply)


def _resolve(future: "asyncio.Future[HttpReply]", reply: HttpReply) -> None:
    if not future.done():
        future.set_result(reply)
