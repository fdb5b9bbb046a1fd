"""Rows as whole requests, written once before the load."""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec
import numpy as np

from septet.bench.load import AnswerForm, Payload, Target
from septet.errors import Invalid
from septet.model.signature import Signature
from septet.protocols.codecs import examples
from septet.protocols.openinference.datatypes import DATATYPES, input_bytes
from septet.protocols.openinference.missing_parameter import missing_parameters
from septet.types import Tensors

Protocol: TypeAlias = Literal["data", "records", "v2", "v2-binary"]
PROTOCOLS: Final[tuple[Protocol, ...]] = get_args(Protocol)
FORMS: Final[dict[Protocol, AnswerForm]] = {
    "data": "prediction",
    "records": "prediction",
    "v2": "outputs",
    "v2-binary": "binary-outputs",
}
MOST_PAYLOADS: Final = 1000

_JSON = "application/json"


def request_bytes(target: Target, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Write one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {target.authority}", "user-agent: septet-bench"]
    if target.api_key and not any(name.lower() == "authorization" for name in headers):
        lines.append(f"authorization: Bearer {target.api_key}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method != "GET":
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Requests:
    """Writes rows of a model as requests in one protocol.

    Attributes:
        path: of the route.
        form: of its answers.
    """

    def __init__(self, target: Target, prefix: str, signature: Signature, model: str, protocol: Protocol) -> None:
        self._target = target
        self._signature = signature
        self._protocol = protocol
        self.path = prefix + ("/predict" if protocol in ("data", "records") else f"/v2/models/{model}/infer")
        self.form: AnswerForm = FORMS[protocol]

    def payload(self, tensors: Tensors, rows: int) -> Payload:
        """Write one request for so many rows.

        Raises:
            Invalid: the model's rows cannot be written in this protocol.
        """
        headers, body = self._written(tensors)
        data = request_bytes(self._target, "POST", self.path, headers, body)
        return Payload(data, len(body), rows if self._signature.rows else None)

    def payloads(self, tensors: Tensors, rows_per_request: int) -> tuple[Payload, ...]:
        """Write requests of so many rows each, up to 1,000 of them; too few rows are used again.

        Raises:
            Invalid: the model's rows cannot be written in this protocol, or it has none.
        """
        if not self._signature.rows:
            if rows_per_request != 1:
                raise Invalid("--rows-per-request: this model takes one unit a request, not rows.")
            return (self.payload(tensors, 1),)
        rows = len(next(iter(tensors.values())))
        count = min(MOST_PAYLOADS, max(1, rows // rows_per_request))
        made = []
        for at in range(count):
            taken = np.arange(at * rows_per_request, (at + 1) * rows_per_request) % rows
            made.append(self.payload({name: array[taken] for name, array in tensors.items()}, rows_per_request))
        return tuple(made)

    def _written(self, tensors: Tensors) -> tuple[dict[str, str], bytes]:
        signature = self._signature
        if self._protocol == "v2":
            return {"content-type": _JSON}, _json({"inputs": self._json_tensors(tensors)})
        if self._protocol == "v2-binary":
            return self._binary(tensors)
        if self._protocol == "records":
            records = examples.records(signature, tensors)
            if records is None:
                raise Invalid("--protocol records: this model's columns have no names of their own; use data.")
            return {"content-type": _JSON}, _json({"records": records})
        rows = examples.data(signature, tensors)
        content = {"inputs": examples.inputs(signature, tensors)} if rows is None else {"data": rows}
        return {"content-type": _JSON}, _json(content)

    def _json_tensors(self, tensors: Tensors) -> list[dict[str, Any]]:
        return [
            {
                "name": each.name,
                "shape": list(tensors[each.name].shape),
                "datatype": DATATYPES[each.dtype],
                "data": examples.values(each, tensors[each.name].reshape(-1)),
            }
            for each in self._signature.inputs
        ]

    def _binary(self, tensors: Tensors) -> tuple[dict[str, str], bytes]:
        raw = [input_bytes(tensors[each.name], each) for each in self._signature.inputs]
        inputs: Sequence[dict[str, Any]] = [
            {
                "name": each.name,
                "shape": list(tensors[each.name].shape),
                "datatype": DATATYPES[each.dtype],
                "parameters": {"binary_data_size": len(data), **missing_parameters(tensors[each.name])},
            }
            for each, data in zip(self._signature.inputs, raw, strict=True)
        ]
        document = _json({"inputs": inputs, "parameters": {"binary_data_output": True}})
        headers = {
            "content-type": "application/octet-stream",
            "inference-header-content-length": str(len(document)),
        }
        return headers, document + b"".join(raw)


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
