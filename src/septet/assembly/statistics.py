"""From what all processes have counted to the statistics of a model, as protocols tell them."""

from collections.abc import Collection

import numpy as np

from septet.monitoring.shared_metrics import MetricsSnapshot
from septet.protocols.openinference.model_statistics import Statistics


def statistics(snapshot: MetricsSnapshot, model: int, predicting: Collection[str]) -> Statistics:
    """The sums over the routes that predict, given by their templates, of the model at a place of the first axis."""
    routes = [at for at, route in enumerate(snapshot.routes) if route in predicting]
    fine = snapshot.codes.index("ok")
    requests = snapshot.requests[model, routes]
    answered_seconds = float(snapshot.answered_seconds[model])
    failed_seconds = float(snapshot.seconds_sums[model, routes].sum()) - answered_seconds
    return Statistics(
        succeeded=int(snapshot.batch_buckets[model].sum()),
        failed=int(np.delete(requests, fine, axis=1).sum()),
        rows=int(snapshot.rows[model]),
        runs=round(float(snapshot.executions[model])),
        succeeded_seconds=answered_seconds,
        failed_seconds=max(failed_seconds, 0.0),
        decode_seconds=float(snapshot.decode_seconds[model]),
        queue_seconds=float(snapshot.queue_seconds[model]),
        run_seconds=float(snapshot.run_seconds[model]),
        encode_seconds=float(snapshot.encode_seconds[model]),
        last=float(snapshot.last_answer[model]),
    )
