"""A model of images: preprocessing code decodes a PGM (a picture of grey values) before an estimator of digits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from septet.packing.save import Saved, save
from septet.types import Array

# Reads `P5 8 8 255` and the bytes behind it. What is none is the caller's fault.
PREPARE = """
import numpy as np

def pixels(picture):
    header, _, body = picture.partition(b"\\n")
    kind, *sizes = header.split()
    if kind != b"P5" or len(body) != 64:
        raise ValueError("the picture is no PGM of 8 by 8")
    return np.frombuffer(body, np.uint8)

def prepare(columns):
    return {"input": np.stack([pixels(each) for each in columns["picture"]]).astype(np.float64)}
"""
FINISH = """
def finish(outputs):
    return {**outputs, "thumbnail": [bytes([label]) + b"\\0" for label in outputs["label"].tolist()]}
"""


def picture(pixels: Array) -> bytes:
    """Grey values, [64], as a PGM."""
    return b"P5 8 8 255\n" + pixels.astype(np.uint8).tobytes()


def digits() -> tuple[list[bytes], Array, Array]:
    """Pictures, their pixels as the estimator takes them, [N, 64], and the digits that they show."""
    pixels, shown = load_digits(return_X_y=True)
    return [picture(each) for each in pixels], pixels, shown


def saved(folder: Path, code: str = PREPARE) -> tuple[Saved, Callable[[Array], Array]]:
    """The package of a model of pictures, and the estimator's own scores for pixels."""
    pictures, pixels, shown = digits()
    model = LogisticRegression(C=0.001, max_iter=1000).fit(pixels[:300], shown[:300])
    source = folder / "own.py"
    source.write_text(code)
    data = {"picture": pictures[:300]}
    made = save(model, folder / "digits", data=data, target=shown[:300], prepare=source, row_independent=True)
    return made, model.predict_proba
