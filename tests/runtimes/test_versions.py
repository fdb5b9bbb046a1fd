"""A native model is refused where the library that trained it is not the one installed."""

from importlib import metadata

import msgspec
import pytest

from septet.errors import MissingExtra, VersionsMismatch
from septet.model.manifest import Manifest, Training
from septet.runtimes.engine_table import ENGINES
from septet.runtimes.sklearn.sklearn_engine import SKLEARN
from septet.runtimes.versions import require_versions
from tests.protocols import models


def manifest(runtime: str, **libraries: str) -> Manifest:
    named = {name.replace("_", "-"): version for name, version in libraries.items()}
    signature = models.classifier().signature
    return Manifest("iris", "1", runtime, "model", signature, training=Training(libraries=named))


def test_an_onnx_model_holds_no_library() -> None:
    require_versions(manifest("onnx", scikit_learn="0.1"))


def test_a_model_that_says_nothing_of_its_library_is_not_refused() -> None:
    require_versions(manifest("sklearn"))


def test_another_release_is_refused_and_a_patch_is_not() -> None:
    pytest.importorskip("sklearn")
    here = metadata.version("scikit-learn")
    major, minor = here.split(".")[:2]
    require_versions(manifest("sklearn", scikit_learn=f"{major}.{minor}.99"))
    for other in (f"{major}.{int(minor) + 1}.0", f"{int(major) + 1}.{minor}", "0.1"):
        with pytest.raises(VersionsMismatch, match=f"trained with scikit-learn {other}"):
            require_versions(manifest("sklearn", scikit_learn=other))


def test_a_library_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = msgspec.structs.replace(SKLEARN, held=("a-library-that-nobody-has",))
    monkeypatch.setitem(ENGINES, "sklearn", engine)
    with pytest.raises(MissingExtra, match=r"septet\[sklearn\]"):
        require_versions(manifest("sklearn", a_library_that_nobody_has="1.0"))


def test_the_libraries_of_other_estimators_count_too_under_each_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name != "xgboost-cpu":
            raise metadata.PackageNotFoundError(name)
        return "3.2.0"

    monkeypatch.setattr(metadata, "version", version)
    require_versions(manifest("sklearn", xgboost="3.2.9"))
    with pytest.raises(VersionsMismatch, match=r"trained with xgboost 3\.1\.0"):
        require_versions(manifest("sklearn", xgboost="3.1.0"))
    with pytest.raises(MissingExtra, match=r"pip install lightgbm==4\.6\.0"):
        require_versions(manifest("sklearn", lightgbm="4.6.0"))
