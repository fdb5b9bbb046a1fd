"""A run of several requests is split as it was merged, and faults are put on the right side."""

from collections.abc import Mapping

import numpy as np
import pytest

from septet.errors import Invalid, ModelFailed
from septet.model.signature import Kind, Signature, Tensor
from septet.predictor.model_runner import ModelRunner
from septet.runtimes.echo.echo_runtime import EchoRuntime
from septet.tensors import Part
from septet.types import Request, Tensors
from tests.predictor.echoes import SAMPLE, SIGNATURE, request, runtime


def rows_of(outcome: object) -> list[float]:
    assert isinstance(outcome, Mapping)
    values: list[float] = outcome["y"].tolist()
    return values


def test_each_request_gets_the_answers_to_its_own_rows() -> None:
    model = runtime()
    outcomes = ModelRunner(model, SIGNATURE, SAMPLE).run([request(1, 2), request(3), request(4, 5, 6)])
    assert [rows_of(each) for each in outcomes] == [[3, 5], [7], [9, 11, 13]]
    assert model.runs == [6]


def test_values_that_break_the_signature_cost_the_others_one_run() -> None:
    model = runtime()
    outcomes = ModelRunner(model, SIGNATURE, SAMPLE).run(
        [request(1), request(5000), request(2), request(np.nan), request(3)]
    )
    assert [type(each) for each in outcomes] == [Part, Invalid, Part, Invalid, Part]
    assert [rows_of(outcomes[at]) for at in (0, 2, 4)] == [[3], [5], [7]]
    assert model.runs == [3]


def test_what_the_engine_refuses_is_the_callers_fault_while_the_model_answers_its_sample() -> None:
    (outcome,) = ModelRunner(runtime(rejects=[7]), SIGNATURE, SAMPLE).run([request(7)])
    assert isinstance(outcome, Invalid)
    assert "cannot be computed" in outcome.message


@pytest.mark.parametrize("sample", [SAMPLE, None])
def test_what_the_engine_refuses_is_the_models_fault_where_it_refuses_its_sample(sample: Tensors | None) -> None:
    (outcome,) = ModelRunner(runtime(rejects=[0, 7]), SIGNATURE, sample).run([request(7)])
    assert isinstance(outcome, ModelFailed)


def test_a_failure_is_told_without_its_text() -> None:
    (outcome,) = ModelRunner(runtime(fails=[7]), SIGNATURE, SAMPLE).run([request(7)])
    assert isinstance(outcome, ModelFailed)
    assert "failed on the value" not in outcome.message


class Losing(EchoRuntime):
    """Loses the last row of every run."""

    def run(self, tensors: Tensors, outputs: object = None) -> Tensors:  # noqa: ARG002
        return {"y": tensors["x"][:-1, 0]}


def test_a_model_that_loses_rows_has_failed() -> None:
    outcomes = ModelRunner(Losing(SIGNATURE), SIGNATURE, SAMPLE).run([request(1, 2), request(3)])
    assert [type(each) for each in outcomes] == [ModelFailed, ModelFailed]


def test_requests_of_different_inner_shapes_have_different_keys() -> None:
    signature = Signature(
        Kind.TENSORS, (Tensor("x", "float32", (None, None)),), (Tensor("y", "float32", (None, None)),)
    )
    engine = ModelRunner(EchoRuntime(signature), signature)

    def asked(width: int, outputs: tuple[str, ...] | None = None) -> Request:
        return Request({"x": np.zeros((1, width), np.float32)}, 1, "id", outputs)

    assert engine.key(asked(2)) == engine.key(asked(2))
    assert len({engine.key(asked(2)), engine.key(asked(3)), engine.key(asked(2, ("y",)))}) == 3


def test_a_problem_of_a_tensor_without_columns_names_the_input() -> None:
    signature = Signature(Kind.TENSORS, (Tensor("x", "string", (None, 2)),), (Tensor("y", "string", (None, 2)),))
    (outcome,) = ModelRunner(EchoRuntime(signature), signature).run(
        [Request({"x": np.array([["a", None]], object)}, 1, "id")]
    )
    assert isinstance(outcome, Invalid)
    assert outcome.message == "Expected a string in row 0, input 'x', received null."
