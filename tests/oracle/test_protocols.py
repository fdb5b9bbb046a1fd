"""Over every protocol a served model answers what the model itself answers: alone and several rows at once."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from septet.assembly import open_service
from septet.settings import Model, Settings
from tests.oracle import frames
from tests.oracle.answers import cells_of, difference, wanted
from tests.oracle.frames import Frame
from tests.oracle.protocols import PREDICT, Asking
from tests.packing.saving import save

RANDOM = np.random.default_rng(7)
HALF = np.arange(frames.ROWS) % 2 == 0


def made(data: Callable[[Any], Frame], model: Any, target: Any) -> Callable[[], tuple[Any, Frame]]:
    """A model and its rows, fitted when they are wanted."""

    def fit() -> tuple[Any, Frame]:
        frame = data(np.random.default_rng(3))
        return model.fit(frame.fitted, target), frame

    return fit


def _encoded(model: Any) -> Any:
    encoder = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(make_column_transformer((encoder, ["town", "size"]), (StandardScaler(), ["pay"])), model)


MODELS = {
    "bools of floats": made(frames.floats, make_pipeline(StandardScaler(), LogisticRegression()), HALF),
    "numbers of an array": made(frames.array, GaussianNB(), HALF * 3 + 4),
    "texts of mixed": made(frames.mixed, DecisionTreeClassifier(max_depth=3), np.where(HALF, 'a,"b"', "")),
    "missing": made(frames.missing, HistGradientBoostingClassifier(max_iter=5), HALF * 1),
    "texts": made(frames.towns, _encoded(LogisticRegression()), HALF),
    "columns beside": made(frames.dropped, _encoded(LinearRegression()), HALF * 1.5),
    "several classes": made(
        frames.floats, RandomForestClassifier(3, max_depth=3), np.stack([HALF * 2 + 1, np.roll(HALF, 1) * 3], axis=1)
    ),
    "several labels": made(
        frames.floats, RandomForestClassifier(3, max_depth=3), np.stack([HALF, np.roll(HALF, 1)], axis=1)
    ),
    "several numbers": made(frames.whole, LinearRegression(), RANDOM.normal(size=(frames.ROWS, 2))),
    "documents": made(frames.documents, make_pipeline(TfidfVectorizer(), LogisticRegression()), HALF),
    "large numbers": made(frames.whole, DecisionTreeClassifier(), HALF * 1),
    "truth": made(frames.truths, LogisticRegression(), HALF),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_protocol_gives_the_models_own_answer(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, frame = MODELS[name]()
        saved = save(model, tmp_path / "m", data=frame.fitted)
        service = open_service(tmp_path / "m", Settings(model=Model(trust=saved.trust)))
        asking = Asking(service)
        exact = service.manifest.runtime != "onnx"
        found = []
        for places in ([0], list(range(len(frame.asked)))):
            rows = [cells_of(frame.asked, at) for at in places]
            asked = frame.asked.iloc[places] if hasattr(frame.asked, "iloc") else frame.asked[: len(places)]
            native = {each.name: wanted(model, each.name, asked) for each in service.signature.outputs}
            native[PREDICT] = np.asarray(model.predict(asked))
            for way in asking.ways(rows):
                wrong = _wrong(asking.ask(way), native, exact=exact)
                if wrong is not None:
                    found.append(f"{way.name} ({len(rows)} rows): {wrong}")
    assert not found, "\n".join(found)


def _wrong(got: Any, native: dict[str, Any], *, exact: bool) -> str | None:
    if isinstance(got, str):
        return got
    if "lines" in got:
        return _wrong_lines(got["lines"], native[PREDICT])
    for name, values in got.items():
        answer = values if isinstance(values, np.ndarray) else np.array(values, _dtype(native[name]))
        if name == PREDICT and _types(values) != _types(native[name].tolist()):
            return f"{values[0]!r} instead of {native[name].tolist()[0]!r}"
        differs = difference(answer, native[name], exact=exact)
        if differs is not None:
            return f"{name}: {differs}"
    return None


def _wrong_lines(lines: list[list[str]], native: Any) -> str | None:
    expected = [[str(cell) for cell in np.ravel(row)] for row in native]
    if native.dtype.kind == "f":
        same = np.allclose(np.array(lines, float), np.array(expected, float), 1e-4, 1e-5)
    else:
        same = lines == expected
    return None if same else f"{lines[0]} instead of {expected[0]}"


def _types(values: Any) -> Any:
    return [_types(each) for each in values] if isinstance(values, list) else type(values)


def _dtype(native: Any) -> Any:
    return object if native.dtype.kind in "OUSb" else native.dtype
