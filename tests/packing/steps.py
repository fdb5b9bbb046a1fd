"""Steps of pipelines that a user may have written: they stand in a module, so a package can hold them."""

from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator, TransformerMixin  # noqa: E402


class Twice(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Has nothing to learn, and so no fitted attribute."""

    def fit(self, rows: Any, target: Any = None) -> "Twice":  # noqa: ARG002 - the form of every estimator
        return self

    def transform(self, rows: Any) -> Any:
        return rows * 2


class Described(Twice):
    """Reads columns by their names and dtypes."""

    def transform(self, rows: Any) -> Any:
        city = rows["city"]
        seen = [city.isna(), city.astype(str) == "rome", city.astype(str).str.len().fillna(0)]
        return np.stack([np.asarray(each, dtype=float) for each in (*seen, rows["age"].fillna(-1))], axis=1)


class Hours(Twice):
    """Reads moments."""

    def transform(self, rows: Any) -> Any:
        columns = [pd.DatetimeIndex(rows[name]).hour for name in rows.columns]
        return np.stack([np.nan_to_num(np.asarray(each, dtype=float), nan=-1.0) for each in columns], axis=1)


class Weekdays(Twice):
    """Reads days, some of which may be None."""

    def transform(self, rows: Any) -> Any:
        return np.array([[-1.0 if day is None else day.weekday()] for day in rows["day"]])


class IsNone(Twice):
    """Tells None from NaN."""

    def transform(self, rows: Any) -> Any:
        return np.array([[float(value is None)] for value in rows.iloc[:, 0]])


class Hasty(Twice):
    """Gives one answer for all rows."""

    def predict(self, rows: Any) -> Any:
        return np.array([len(rows)])


class Counted(Twice):
    """Looks at more than its rows: how often it was asked."""

    asked = 0

    def predict(self, rows: Any) -> Any:
        kinds = sorted({type(rows).__name__, *(str(dtype) for dtype in getattr(rows, "dtypes", []))})
        return np.full(len(rows), float(getattr(rows, "attrs", {}).get("secret", 0) + len(kinds)))


class Arrays(Twice):
    """Takes no DataFrame."""

    def predict(self, rows: Any) -> Any:
        if not isinstance(rows, np.ndarray):
            raise TypeError("an array is wanted")
        return rows[:, 0] * 2.0


class Picky(Twice):
    """Fails on one row that is rare."""

    def predict(self, rows: Any) -> Any:
        if (np.asarray(rows)[:, 0] == 1000).any():
            raise ValueError("1000 is refused")
        return np.asarray(rows)[:, 0] * 2.0


class Broken(Twice):
    """Reads an attribute that it does not have."""

    def predict(self, rows: Any) -> Any:
        return rows.nowhere
