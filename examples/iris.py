"""Species of iris by the size of their leaves: a support vector machine with calibrated probabilities."""

from pathlib import Path

from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import septet
from septet.packing.save import Saved


def model() -> Pipeline:
    return make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(C=1.0), ensemble=False, cv=5))


def train(path: Path, *, replace: bool = False) -> Saved:
    flowers = load_iris(as_frame=True)
    accuracy = cross_val_score(model(), flowers.data, flowers.target, cv=5).mean()
    return septet.save(
        model().fit(flowers.data, flowers.target),
        path,
        data=flowers.data,
        target=flowers.target,
        replace=replace,
        labels=[str(name) for name in flowers.target_names],
        dataset="iris (Fisher, 1936)",
        metrics={"accuracy_cv5": round(float(accuracy), 4)},
        # Measured once, in 1935; the species will keep their shape for a hundred years.
        valid_for_days=36_500,
        description="Species of iris by the length and width of sepals and petals in centimetres",
    )
