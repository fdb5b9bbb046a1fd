"""The ONNX project's own node tests as services: every answer over REST is the engine's own to the last bit."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.assembly.composition import application, layout, open_service
from septet.errors import SeptetError
from septet.events import NullObserver
from septet.model.signature import DTYPES, Signature
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.openinference.datatypes import DATATYPES, dtype_of, from_raw, raw_bytes
from septet.settings import Settings
from septet.types import Array
from tests.e2e.onnx_cases import Case, cases, same

LENGTH = b"inference-header-content-length"
INFER = "/v2/models/model/infer"
# Cases that cannot be asked, and a part of the reason that is given.
REFUSED = {
    "test_constant": "the model has no inputs, so there is nothing to ask it",
    "test_string_split_empty_tensor": "The request has no rows. Send at least one.",
}
PARTS = 4
FEWEST = 300


async def ask(app: App, body: bytes, headers: dict[bytes, bytes]) -> HttpReply:
    return await app(HttpRequest("POST", INFER, b"", headers, body))


def head(signature: Signature, case: Case, more: dict[str, dict[str, Any]], **options: Any) -> bytes:
    inputs = [
        {
            "name": tensor.name,
            "shape": list(case.inputs[tensor.name].shape),
            "datatype": DATATYPES[tensor.dtype],
            **more[tensor.name],
        }
        for tensor in signature.inputs
    ]
    return json.dumps({"inputs": inputs, **options}).encode()


def as_json(app: App, signature: Signature, case: Case) -> dict[str, Array]:
    """The outputs, asked and answered as JSON."""
    values = {name: {"data": array.ravel().tolist()} for name, array in case.inputs.items()}
    reply = asyncio.run(ask(app, head(signature, case, values), {}))
    if reply.status != 200:
        raise SeptetError(json.loads(reply.body)["error"])
    return {
        each["name"]: np.array(each["data"], DTYPES[dtype_of(each["datatype"], "")]).reshape(each["shape"])
        for each in json.loads(reply.body)["outputs"]
    }


def as_bytes(app: App, signature: Signature, case: Case) -> dict[str, Array]:
    """The outputs, asked and answered as raw tensors behind JSON."""
    raw = {each.name: bytes(raw_bytes(case.inputs[each.name], each.dtype)) for each in signature.inputs}
    sizes = {name: {"parameters": {"binary_data_size": len(data)}} for name, data in raw.items()}
    json_part = head(signature, case, sizes, parameters={"binary_data_output": True})
    reply = asyncio.run(ask(app, json_part + b"".join(raw.values()), {LENGTH: str(len(json_part)).encode()}))
    if reply.status != 200:
        raise SeptetError(json.loads(reply.body)["error"])
    at = int(dict(reply.headers)[LENGTH])
    outputs = {}
    for each in json.loads(reply.body[:at])["outputs"]:
        size = each["parameters"]["binary_data_size"]
        data = reply.body[at : at + size]
        outputs[each["name"]] = from_raw(data, dtype_of(each["datatype"], ""), each["shape"], each["name"])
        at += size
    return outputs


def judge(case: Case, folder: Path) -> None:
    """Serve one case, and compare.

    Raises:
        SeptetError: it is refused.
    """
    path = folder / "model.onnx"
    path.write_bytes(case.model)
    service = open_service(path, Settings())
    app = App()
    app.models.install(service)
    application(app, Settings(), NullObserver(), SharedMetrics(layout(1)).snapshot, [service.identity.name])
    for outputs in (as_json(app, service.signature, case), as_bytes(app, service.signature, case)):
        assert set(outputs) == set(case.outputs), case.name
        for name, array in outputs.items():
            assert same(array, case.outputs[name]), (case.name, name, array, case.outputs[name])


@pytest.mark.parametrize("part", range(PARTS))
def test_every_answer_is_the_engines_own_to_the_last_bit(part: int, tmp_path: Path) -> None:
    refused: dict[str, str] = {}
    count = 0
    for case in cases(part, PARTS):
        count += 1
        try:
            judge(case, tmp_path)
        except SeptetError as error:
            refused[case.name] = error.message
    assert set(refused) <= set(REFUSED), {name: text for name, text in refused.items() if name not in REFUSED}
    for name, text in refused.items():
        assert REFUSED[name] in text
    assert count > FEWEST
