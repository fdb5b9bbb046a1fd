"""A model on another server as a `Service`, which can be served, composed and tested like a model of our own."""

import datetime as dt
import time
from collections.abc import Mapping
from functools import partial

import msgspec

from septet.errors import Invalid, Malformed, ModelFailed, SeptetError, StartupError
from septet.model.freshness import Freshness, freshness
from septet.model.manifest import Manifest
from septet.model.sample import sample as sample_of
from septet.model.signature import Signature
from septet.protocols.codecs.json_body import JsonBody
from septet.remote.channel_factory import async_channel, thread_channel
from septet.remote.channels import ThreadChannel
from septet.remote.remote_calls import InferCall, InferResult
from septet.remote.remote_description import RemoteDescription, RemoteProvenance, describe, reads_binary
from septet.remote.remote_model import RemoteModel
from septet.remote.remote_predictor import RemotePredictor
from septet.remote.remote_tensors import RemoteTensors
from septet.remote.request_headers import request_headers
from septet.remote.retries import Attempts, RetryBudget
from septet.remote.server_address import TransportName, check_timeout, parse_address
from septet.service import Merging, Service
from septet.tensors import plain
from septet.types import Request, Tensors

#: At the start the server may be starting, too.
START_RETRIES = 10
NOT_SAID = Merging(merged=False, reason="the model's server does not say whether it runs requests together")


def remote_service(  # noqa: PLR0913 - each is said of the server or of its calls
    url: str,
    model: str | None = None,
    *,
    timeout: float = 30.0,
    transport: TransportName | None = None,
    retries: int = 1,
    headers: Mapping[str, str] | None = None,
    api_key: str | None = None,
    signature: Signature | None = None,
) -> Service:
    """Describe the model of a server that speaks the Open Inference Protocol, try it once, and make it a service.

    Of a server of Septet the service has the whole signature; of any other the tensors, without columns or labels.
    To close the service closes the connections.

    Args:
        url: of the server, such as `http://localhost:8000`; `grpc://host:port` speaks gRPC.
        model: its name there; None where the server has one model.
        timeout: seconds for the start, and for each request without a deadline.
        transport: how tensors travel over HTTP: `binary`, or `json`. None chooses `binary`, unless the server says what
            it knows beyond the protocol and that is not among it.
        retries: how often a call may be repeated where nothing was computed for it: the server was not reached, refused
            it for load, is not ready, or closed a kept connection. All calls together repeat a tenth of them at most.
        headers: sent with every request.
        api_key: sent with every request, where the server asks for one.
        signature: of a model whose server is not Septet and does not say which tensors it has.

    Raises:
        ValueError: an argument cannot be.
        MissingExtra: the transport's library is not installed.
        StartupError: the server cannot be reached, has no such model, or does not say enough of it.
    """
    check_timeout(timeout)
    address, sent = parse_address(url, transport or "binary"), request_headers(headers, api_key)
    begun = time.perf_counter()
    channel = thread_channel(address, sent)
    try:
        attempts = channel.attempts(START_RETRIES, timeout)
        described = describe(channel, attempts, model, signature)
        foreign = described.call is None
        if foreign and transport is None and address.transport == "binary" and not reads_binary(channel, attempts):
            address = msgspec.structs.replace(address, transport="json")
            channel.close()
            channel = thread_channel(address, sent)
        loaded = time.perf_counter()
        remote, sample, answer = _tried(channel, attempts, described)
        tried = time.perf_counter()
    except StartupError:
        raise
    except SeptetError as error:
        raise StartupError(f"{url} cannot be served: {error.message}") from error
    finally:
        channel.close()
    open_channel = partial(async_channel, address, sent, RetryBudget())
    open_channel()  # its library is imported here, not in the event loop, and an error that it is missing is raised now
    predictor = RemotePredictor(
        remote,
        open_channel,
        timeout=timeout,
        retries=retries,
        description=described.call,
    )
    manifest = _manifest(remote, described.provenance)
    return Service(
        identity=remote.identity,
        signature=remote.signature,
        predictor=predictor,
        manifest=manifest,
        sample=sample,
        answer=answer,
        expected=None,
        facts={"load_seconds": loaded - begun, "warmup_seconds": tried - loaded},
        freshness=partial(_freshness, manifest),
        close=predictor.close,
        merging=partial(_known, described.provenance.merging or NOT_SAID),
    )


def _manifest(model: RemoteModel, provenance: RemoteProvenance) -> Manifest:
    return Manifest(
        model.identity.name,
        model.identity.version,
        provenance.runtime,
        "",
        model.signature,
        training=provenance.training,
        valid_for_days=provenance.valid_for_days,
        parity=provenance.parity,
        description=provenance.description,
    )


def _freshness(manifest: Manifest) -> Freshness:
    return freshness(manifest, dt.datetime.now(dt.UTC))


def _known(merging: Merging) -> Merging:
    return merging


def _tried(
    channel: ThreadChannel, attempts: Attempts, described: RemoteDescription
) -> tuple[RemoteModel, Tensors | None, Tensors | None]:
    """The model with the version that answers, one row, and its answer; None where no row is known that it answers.

    Raises:
        ModelFailed: the answer does not fit the signature that the server gave.
        SeptetError: there was no answer.
    """
    model = described.model
    sample, known = sample_of(model.signature), described.provenance.data_sample
    if known is not None:
        body = msgspec.json.encode({"inputs" if isinstance(known, dict) else "data": known})
        sample = plain(JsonBody(model.signature, max_rows=model.max_rows)(body).tensors)
    tensors = RemoteTensors(model.signature)
    try:
        call = InferCall(model.identity.name, tensors.inputs(sample), None, byte_outputs=tensors.byte_outputs)
        result: InferResult = channel.call(call, attempts)
    except (Invalid, Malformed, ModelFailed):
        return model, None, None
    if described.call is None and result.model.version:
        identity = msgspec.structs.replace(model.identity, version=result.model.version)
        model = msgspec.structs.replace(model, identity=identity)
    return model, sample, tensors.outputs(result.tensors, Request(sample, 1, ""))
