"""From what all processes have counted to the statistics of the model, as protocols tell them."""

from collections.abc import Collection

import numpy as np

from septet.monitoring.tally import Totals
from septet.protocols.openinference.statistics import Statistics


def statistics(totals: Totals, predicting: Collection[str]) -> Statistics:
    """The sums over the routes that predict, given by their templates."""
    rows = [at for at, route in enumerate(totals.routes) if route in predicting]
    fine = totals.codes.index("ok")
    requests = totals.requests[rows]
    failed_seconds = float(totals.seconds_sums[rows].sum()) - totals.answered_seconds
    return Statistics(
        succeeded=int(totals.batch_buckets.sum()),
        failed=int(np.delete(requests, fine, axis=1).sum()),
        rows=int(totals.rows),
        runs=round(totals.executions),
        succeeded_seconds=totals.answered_seconds,
        failed_seconds=max(failed_seconds, 0.0),
        decode_seconds=totals.decode_seconds,
        queue_seconds=totals.queue_seconds,
        run_seconds=totals.run_seconds,
        encode_seconds=totals.encode_seconds,
        last=totals.last_answer,
    )
