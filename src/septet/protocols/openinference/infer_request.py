"""`POST /v2/models/{model}/infer`: bytes -> Request, and the way in which its answer is written.

Theory of operation. What is the same for every model is read by one compiled decoder (`document`), the values of each
input by another, compiled for this model (`json_tensors`). msgspec keeps the last of two equal keys silently; a request
with two meanings must be refused, so the quotes are counted, and a body with more of them than its values explain is
parsed a second time, strictly. So is a body that the compiled decoders refuse, to say what is wrong in it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from septet.columns.row_packing import packable
from septet.errors import Invalid, Malformed, Problem, SeptetError, UnsupportedMediaType
from septet.lengthy_work import BYTES_ON_LOOP, CAREFUL_BYTES_ON_LOOP, leave_loop
from septet.protocols.codecs.decoded_body import count_quotes
from septet.protocols.codecs.json_size import JsonSize
from septet.protocols.codecs.json_slices import SLICE_BYTES
from septet.protocols.codecs.number_lists import NumberLists
from septet.protocols.http.http_messages import JSON, HttpRequest, RequestContext, shown
from septet.protocols.http.request_factory import RequestFactory
from septet.protocols.http.routes import Encode, Operation, predicts
from septet.protocols.openinference.binary_extension import LENGTH_HEADER, SIZE, BinaryPart, whole
from septet.protocols.openinference.datatypes import input_elements, input_from_raw
from septet.protocols.openinference.infer_document import (
    EXAMPLE,
    NO_DATA,
    CarefulDocument,
    InferDocument,
    InputTensor,
    WantedOutput,
    careful,
    flag,
    number,
    of_parsed,
    quotes,
    refuse_shared_memory,
    shorter,
    timeout,
)
from septet.protocols.openinference.infer_response import OCTETS, InferResponseWriter, OutputForm
from septet.protocols.openinference.infer_schema import InferSchema
from septet.protocols.openinference.json_tensors import JsonTensor
from septet.protocols.openinference.missing_parameter import MISSING, places
from septet.protocols.openinference.parsed_request_cache import ParsedRequest, ParsedRequestCache
from septet.registry import ServedModel
from septet.tables.strict_json import strict
from septet.types import Array, Request, Tensors

_MEDIA_TYPES = (JSON, b"", OCTETS)
_MOST_DIGITS = 12
_FIT_FOR_A_HEADER = re.compile(r"[!-~]{1,128}")


class InferRequestReader:
    """Decodes the inference requests of one service."""

    def __init__(self, request_factory: RequestFactory) -> None:
        signature = request_factory.service.signature
        self._request_factory = request_factory
        self._served = request_factory.model
        self._schema = InferSchema(signature, max_rows=request_factory.limits.max_rows)
        self._readers = {tensor.name: JsonTensor(tensor) for tensor in signature.inputs}
        self._size = JsonSize(signature, request_factory.limits.max_rows)
        texts = any(reader.is_text for reader in self._readers.values())
        self._number_lists = NumberLists(EXAMPLE, texts=texts, constant=float)
        self._document = msgspec.json.Decoder(InferDocument).decode
        self._writer = InferResponseWriter(request_factory.service)
        self._cache: ParsedRequestCache | None = None
        if packable(signature):
            self._cache = ParsedRequestCache(signature, self._readers)

    @predicts(
        "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}/infer",
        operation=Operation("v2_infer", "Predict tensors", "protocols", "septet.protocols.openinference.infer_openapi"),
    )
    def infer(self, http: HttpRequest) -> tuple[ServedModel, Request, Encode]:
        """Decode a request.

        Raises:
            UnsupportedMediaType: the content type is neither JSON nor that of binary tensors.
            Malformed: the body cannot be read.
            Invalid: it is not what the protocol or the model asks for.
            LengthyWork: it is long.
        """
        context, body = http.known_context or http.context, http.body
        header = http.headers.get(LENGTH_HEADER)
        if header is None:
            if context.media_type not in _MEDIA_TYPES:
                raise _unread(context.media_type)
            if len(body) > self._size.unchecked:
                self._size.check(body)
            cached = None if self._cache is None else self._cache.find_json(body)
            return self._decode(context, body, None) if cached is None else self._cached(context, *cached)
        length = _json_length(header, len(body))
        if length == 0:
            return self._whole(context, body)
        if length > BYTES_ON_LOOP:
            leave_loop()
        cached = None if self._cache is None else self._cache.find_binary(body, length)
        if cached is not None:
            return self._cached(context, *cached)
        return self._decode(context, body[:length], BinaryPart(memoryview(body)[length:]))

    def _cached(
        self, context: RequestContext, parsed: ParsedRequest, tensors: Tensors, own: str | None
    ) -> tuple[ServedModel, Request, Encode]:
        """A request whose document is cached; `own` is the id in its body."""
        request_id = own or context.id
        request = self._request_factory.request(
            tensors,
            parsed.rows,
            request_id,
            parsed.outputs,
            timeout=parsed.seconds if context.timeout is None else shorter(parsed.seconds, context.timeout),
            trace=context.trace,
        )
        return self._served, request, parsed.encode if own is None else self._writer.encode(own, parsed.forms)

    def _decode(
        self, context: RequestContext, body: bytes, tail: BinaryPart | None
    ) -> tuple[ServedModel, Request, Encode]:
        document, arrays = self._read(body, tail)
        own, parameters, outputs = document.id, document.parameters, document.outputs
        names = forms = seconds = None
        request_id = own if own is not None and _FIT_FOR_A_HEADER.fullmatch(own) else context.id
        try:
            tensors, rows = self._schema.tensors(arrays)
            if outputs:
                names = self._schema.outputs([wanted.name for wanted in outputs])
            if parameters is not None:
                seconds = timeout(parameters)
            if parameters or (outputs and [wanted for wanted in outputs if wanted.parameters]):
                forms = self._forms(document, names)
        except SeptetError as error:
            error.request_id = request_id
            raise
        encode = self._writer.encode(own, forms)
        if self._cache is not None and type(document) is InferDocument and self._is_plain(document):
            shapes = {name: array.shape for name, array in arrays}
            parsed = ParsedRequest(shapes, rows, names, seconds, forms, self._writer.encode(None, forms))
            if tail is None:
                self._cache.keep_json(body, document, parsed)
            elif all(given.data is NO_DATA for given in document.inputs):
                self._cache.keep_binary(body, document, parsed)
        request = self._request_factory.request(
            tensors, rows, request_id, names, timeout=shorter(seconds, context.timeout), trace=context.trace
        )
        return self._served, request, encode

    def _is_plain(self, document: InferDocument) -> bool:
        """Whether all inputs are there, and their values alone say which are missing."""
        told = any(given.parameters and MISSING in given.parameters for given in document.inputs)
        return len(document.inputs) == len(self._readers) and not told

    def _read(self, body: bytes, tail: BinaryPart | None) -> tuple[InferDocument, list[tuple[str, Array]]]:
        """The document, and the arrays of its inputs."""
        parsed = self._number_lists.parse(body) if len(body) > SLICE_BYTES else None
        if parsed is not None:
            return self._careful_arrays(of_parsed(parsed), tail)
        try:
            document = self._document(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._read_carefully(body, tail)
        arrays: list[tuple[str, Array]] = []
        texts = 0
        for given in document.inputs:
            array = self._raw(given, tail)
            if array is None:
                reader = self._readers[given.name]
                array = reader.read(given.data, given.shape)
                if array is None:
                    return self._read_carefully(body, tail)
                if reader.is_text:
                    texts += sum(cell is not None for cell in array.flat)
                    array = input_elements(array, self._schema.inputs[given.name].tensor, self._places(given))
            arrays.append((given.name, array))
        if count_quotes(body) != quotes(document) + 2 * texts or b"\\" in body:
            strict(body, EXAMPLE, constant=float)
        if tail is not None:
            tail.close()
        return document, arrays

    def _read_carefully(self, body: bytes, tail: BinaryPart | None) -> tuple[CarefulDocument, list[tuple[str, Array]]]:
        if len(body) > CAREFUL_BYTES_ON_LOOP:
            leave_loop()
        return self._careful_arrays(careful(body), tail)

    def _careful_arrays(
        self, document: CarefulDocument, tail: BinaryPart | None
    ) -> tuple[CarefulDocument, list[tuple[str, Array]]]:
        arrays: list[tuple[str, Array]] = []
        if tail is not None:
            tail.rewind()
        for given in document.inputs:
            array = self._raw(given, tail)
            if array is None:
                array = self._readers[given.name].careful(given.data, given.shape, self._places(given))
            arrays.append((given.name, array))
        if tail is not None:
            tail.close()
        return document, arrays

    def _raw(self, given: InputTensor, tail: BinaryPart | None) -> Array | None:
        """Check an input; its array where it is binary, None where its values are JSON."""
        tensor = self._schema.input(given.name, given.datatype, given.shape)
        size = None
        if parameters := given.parameters:
            size = number(parameters, SIZE, 0)
            if size is None or len(parameters) > 1:
                refuse_shared_memory(parameters, given.name)
                self._places(given)
        if size is None:
            if given.data is NO_DATA:
                text = f"The input {given.name!r} has no 'data', and no {SIZE!r} among its parameters."
                raise Invalid(text, (Problem(None, given.name, "'data'", "none"),))
            return None
        if tail is None:
            text = f"The input {given.name!r} has {SIZE}, which needs the header Inference-Header-Content-Length."
            raise Invalid(text, (Problem(None, given.name, "the header Inference-Header-Content-Length", "none"),))
        if given.data is not NO_DATA:
            text = f"The input {given.name!r} has both 'data' and {SIZE!r}. Send one of them."
            raise Invalid(text, (Problem(None, given.name, f"'data' or {SIZE!r}", "both"),))
        return input_from_raw(tail.take(size, given.name), tensor, given.shape, self._places(given))

    def _places(self, given: InputTensor) -> Sequence[int]:
        """The places of an input's missing texts."""
        if not given.parameters or MISSING not in given.parameters:
            return ()
        return places(self._schema.inputs[given.name].tensor, given.datatype, given.shape, given.parameters[MISSING])

    def _forms(self, document: InferDocument, names: tuple[str, ...] | None) -> tuple[OutputForm, ...] | None:
        binary = flag(document.parameters or {}, "binary_data_output") or False
        return self._writer.forms(names, [_wanted(output) for output in document.outputs or ()], binary=binary)

    def _whole(self, context: RequestContext, body: bytes) -> tuple[ServedModel, Request, Encode]:
        """A body without JSON: the only input; every output comes back binary."""
        specs = list(self._schema.inputs.values())
        if len(specs) != 1:
            text = f"A body without JSON is the model's only input, and this model has {len(specs)}."
            raise Invalid(text, (Problem(None, None, "JSON before the tensors", "none"),))
        tensors, rows = self._schema.tensors([(specs[0].tensor.name, whole(body, specs[0]))])
        request = self._request_factory.request(tensors, rows, context.id, timeout=context.timeout, trace=context.trace)
        return self._served, request, self._writer.encode(None, self._writer.raw)


def _wanted(output: WantedOutput) -> tuple[bool | None, int | None]:
    if output.parameters is None:
        return None, None
    refuse_shared_memory(output.parameters, output.name)
    return flag(output.parameters, "binary_data"), number(output.parameters, "classification", 1)


def _unread(kind: bytes) -> UnsupportedMediaType:
    return UnsupportedMediaType(
        f"The content type {shown(kind)} is not read here. Send application/json (curl: "
        "-H 'content-type: application/json'), or tensors behind JSON with Inference-Header-Content-Length."
    )


def _json_length(header: bytes, size: int) -> int:
    """The bytes of JSON in a body of `size` bytes.

    Raises:
        Malformed: the header is no number, or more than the body has.
    """
    length = _bytes_of_json(header)
    if length > size:
        text = f"The header Inference-Header-Content-Length is {length}, but the body has {size} bytes."
        raise Malformed(text)
    return length


@lru_cache
def _bytes_of_json(header: bytes) -> int:
    if not header.isdigit() or len(header) > _MOST_DIGITS:
        raise Malformed("The header Inference-Header-Content-Length must be a whole number of bytes.")
    return int(header)
