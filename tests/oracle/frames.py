"""Random training data of every kind that callers have, and rows to ask of the model that is fitted on it.

Everything is drawn from a seeded generator, so that a name and a round give the same data each time.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

ROWS = 60
ASKED = 16
TOWNS = ["Rome", "Oslo", "Zürich", "São Paulo", "北京", ""]
UNSEEN = ["Paris", "rome ", "OSLO", "Ω"]
WORDS = ["red", "blue", "green", "naïve", "łódź", "x1", "the", "and"]


class Frame(NamedTuple):
    """Rows to fit on, and others to ask: a DataFrame, an array, or a list of texts; both of the same make."""

    kind: str
    fitted: Any
    asked: Any


def _floats(rng: np.random.Generator, rows: int, width: int) -> pd.DataFrame:
    scales = rng.choice([1.0, 1e-3, 1e4], width)
    return pd.DataFrame({f"x{at}": rng.normal(size=rows) * scales[at] for at in range(width)})


def floats(rng: np.random.Generator) -> Frame:
    """Plain numbers, and some far outside of what the model has seen."""
    rows = _floats(rng, ROWS + ASKED, 4)
    fitted, asked = rows.iloc[:ROWS], rows.iloc[ROWS:].reset_index(drop=True)
    asked.iloc[0] = fitted.iloc[0]
    asked.iloc[1] = 1e6
    asked.iloc[2] = -1e6
    asked.iloc[3] = 0.0
    asked.iloc[4] = fitted.median()
    return Frame("floats", fitted, asked)


def array(rng: np.random.Generator) -> Frame:
    """The same without names."""
    return _as_array("array", floats(rng), np.float64)


def singles(rng: np.random.Generator) -> Frame:
    """An array of float32."""
    return _as_array("float32 array", floats(rng), np.float32)


def positive(rng: np.random.Generator) -> Frame:
    """An array of numbers from 0 to 1, for those that take no others."""
    return Frame("positive", rng.uniform(size=(ROWS, 4)), rng.uniform(size=(ROWS, 4))[:ASKED])


def _as_array(kind: str, frame: Frame, dtype: Any) -> Frame:
    # In row-major order, as callers have arrays: sums over a row that is strided differ in their last digit.
    fitted, asked = (np.ascontiguousarray(rows.to_numpy(), dtype) for rows in (frame.fitted, frame.asked))
    return Frame(kind, fitted, asked)


def whole(rng: np.random.Generator) -> Frame:
    """Whole numbers: small ones, counts, and identities beyond what a float32 holds."""
    base = int(rng.choice([0, 20_000_000, 3_000_000_000]))

    def made(rows: int) -> pd.DataFrame:
        return pd.DataFrame(
            {"a": rng.integers(-5, 6, rows), "id": base + rng.integers(0, 40, rows), "n": rng.integers(0, 1000, rows)}
        )

    return Frame("ints", made(ROWS), made(ASKED))


def mixed(rng: np.random.Generator) -> Frame:
    """Numbers, whole numbers and truth values in one frame."""

    def made(rows: int) -> pd.DataFrame:
        return pd.DataFrame(
            {"pay": rng.normal(size=rows), "age": rng.integers(18, 90, rows), "ok": rng.integers(0, 2, rows) == 1}
        )

    return Frame("mixed", made(ROWS), made(ASKED))


def truths(rng: np.random.Generator) -> Frame:
    """Truth values alone."""
    return Frame("bools", _truths(rng, ROWS), _truths(rng, ASKED))


def _truths(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    return pd.DataFrame({name: rng.integers(0, 2, rows) == 1 for name in ("a", "b", "c", "d")})


def missing(rng: np.random.Generator) -> Frame:
    """Numbers of which some are missing."""
    frame = floats(rng)
    return Frame("missing", _holes(rng, frame.fitted, np.nan), _holes(rng, frame.asked, np.nan))


def nullable(rng: np.random.Generator) -> Frame:
    """pandas' nullable types, with missing values."""
    frame = mixed(rng)
    return Frame("nullable", _nullable(rng, frame.fitted), _nullable(rng, frame.asked))


