"""The grower of a wine by its chemistry: a random forest."""

from pathlib import Path

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

import septet
from septet.packing.save import Saved


def model() -> RandomForestClassifier:
    return RandomForestClassifier(n_estimators=100, random_state=0)


def train(path: Path, *, replace: bool = False) -> Saved:
    wines = load_wine(as_frame=True)
    accuracy = cross_val_score(model(), wines.data, wines.target, cv=5).mean()
    return septet.save(
        model().fit(wines.data, wines.target),
        path,
        data=wines.data,
        target=wines.target,
        replace=replace,
        labels=["grower 1", "grower 2", "grower 3"],
        dataset="wine (UCI, 1991)",
        metrics={"accuracy_cv5": round(float(accuracy), 4)},
        valid_for_days=36_500,
        description="The grower of an Italian wine by 13 chemical measurements",
    )
