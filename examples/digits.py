"""Handwritten digits of 8 by 8 pixels: a small neural network."""

from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler

import septet
from septet.packing.save import Saved


def model() -> Pipeline:
    return make_pipeline(MinMaxScaler(), MLPClassifier((64,), max_iter=400, random_state=0))


def train(path: Path, *, replace: bool = False) -> Saved:
    digits = load_digits(as_frame=True)
    rows, held, answers, truth = train_test_split(digits.data, digits.target, random_state=0, stratify=digits.target)
    accuracy = model().fit(rows, answers).score(held, truth)
    return septet.save(
        model().fit(digits.data, digits.target),
        path,
        data=digits.data,
        target=digits.target,
        replace=replace,
        dataset="digits (UCI, 1998)",
        metrics={"accuracy_held_out": round(float(accuracy), 4)},
        ranges=dict.fromkeys(digits.data.columns, (0, 16)),
        valid_for_days=36_500,
        description="A digit by the ink, 0 to 16, in each of 8 by 8 pixels",
    )
