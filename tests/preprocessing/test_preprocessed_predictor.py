"""A preprocessing step before any predictor: it checks, prepares, asks, finishes, and tells faults apart."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from septet.errors import DeadlineExceeded, Invalid, ModelFailed, Overloaded
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.preprocessing.preprocessed_predictor import PreprocessedPredictor
from septet.preprocessing.preprocessing_step import PreprocessingStep, read_preprocessing_code
from septet.runtimes.base import LoadOptions
from septet.types import Identity, Request, Response, Tensors, Timings, adapt

PREPARE = """
def prepare(columns):
    if (columns["a"] < 0).any():
        raise ValueError("a length is negative")
    if (columns["a"] == 7).any():
        raise KeyError("seven")
    return {"x": columns["a"] + columns["b"]}
"""
FINISH = """
def finish(outputs):
    return {"half": outputs["y"] / 2}
"""
RAW = Signature(
    Kind.TENSORS,
    tuple(Tensor(name, "float64", (None, 1), (Column(name, "float64", maximum=100.0),)) for name in "ab"),
    (Tensor("y", "float64", (None, 1)),),
)
MODEL = Signature(
    Kind.TENSORS,
    (Tensor("x", "float64", (None, 1), (Column("x", "float64"),)),),
    (Tensor("y", "float64", (None, 1)),),
)
REMOTE = Identity("far", "2", "sha256:" + "f" * 64)


class Remote:
    """Triples x, and remembers what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[Request] = []
        self._error = error

    async def answer(self, request: Request) -> Response:
        self.asked.append(request)
        if self._error is not None:
            raise self._error
        tensors = {"y": request.tensors["x"] * 3}
        return Response(tensors, request.rows, REMOTE, Timings(0.0, 0.0, request.rows), ("degraded",))


@contextmanager
def before(remote: Remote, folder: Path, code: str = PREPARE) -> Iterator[PreprocessedPredictor]:
    source = folder / "own.py"
    source.write_text(code)
    read = read_preprocessing_code(source, LoadOptions(trust=(sha256(source.read_bytes()).hexdigest(),)))
    step = PreprocessingStep(read, RAW.inputs, MODEL)
    predictor = PreprocessedPredictor(adapt(remote.answer), step, RAW)
    try:
        yield predictor
    finally:
        predictor.close()


def request(a: float, b: float = 1.0, **more: object) -> Request:
    tensors: Tensors = {"a": np.array([[a]]), "b": np.array([[b]])}
    return Request(tensors, 1, "id-1", **more)  # type: ignore[arg-type]


def test_a_step_stands_before_any_predictor_and_the_rest_of_its_answer_is_kept(tmp_path: Path) -> None:
    remote = Remote()
    with before(remote, tmp_path) as predictor:
        answer = asyncio.run(predictor.predict(request(2.0, outputs=("y",))))
    assert answer.tensors["y"].tolist() == [[9.0]]
    assert (answer.model, answer.flags) == (REMOTE, ("degraded",))
    assert (remote.asked[0].id, remote.asked[0].outputs) == ("id-1", ("y",))


def test_what_finishes_an_answer_is_given_all_outputs(tmp_path: Path) -> None:
    remote = Remote()
    with before(remote, tmp_path, PREPARE + FINISH) as predictor:
        answer = asyncio.run(predictor.predict(request(2.0, outputs=("half",))))
    assert answer.tensors["half"].tolist() == [[4.5]]
    assert remote.asked[0].outputs is None


def test_what_the_code_tells_of_its_progress_reaches_its_request(tmp_path: Path) -> None:
    code = "from septet import report_progress\n" + PREPARE.replace(
        "    return", "    report_progress(0.3)\n    return"
    )
    told: list[float] = []
    with before(Remote(), tmp_path, code) as predictor:
        asyncio.run(predictor.predict(request(2.0)))
        asyncio.run(predictor.predict(request(2.0, report=told.append)))
    assert told == [0.3]


def test_values_are_checked_before_the_code_sees_them(tmp_path: Path) -> None:
    remote = Remote()
    with before(remote, tmp_path) as predictor, pytest.raises(Invalid) as caught:
        asyncio.run(predictor.predict(request(101.0)))
    assert caught.value.problems[0].column == "a"
    assert remote.asked == []


def test_what_the_code_refuses_is_the_callers_fault_and_what_it_fails_on_is_not(tmp_path: Path) -> None:
    remote = Remote()
    with before(remote, tmp_path) as predictor:
        with pytest.raises(Invalid, match="a length is negative"):
            asyncio.run(predictor.predict(request(-1.0)))
        with pytest.raises(ModelFailed, match="on these values"):
            asyncio.run(predictor.predict(request(7.0)))
    assert remote.asked == []


def test_an_error_of_the_other_predictor_goes_through(tmp_path: Path) -> None:
    with before(Remote(Overloaded("full")), tmp_path) as predictor, pytest.raises(Overloaded):
        asyncio.run(predictor.predict(request(1.0)))


def test_nothing_is_prepared_after_the_deadline(tmp_path: Path) -> None:
    remote = Remote()
    with before(remote, tmp_path) as predictor, pytest.raises(DeadlineExceeded):
        asyncio.run(predictor.predict(request(-1.0, deadline=time.monotonic() - 1)))
    assert remote.asked == []
