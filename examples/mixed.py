"""Numbers and categories together: whether a customer renews, from a table with missing values."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import septet
from septet.packing.save import Saved

ROWS = 600


def customers() -> tuple[pd.DataFrame, pd.Series]:
    """A made-up table, the same at every call: there is no table of this kind among scikit-learn's own."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 80, ROWS).astype(float),
            "income": np.exp(random.normal(10.5, 0.4, ROWS)).round(2),
            "plan": random.choice(["basic", "family", "business"], ROWS, p=[0.5, 0.3, 0.2]),
            "country": random.choice(["DE", "FR", "IT", "PL"], ROWS),
            "tickets": random.poisson(1.2, ROWS).astype(float),
        }
    )
    leaning = 0.03 * (frame.age - 45) + (frame.plan == "family") - 0.6 * frame.tickets + (frame.country == "PL") * 0.5
    renewed = pd.Series(np.where(random.random(ROWS) < 1 / (1 + np.exp(-leaning)), "renews", "leaves"))
    frame.loc[random.random(ROWS) < 0.1, "income"] = np.nan
    return frame, renewed


def model() -> Pipeline:
    columns = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                ["age", "income", "tickets"],
            ),
            ("plan", OneHotEncoder(), ["plan"]),
            ("country", OneHotEncoder(handle_unknown="ignore"), ["country"]),
        ]
    )
    return make_pipeline(columns, LogisticRegression())


def train(path: Path, *, replace: bool = False) -> Saved:
    frame, renewed = customers()
    accuracy = cross_val_score(model(), frame, renewed, cv=5).mean()
    return septet.save(
        model().fit(frame, renewed),
        path,
        data=frame,
        target=renewed,
        replace=replace,
        dataset="customers (generated, seed 7)",
        metrics={"accuracy_cv5": round(float(accuracy), 4)},
        nullable=["income"],
        ranges={"age": (18, 120), "income": (0, None), "tickets": (0, None)},
        valid_for_days=36_500,
        description="Whether a customer renews; the country may be one that the model never saw, the plan may not",
    )
