"""What the observer is told of a request that is over."""

from septet.events import Finished
from septet.protocols.http.error_bodies import STATUS
from septet.protocols.http.error_responses import id_of
from septet.protocols.http.http_messages import HttpReply, HttpRequest, traceparent_of
from septet.types import Identity


def finished_event(
    template: str, http: HttpRequest, reply: HttpReply | None, seconds: float, model: Identity | None
) -> Finished:
    """The event of a request after so many seconds: with its reply, or None where nobody waited for one any more."""
    if reply is None:  # cancelled: the caller went away, or the server stopped
        code = "cancelled"
        return Finished(template, id_of(http.headers), code, STATUS[code], 0, seconds, model=model, caller=http.caller)
    timings = reply.timings
    model = reply.model or model
    if timings is None:
        return Finished(
            template,
            reply.id,
            reply.code,
            reply.status,
            reply.rows,
            seconds,
            message=reply.message,
            model=model,
            caller=http.caller,
        )
    return Finished(
        template,
        reply.id,
        reply.code,
        reply.status,
        reply.rows,
        seconds,
        queue_seconds=timings.queue,
        run_seconds=timings.run,
        batch_rows=timings.batch_rows,
        trace=traceparent_of(http.headers),
        model=model,
        caller=http.caller,
    )