def _nullable(rng: np.random.Generator, rows: pd.DataFrame) -> pd.DataFrame:
    typed = rows.astype({"pay": "Float64", "age": "Int64", "ok": "boolean"})
    return _holes(rng, typed, pd.NA)


def _holes(rng: np.random.Generator, rows: pd.DataFrame, hole: Any) -> pd.DataFrame:
    rows = rows.copy()
    for at, name in enumerate(rows.columns):
        rows.loc[rng.random(len(rows)) < 0.1, name] = hole
        rows.iloc[at, at] = hole
    return rows


def towns(rng: np.random.Generator) -> Frame:
    """Numbers and texts, and texts that training had not."""
    return Frame("texts", _towns(rng, ROWS, TOWNS), _towns(rng, ASKED, [*TOWNS, *UNSEEN]))


def _towns(rng: np.random.Generator, rows: int, known: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "town": pd.Series(rng.choice(np.array(known, object), rows), dtype=object),
            "size": pd.Series(rng.choice(np.array(["S", "M", "L"], object), rows), dtype=object),
            "age": rng.integers(18, 90, rows),
            "pay": rng.normal(size=rows),
        }
    )


def missing_towns(rng: np.random.Generator) -> Frame:
    """The same with texts that are missing."""
    frame, hole = towns(rng), [None, np.nan][int(rng.integers(2))]

    def holed(rows: pd.DataFrame) -> pd.DataFrame:
        cells = rows["town"].tolist()
        for at in (0, *(rng.integers(0, len(cells), 4))):
            cells[at] = hole
        return rows.assign(town=pd.Series(cells, dtype=object))

    return Frame(f"texts with {hole}", holed(frame.fitted), holed(frame.asked))


def categories(rng: np.random.Generator) -> Frame:
    """pandas' categories and texts."""

    def typed(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(
            size=pd.Categorical(rows["size"], ["S", "M", "L"], ordered=True), town=rows["town"].astype("string")
        )

    frame = towns(rng)
    return Frame("categories", typed(frame.fitted), typed(frame.asked))


def dropped(rng: np.random.Generator) -> Frame:
    """Columns beside those that the model reads: an identity as text, a day, a truth value."""

    def beside(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(
            key=[f"c{at}" for at in range(len(rows))],
            day=pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(rows)), unit="D"),
            ok=rng.integers(0, 2, len(rows)) == 1,
        )

    frame = towns(rng)
    return Frame("columns beside", beside(frame.fitted), beside(frame.asked))


def documents(rng: np.random.Generator) -> Frame:
    """Texts of some words, one of them empty."""

    def made(rows: int, words: list[str]) -> list[str]:
        return [" ".join(rng.choice(np.array(words, object), int(rng.integers(1, 8)))) for _ in range(rows)]

    return Frame("documents", made(ROWS, WORDS), [*made(ASKED - 1, [*WORDS, "unseen", "ÉTÉ"]), ""])


def interleaved(rng: np.random.Generator) -> Frame:
    """Numbers and texts in turn, and a number as large as no float holds."""

    def turned(rows: pd.DataFrame) -> pd.DataFrame:
        big = 2**60 + rng.integers(0, 5, len(rows)).astype(np.uint64)
        return rows.assign(big=big)[["pay", "town", "age", "big", "size"]]

    frame = towns(rng)
    return Frame("columns in turn", turned(frame.fitted), turned(frame.asked))


#: What an estimator is given as it stands, in random order, until one fits.
PLAIN: tuple[Callable[[np.random.Generator], Frame], ...] = (
    floats,
    array,
    singles,
    whole,
    mixed,
    truths,
    missing,
    nullable,
)
#: What it is given behind encoders of its columns.
ENCODED: tuple[Callable[[np.random.Generator], Frame], ...] = (towns, missing_towns, categories, dropped, interleaved)
