"""From the paths of models to their services: alone or several, shared before a fork, with middleware around them."""

import gc
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import msgspec

from septet.assembly.composition import open_service
from septet.assembly.opening import missing_name
from septet.assembly.sharing import Stamp, shareable, short_stamp, stamp
from septet.errors import SeptetError, SettingsInvalid, StaleModel, StartupError
from septet.model.fallback_answer import fallback_from_json, fallback_row
from septet.predictor.fallback import FallbackPredictor
from septet.registry import Models
from septet.server.freed_memory import trim_memory
from septet.server.prompt_end import INTERRUPTED, prompt_end
from septet.server.release_messages import ReleaseOrder
from septet.service import Service
from septet.settings import Settings
from septet.types import Middleware, Predictor

#: In place of a fallback answer: none.
NO_FALLBACK = "none"

logger = logging.getLogger("septet")


class LoadedModels(msgspec.Struct, frozen=True):
    """The services of the models that could be loaded, and why each of the others could not, by name.

    `names` are those of all models in the order of their paths: each process counts by that order.
    """

    services: Sequence[Service]
    missing: Mapping[str, str]
    names: Sequence[str]

    def install(self, models: Models) -> None:
        """Put all of them into a registry."""
        for name, reason in self.missing.items():
            models.fail(name, reason)
        models.install_all(self.services)

    @property
    def load_seconds(self) -> float:
        """How long loading them took, one after the other."""
        return sum(service.facts["load_seconds"] for service in self.services)


class ModelLoader:
    """Loads the models at some paths; a service beside them is there already.

    Attributes:
        names: of the models, as far as paths and settings say them without loading any.
    """

    def __init__(
        self, paths: Sequence[Path | Service], settings: Settings, middleware: Sequence[Middleware] = ()
    ) -> None:
        """Raise SettingsInvalid where a setting that is for one model is given for several."""
        if len(paths) > 1:
            for key in ("name", "version", "labels", "fallback"):
                if getattr(settings.model, key) is not None:
                    raise SettingsInvalid(f"{key} is for one model, and {len(paths)} are given; pack it into the model")
        self._paths = list(paths)
        self._settings = settings
        self._middleware = middleware
        self._shared: dict[Path, tuple[Stamp, Service]] = {}
        # What was released in place of the path at an index.
        self._orders: dict[int, ReleaseOrder] = {}

    @property
    def count(self) -> int:
        """How many models there are."""
        return len(self._paths)

    @property
    def paths(self) -> dict[int, Path]:
        """Where the models are loaded from, by their place; without services that were there already."""
        return {index: path for index, path in enumerate(self._paths) if isinstance(path, Path)}

    def stamp(self, path: Path) -> Stamp:
        """What changes when the files of a model do that is loaded from a path with the settings."""
        return stamp(path, self._settings.model.labels)

    def short_stamp(self, path: Path) -> Stamp:
        """The same without the weights beside a bare file, for which that file has to be read."""
        return short_stamp(path, self._settings.model.labels)

    def order(self, index: int) -> ReleaseOrder:
        """The order to load the model at a place again."""
        released = self._orders.get(index)
        # What was forced once is not forced again: nobody has looked at what is there now.
        if released is not None:
            return msgspec.structs.replace(released, force=False)
        return ReleaseOrder(str(self._paths[index]))

    def replace(self, index: int, order: ReleaseOrder) -> None:
        """Load the model at a place from where it was released, from now on."""
        self._shared.pop(self.paths.get(index, Path()), None)
        self._paths[index] = Path(order.path)
        self._orders[index] = order

    def release(self, order: ReleaseOrder) -> Service:
        """Load a new version of a model, with the middleware around its predictor.

        Raises:
            StartupError: it cannot be served.
        """
        settings = _settings_of(order, self._settings)
        service = open_service(Path(order.path), settings)
        if not order.force:
            refuse_stale(service, settings)
        return _wrapped(service, settings, self._middleware)

    def share(self) -> None:
        """Load, before the workers are forked, what may be, so that all have it in the same memory.

        Raises:
            StartupError: a model cannot be served.
        """
        with prompt_end({signal.SIGTERM: 0, signal.SIGINT: INTERRUPTED}):
            self._load_shared()
        # The collector would write to every page that it looks at, and so copy it for each worker.
        gc.collect()
        gc.freeze()
        trim_memory()

    def _load_shared(self) -> None:
        for path in self._paths:
            if isinstance(path, Path) and shareable(path, self._settings):
                found = self.stamp(path)
                try:
                    service = open_service(path, self._settings)
                    refuse_stale(service, self._settings)
                except SeptetError:
                    if self._settings.server.allow_missing:
                        continue
                    raise
                self._shared[path] = (found, service)

    def load(self, *, first: bool = True) -> LoadedModels:
        """Load every model; `first`: nobody has answered yet, and a model whose data is too old is refused.

        Raises:
            StartupError: one of them cannot be served, or all of them where some may be missing.
        """
        services: list[Service] = []
        missing: dict[str, str] = {}
        names: list[str] = []
        for index, path in enumerate(self._paths):
            settings = self._settings
            if (order := self._orders.get(index)) is not None:
                settings = _settings_of(order, settings)
            try:
                service = self._open(path, settings)
                if first:
                    refuse_stale(service, settings)
            except SeptetError as error:
                if not self._settings.server.allow_missing:
                    raise
                logger.error("%s is not served: %s", _shown(path), error.message)  # noqa: TRY400 - the message says all
                names.append(path.identity.name if isinstance(path, Service) else missing_name(path, settings.model))
                missing[names[-1]] = error.message
                continue
            names.append(service.identity.name)
            services.append(_wrapped(service, self._settings, self._middleware))
        if not services:
            raise StartupError("none of the models can be served: " + "; ".join(missing.values()))
        for name in names:
            if names.count(name) > 1:
                raise StartupError(f"two models have the name {name!r}; each needs a name of its own")
        return LoadedModels(services, missing, names)

    def _open(self, path: Path | Service, settings: Settings) -> Service:
        """The shared service, unless the model has changed since: a worker that is renewed serves what is there now."""
        if isinstance(path, Service):
            return path
        shared = self._shared.get(path)
        if shared is not None and shared[0] == self.stamp(path):
            return shared[1]
        return open_service(path, settings)


