"""Answers from a run that several requests shared."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from septet.model.signature import DTYPES, Kind, Signature, Tensor
from septet.protocols.openinference.infer_response import InferResponseWriter
from septet.tensors import Outputs, Part
from septet.types import Array, Request, Response, Timings
from tests.budgets import examples
from tests.protocols import models

WANTED = {
    "f": (Tensor("f", "float32", (None, 3)), hnp.from_dtype(np.dtype(np.float32)) | st.just(np.float32("nan"))),
    "i": (Tensor("i", "int64", (None,)), hnp.from_dtype(np.dtype(np.int64))),
    "b": (Tensor("b", "bool", (None, 2, 2)), st.booleans()),
    "s": (Tensor("s", "string", (None,)), st.sampled_from(["", "],[", "null", "é"])),
}


@given(st.data())
@settings(max_examples=examples(150), deadline=None)
def test_an_answer_from_a_shared_run_is_that_of_a_run_alone(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=5))
    rows = sum(counts)
    arrays: dict[str, Array] = {}
    for name, (tensor, values) in WANTED.items():
        shape = (rows, *(size or 0 for size in tensor.shape[1:]))
        dtype = object if tensor.dtype == "string" else DTYPES[tensor.dtype]
        arrays[name] = data.draw(hnp.arrays(dtype, shape, elements=values))
    names = tuple(data.draw(st.permutations(list(WANTED)))[: data.draw(st.integers(1, 4))])
    inputs = (Tensor("X", "float32", (None, 4)),)
    signature = Signature(Kind.TENSORS, inputs, tuple(tensor for tensor, _ in WANTED.values()))
    written = InferResponseWriter(models.service(signature, {"X": np.zeros((1, 4))}, {name: [0] for name in WANTED}))
    binary = data.draw(st.lists(st.booleans(), min_size=len(names), max_size=len(names)))
    forms = written.forms(names, [(each, None) for each in binary], binary=False)
    encode = written.encode(data.draw(st.sampled_from([None, "mine"])), forms)
    shared, start = Outputs(arrays, rows), 0
    for count in counts:
        asked = Request({}, count, "id", names)
        stop = start + count
        alone = {name: array[start:stop] for name, array in arrays.items()}
        found, expected = (
            encode(asked, Response(each, count, models.IDENTITY, Timings(0.0, 0.0, rows)))
            for each in (Part(shared, start, stop), alone)
        )
        assert (found.body, found.headers, found.media_type) == (expected.body, expected.headers, expected.media_type)
        start = stop
