"""Whether a tumour is malignant, by the cells in an image: a logistic regression."""

from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import septet
from septet.packing.save import Saved


def model() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def train(path: Path, *, replace: bool = False) -> Saved:
    tumours = load_breast_cancer(as_frame=True)
    recall = cross_val_score(model(), tumours.data, tumours.target == 0, cv=5, scoring="recall").mean()
    return septet.save(
        model().fit(tumours.data, tumours.target),
        path,
        data=tumours.data,
        target=tumours.target,
        replace=replace,
        labels=["malignant", "benign"],
        dataset="breast cancer Wisconsin (1995)",
        metrics={"recall_malignant_cv5": round(float(recall), 4)},
        # None of these is ever below zero: a negative value is a mistake of the caller.
        ranges=dict.fromkeys(tumours.data.columns, (0, None)),
        valid_for_days=36_500,
        description="Malignant or benign, by 30 measurements of cell nuclei; an example, not a medical device",
    )
