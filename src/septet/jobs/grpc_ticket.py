"""The ticket of a job as a message of the Open Inference Protocol. Imported only where gRPC is asked for."""

from septet.jobs.job_document import JOB_PATH
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.methods import PROTOBUF
from septet.protocols.rpc.paths import STREAM_INFER
from septet.queues.job import JobState, NewJob


def grpc_ticket(durability: str, http: HttpRequest, job: NewJob, identifier: str) -> HttpReply:
    """A `ModelInferResponse` without outputs, whose parameters have the id of the job, its state and its path."""
    answer = message("inference.ModelInferResponse")(model_name=job.model, id=job.request_id)
    facts = {
        "job_id": identifier,
        "job_state": JobState.QUEUED.value,
        "job_href": JOB_PATH.format(identifier),
        "job_durability": durability,
    }
    for name, value in facts.items():
        answer.parameters[name].string_param = value
    if http.path == STREAM_INFER:
        answer = message("inference.ModelStreamInferResponse")(infer_response=answer)
    return HttpReply(200, answer.SerializeToString(), job.request_id, PROTOBUF)
