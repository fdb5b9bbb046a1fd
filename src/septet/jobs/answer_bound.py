"""How large the answer of one job may be: a larger one is not stored, and the job fails."""

from collections.abc import Callable

from septet.errors import TooLarge
from septet.jobs.job_consumer import Answer
from septet.protocols.http.error_responses import refused
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.types import Pending


def answer_within(answer: Answer, most_bytes: int, http: HttpRequest, done: Callable[[HttpReply], None]) -> Pending:
    """Answer a request; instead of an answer of more bytes, `done` gets the error `too_large`, as its path tells it."""

    def bounded(reply: HttpReply) -> None:
        if reply.code == "ok" and len(reply.body) > most_bytes:
            text = f"The answer has {len(reply.body)} bytes; that of a job has {most_bytes} at most. Send fewer rows."
            reply = refused(TooLarge(text), http.path, http.headers, reply.model)
        done(reply)

    return answer(http, bounded)
