"""How many connections a process has, told to the others."""

from septet.monitoring.shared_metrics import SharedMetrics


class ConnectionGauge:
    """How many connections a process has, over HTTP and gRPC together, as the others see it."""

    def __init__(self, shared_metrics: SharedMetrics, slot: int) -> None:
        self._shared_metrics = shared_metrics
        self._slot = slot
        self._http = self._grpc = 0
        self._listening = False

    def http(self, connections: int) -> None:
        """Note those over HTTP."""
        self._http = connections
        self._notify()

    def listening(self, listening: bool) -> None:  # noqa: FBT001 - called by place
        """Note whether more are accepted over HTTP."""
        self._listening = listening
        self._notify()

    def grpc(self, connections: int) -> None:
        """Note those over gRPC."""
        self._grpc = connections
        self._notify()

    def crowded(self) -> bool:
        """Whether another process should accept the next one first."""
        return self._shared_metrics.crowded(self._slot)

    def _notify(self) -> None:
        self._shared_metrics.connected(self._slot, self._http + self._grpc, listening=self._listening)