def _settings_of(order: ReleaseOrder, settings: Settings) -> Settings:
    """The settings with what an order says of its model."""
    model = settings.model
    said = msgspec.structs.replace(
        model,
        name=order.name or model.name,
        version=order.version or model.version,
        trust=(*model.trust, *order.trust),
    )
    return msgspec.structs.replace(settings, model=said)


def _shown(model: Path | Service) -> str:
    return model.identity.name if isinstance(model, Service) else str(model)


def load_service(path: Path, settings: Settings) -> Service:
    """Load one model, whatever the age of its data, with the middleware of the settings around its predictor.

    Raises:
        StartupError: it cannot be served.
        SettingsInvalid: a middleware cannot be imported.
    """
    return _wrapped(open_service(path, settings), settings, ())


def _wrapped(service: Service, settings: Settings, middleware: Sequence[Middleware]) -> Service:
    wrapped = with_middleware(service, (*middleware, *map(_imported, settings.model.middleware)))
    return with_fallback(wrapped, settings.model.fallback)


def with_fallback(service: Service, chosen: str | None) -> Service:
    """The service with an answer in place of some errors: what is `chosen`, as JSON, else what its package says.

    Raises:
        FallbackInvalid: the answer does not fit the model's outputs.
    """
    if chosen == NO_FALLBACK:
        return service
    if chosen is None:
        values, source = service.manifest.fallback, f"the fallback of the package {service.identity.name!r}"
    else:
        source = "model.fallback"
        values = fallback_from_json(chosen, source)
    if values is None:
        return service
    signature = service.signature
    row = fallback_row(values, signature, source)
    predictor = FallbackPredictor(service.predictor, service.identity, row, by_row=signature.rows)
    return msgspec.structs.replace(service, predictor=predictor)


def with_middleware(service: Service, middleware: Sequence[Middleware]) -> Service:
    """The service with its predictor wrapped, the first middleware outermost.

    Raises:
        SettingsInvalid: a middleware fails, or makes no predictor.
    """
    predictor = service.predictor
    for each in reversed(middleware):
        try:
            predictor = each(predictor)
        except Exception as error:
            raise SettingsInvalid(f"the middleware {_name(each)} fails: {type(error).__name__}: {error}") from error
        if not isinstance(predictor, Predictor):
            raise SettingsInvalid(f"the middleware {_name(each)} made a {type(predictor).__name__}, not a Predictor")
    return msgspec.structs.replace(service, predictor=predictor)


def refuse_stale(service: Service, settings: Settings) -> None:
    """Refuse a model whose training data is too old, unless the settings allow it.

    Raises:
        StaleModel: it is.
    """
    age = service.freshness()
    if age.state == "error" and not settings.model.allow_stale:
        raise StaleModel(f"{service.identity.name}: {age.message}. Train it again, or serve it with --allow-stale.")


def _imported(name: str) -> Middleware:
    module, _, attribute = name.partition(":")
    # The command `septet` looks in its own folder, not in the one where it is called. Last, so that nothing is hidden.
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        found: Middleware = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsInvalid(f"the middleware {name!r} cannot be imported: {error}") from error
    except Exception as error:
        # Its module runs code of its own.
        raise SettingsInvalid(f"the middleware {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise SettingsInvalid(f"the middleware {name!r} is a {type(found).__name__}, not a function or class")
    return found


def _name(middleware: Middleware) -> str:
    return repr(getattr(middleware, "__qualname__", middleware))
