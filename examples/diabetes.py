"""How far diabetes will have progressed in a year: a regression."""

from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import septet
from septet.packing.save import Saved


def model() -> Pipeline:
    return make_pipeline(StandardScaler(), RidgeCV(alphas=(0.1, 1.0, 10.0)))


def train(path: Path, *, replace: bool = False) -> Saved:
    patients = load_diabetes(as_frame=True, scaled=False)
    error = -cross_val_score(model(), patients.data, patients.target, cv=5, scoring="neg_mean_absolute_error").mean()
    return septet.save(
        model().fit(patients.data, patients.target),
        path,
        data=patients.data,
        target=patients.target,
        replace=replace,
        dataset="diabetes (Efron et al., 2004)",
        metrics={"mean_absolute_error_cv5": round(float(error), 2)},
        ranges={"age": (0, 120), "bmi": (5, 100)},
        valid_for_days=36_500,
        description="Progression of diabetes one year after the baseline; an example, not a medical device",
    )
