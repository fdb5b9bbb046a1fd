"""From settings to the rules of who may ask, and to an application that keeps them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from septet.monitoring.key_usage import KeyCount, KeyUsage
from septet.protocols.http.app import App
from septet.protocols.http.health_routes import HealthRoutes
from septet.protocols.http.routes import declared_routes
from septet.protocols.rpc.paths import HEALTH, INFERENCE
from septet.settings import Access
from septet.web.pages import FILES

if TYPE_CHECKING:
    # A server that lets everybody ask does without.
    from septet.access.guarded_app import AccessRules
    from septet.access.watched_keys import WatchedKeys

#: What is answered without a key: whoever asks whether the server lives has none, and the page asks its reader for one.
PROBES = frozenset(pattern for route in declared_routes(HealthRoutes) for pattern in route.patterns)
GRPC_PROBES = frozenset(
    (f"/{HEALTH}/Check", f"/{HEALTH}/Watch", f"/{INFERENCE}/ServerLive", f"/{INFERENCE}/ServerReady")
)
OPEN_PATHS = PROBES | frozenset(FILES)


class ProcessAccess:
    """Who may ask a process of a server, which counts in its slot of the usage.

    Attributes:
        rules: None where everybody may ask everything.
    """

    def __init__(self, access: Access, keys: "WatchedKeys | None", usage: KeyUsage, slot: int = 0) -> None:
        self._keys = keys
        self._usage = usage
        self.rules = _rules(access, keys, usage, slot)

    def http_app(self) -> App:
        """An application for HTTP."""
        if self.rules is None:
            return App()
        from septet.access.guarded_app import GuardedApp

        return GuardedApp(self.rules, open_paths=OPEN_PATHS, probes=PROBES)

    def key_counts(self) -> Sequence[KeyCount]:
        """What was counted of the keys that are good now."""
        return () if self._keys is None else self._usage.counts(self._keys.ring.names)

    def look(self) -> None:
        """Read the keys again where their file has changed, and say nothing: the parent of the process does."""
        if self._keys is not None:
            self._keys.tells = False
            self._keys.look()


def _rules(access: Access, keys: "WatchedKeys | None", usage: KeyUsage, slot: int) -> "AccessRules | None":
    if keys is None and not access.cors_origins and not access.allowed_hosts:
        return None
    from septet.access.allowed_hosts import AllowedHosts
    from septet.access.cross_origin import CrossOrigin
    from septet.access.guarded_app import AccessRules
    from septet.access.key_limits import KeyLimits

    return AccessRules(
        keys=keys,
        limits=None if keys is None else KeyLimits(usage.claim(slot)),
        hosts=AllowedHosts(access.allowed_hosts) if access.allowed_hosts else None,
        cross_origin=CrossOrigin(access.cors_origins) if access.cors_origins else None,
    )
