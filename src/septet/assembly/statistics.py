"""From what all processes have counted to the statistics of the model, as protocols tell them."""

from collections.abc import Collection

import numpy as np

from septet.monitoring.shared_metrics import MetricsSnapshot
from septet.protocols.openinference.model_statistics import Statistics


def statistics(snapshot: MetricsSnapshot, predicting: Collection[str]) -> Statistics:
    """The sums over the routes that predict, given by their templates."""
    rows = [at for at, route in enumerate(snapshot.routes) if route in predicting]
    fine = snapshot.codes.index("ok")
    requests = snapshot.requests[rows]
    failed_seconds = float(snapshot.seconds_sums[rows].sum()) - snapshot.answered_seconds
    return Statistics(
        succeeded=int(snapshot.batch_buckets.sum()),
        failed=int(np.delete(requests, fine, axis=1).sum()),
        rows=int(snapshot.rows),
        runs=round(snapshot.executions),
        succeeded_seconds=snapshot.answered_seconds,
        failed_seconds=max(failed_seconds, 0.0),
        decode_seconds=snapshot.decode_seconds,
        queue_seconds=snapshot.queue_seconds,
        run_seconds=snapshot.run_seconds,
        encode_seconds=snapshot.encode_seconds,
        last=snapshot.last_answer,
    )
