"""Two versions of a model, rows to ask them, and what each says of each row by its own engine."""

from pathlib import Path
from typing import Any

import numpy as np

ROWS = 512
NAME = "iris"
#: Shared runs may add up in another order.
TOLERANCE = 1e-5


class Versions:
    """Packages of the same model, in a folder; callers cannot tell them apart but by their answers.

    Attributes:
        paths: by version.
        rows: float32, [ROWS, 4].
        answers: probabilities by version, float64, [ROWS, 2].
    """

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from sklearn.linear_model import LogisticRegression

        import septet

        generator = np.random.default_rng(1)
        x = generator.normal(3.0, 2.0, (60, 4))
        y = (x.sum(axis=1) > 12).astype(np.int64)
        self.rows: Any = generator.normal(3.0, 2.0, (ROWS, 4)).astype(np.float32)
        self.paths: dict[str, Path] = {}
        self.answers: dict[str, Any] = {}
        for version, c in (("1", 1.0), ("2", 0.01)):
            path = self.paths[version] = folder / f"{NAME}-{version}"
            if not path.exists():
                septet.save(
                    LogisticRegression(C=c).fit(x, y),
                    path,
                    data=x,
                    name=NAME,
                    version=version,
                    measurement_seconds=0.02,
                )
            session = onnxruntime.InferenceSession(str(path / "model.onnx"), providers=["CPUExecutionProvider"])
            (given,) = session.get_inputs()
            self.answers[version] = session.run(["probabilities"], {given.name: self.rows})[0]
            self.input = given.name

    def right(self, version: str | None, at: list[int], got: Any) -> bool:
        """Whether these are the version's own answers to the rows at these places; any's, where it names none."""
        answers = self.answers.values() if version is None else [self.answers.get(version)]
        found = np.array(got, np.float64)
        return any(
            each is not None and found.shape == (len(at), 2) and np.allclose(found, each[at], rtol=0, atol=TOLERANCE)
            for each in answers
        )
