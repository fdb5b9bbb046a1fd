"""Several models are loaded together: what one of them may lack, what all need, and what wraps them."""

import asyncio
import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import septet
from septet import testing
from septet.assembly.loading import ModelLoader, load_service
from septet.errors import DamagedModel, SettingsInvalid, StaleModel, StartupError
from septet.model.septet_toml import manifest_from_toml, manifest_to_toml
from septet.registry import Models
from septet.server.release_messages import ReleaseOrder
from septet.settings import Model, Server, Settings
from septet.types import Predictor, Request, Response, adapt
from tests.runtimes import onnx_models

ALLOWING = Settings(server=Server(allow_missing=True))


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a model of two columns, by its name."""

    def make(name: str) -> Path:
        path = tmp_path / f"{name}.onnx"
        onnx_models.saved(tmp_path, onnx_models.identity()).rename(path)
        return path

    return make


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    (tmp_path / "broken.onnx").write_bytes(b"nonsense")
    return tmp_path / "broken.onnx"


def test_models_are_installed_in_the_order_of_their_paths(model: Callable[[str], Path]) -> None:
    loaded = ModelLoader([model("two"), model("one")], Settings()).load()
    assert (loaded.names, loaded.missing) == (["two", "one"], {})
    assert loaded.load_seconds > 0
    models = Models()
    loaded.install(models)
    assert [each.service.identity.name for each in models] == ["two", "one"]


def test_one_bad_model_stops_the_start_with_its_own_error(model: Callable[[str], Path], broken: Path) -> None:
    with pytest.raises(DamagedModel, match=r"broken\.onnx"):
        ModelLoader([model("good"), broken], Settings()).load()


def test_where_some_may_be_missing_the_others_are_served(
    model: Callable[[str], Path], broken: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = ModelLoader([broken, model("good")], ALLOWING).load()
    assert loaded.names == ["broken", "good"]
    assert "broken.onnx" in loaded.missing["broken"]
    assert [record.levelname for record in caplog.records if "broken.onnx is not served" in record.message] == ["ERROR"]
    models = Models()
    loaded.install(models)
    assert [each.service.identity.name for each in models] == ["good"]
    assert list(models.missing) == ["broken"]
    assert models.sole is None


def test_where_all_are_missing_nothing_is_served(broken: Path, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"none of the models can be served: .*broken\.onnx.*; .*nowhere"):
        ModelLoader([broken, tmp_path / "nowhere.onnx"], ALLOWING).load()


@pytest.mark.parametrize("settings", [Settings(), ALLOWING])
def test_two_models_of_one_name_are_refused(model: Callable[[str], Path], settings: Settings) -> None:
    path = model("one")
    with pytest.raises(StartupError, match="two models have the name 'one'"):
        ModelLoader([path, path], settings).load()


@pytest.mark.parametrize("key", ["name", "version", "labels"])
def test_what_is_said_of_one_model_is_not_said_of_several(key: str, model: Callable[[str], Path]) -> None:
    settings = Settings(model=msgspec.structs.replace(Model(), **{key: "mine"}))
    with pytest.raises(SettingsInvalid, match=f"{key} is for one model, and 2 are given"):
        ModelLoader([model("one"), model("two")], settings)


@pytest.fixture
def stale(model: Callable[[str], Path], tmp_path: Path) -> Path:
    """A package whose data ended long ago."""
    long_ago = dt.date(2020, 1, 1)
    septet.pack(model("old"), tmp_path / "old", window=(None, long_ago))
    return tmp_path / "old"


def test_a_model_that_is_too_old_is_missing_and_the_others_are_served(
    model: Callable[[str], Path], stale: Path
) -> None:
    with pytest.raises(StaleModel, match="--allow-stale"):
        ModelLoader([model("new"), stale], Settings()).load()
    loaded = ModelLoader([model("new"), stale], ALLOWING).load()
    assert [service.identity.name for service in loaded.services] == ["new"]
    assert "--allow-stale" in loaded.missing["old"]


def test_a_model_that_became_too_old_while_it_was_served_is_loaded_again(stale: Path) -> None:
    assert ModelLoader([stale], Settings()).load(first=False).names == ["old"]
    assert load_service(stale, Settings()).identity.name == "old"


ONE_THREAD = Settings(server=Server(allow_missing=True), model=Model(threads=1))


def test_what_is_shared_is_loaded_once_until_it_changes(model: Callable[[str], Path], broken: Path) -> None:
    path = model("one")
    loader = ModelLoader([path, broken], ONE_THREAD)
    loader.share()
    (first,), (again,) = loader.load().services, loader.load(first=False).services
    assert first.predictor is again.predictor
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)
    (changed,) = loader.load(first=False).services
    assert changed.predictor is not first.predictor


def test_what_cannot_be_shared_stops_the_start_before_any_worker(broken: Path) -> None:
    with pytest.raises(DamagedModel):
        ModelLoader([broken], Settings(model=Model(threads=1))).share()


# Opening


def test_a_bare_file_takes_nulls_where_that_is_asked_for(model: Callable[[str], Path]) -> None:
    path = model("one")
    assert not any(column.nullable for column in load_service(path, Settings()).signature.columns)
    service = load_service(path, Settings(model=Model(nullable=True)))
    assert all(column.nullable for column in service.signature.columns)


def test_a_manifest_that_describes_other_tensors_is_refused(model: Callable[[str], Path], tmp_path: Path) -> None:
    septet.pack(model("one"), tmp_path / "one")
    source = tmp_path / "one" / "septet.toml"
    manifest = manifest_from_toml(source.read_bytes(), "test")
    source.write_text(manifest_to_toml(manifest).replace('name = "y"', 'name = "z"').replace('"y"', '"z"'))
    with pytest.raises(StartupError, match="outputs"):
        ModelLoader([tmp_path / "one"], Settings()).load()


# Middleware


def naming(name: str) -> Callable[[Predictor], Predictor]:
    """A middleware that adds its name to the flags."""

    def wrap(inner: Predictor) -> Predictor:
        async def predict(request: Request) -> Response:
            response = await inner.predict(request)
            flags = (*response.flags, name)
            return Response(response.tensors, response.rows, response.model, response.timings, flags)

        return adapt(predict)

    return wrap


def test_the_first_middleware_is_outermost(model: Callable[[str], Path]) -> None:
    loader = ModelLoader([model("one")], Settings(), [naming("outer"), naming("inner")])
    (service,) = loader.load().services
    assert service.sample is not None
    response = asyncio.run(service.predictor.predict(Request(service.sample, 1, "an-id")))
    assert response.flags == ("inner", "outer")


def test_code_of_a_middleware_that_fails_is_told(
    model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_middleware.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SettingsInvalid, match="'broken_middleware:wrap' cannot be imported: ZeroDivisionError"):
        load_service(model("one"), Settings(model=Model(middleware=("broken_middleware:wrap",))))


# ASGI


def test_an_application_takes_settings_by_name_and_refuses_others(
    model: Callable[[str], Path], broken: Path, tmp_path: Path
) -> None:
    config = tmp_path / "septet-server.toml"
    config.write_text("[server]\nallow_missing = true\n")
    with testing.TestClient(septet.asgi(model("one"), broken, config=config)) as client:
        assert list(client.get("/health/ready").json()["missing"]) == ["broken"]
    with pytest.raises(SettingsInvalid, match="did you mean max_rows"):
        septet.asgi(model("one"), max_row=1)
    with pytest.raises(DamagedModel):
        septet.asgi(model("one"), broken)


def test_what_was_forced_once_is_not_forced_when_its_files_change(model: Callable[[str], Path], tmp_path: Path) -> None:
    loader = ModelLoader([model("one")], Settings())
    assert loader.order(0) == ReleaseOrder(str(tmp_path / "one.onnx"))
    loader.replace(0, ReleaseOrder(str(model("two")), name="one", force=True))
    assert loader.order(0) == ReleaseOrder(str(tmp_path / "two.onnx"), name="one")


def test_a_released_model_that_cannot_be_loaded_is_missing_by_the_name_it_was_given(
    model: Callable[[str], Path], broken: Path
) -> None:
    loader = ModelLoader([model("one"), model("two")], ALLOWING)
    loader.replace(1, ReleaseOrder(str(broken), name="two"))
    assert list(loader.load(first=False).missing) == ["two"]
