"""What an application can answer: each `Route` is declared once, on the method that answers it.

A declaration has the path's pattern, the HTTP method and the operation that OpenAPI describes. Dispatch, the templates
of metrics, the OpenAPI document, and the answers 404 and 405 derive from it.

A route that predicts is two pure halves around the predictor: `decode` makes the request, and gives the `Encode` that
will make the reply. Neither knows when, where or with whom the model runs, so one transport may await the answer and
another may answer many requests of one turn together.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast
from urllib.parse import quote

import msgspec

from septet.model.signature import Signature
from septet.protocols.http.http_messages import Handle, HttpReply, HttpRequest
from septet.registry import ServedModel
from septet.service import Service
from septet.settings import Limits
from septet.types import Identity, Request, Response

#: The reply to a request. Raises SeptetError where the answer cannot be shown.
Encode: TypeAlias = Callable[[Request, Response], HttpReply]
#: The model that a body is for, its request, and how the answer is shown. Raises SeptetError where the body is wrong.
Decode: TypeAlias = Callable[[HttpRequest], tuple[ServedModel, Request, Encode]]

#: Where the routes of one model stand that have no `{model}` in their pattern.
MODEL_PREFIX: Final = "/models/{model}"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_Method = TypeVar("_Method", bound=Callable[..., Any])


class OperationContext(msgspec.Struct, frozen=True):
    """What an operation is described from: the model that its path belongs to, or all of them, and their limits."""

    services: Sequence[Service]
    limits: Limits

    @property
    def service(self) -> Service:
        """The model of the path."""
        return self.services[0]

    @property
    def signature(self) -> Signature:
        """What the model of the path takes and gives."""
        return self.service.signature


#: Writes the parameters, the request body and the responses of an operation, as OpenAPI has them.
Describe: TypeAlias = Callable[[OperationContext], dict[str, Any]]


class Operation(msgspec.Struct, frozen=True):
    """The OpenAPI description of a route.

    Attributes:
        name: the `operationId`.
        summary: one line.
        tag: the group in which documents show it.
        module: has a function of type `Describe` with the operation's name, which writes all else. It is imported when
            the document is asked for: a server starts without it.
    """

    name: str
    summary: str
    tag: Literal["predict", "model", "health", "jobs", "protocols", "documents"]
    module: str

    def describe(self, described: OperationContext) -> dict[str, Any]:
        """Write what the module says of the operation."""
        return cast("Describe", getattr(import_module(self.module), self.name))(described)


class Route(msgspec.Struct, frozen=True):
    """One declared route.

    Attributes:
        patterns: of its paths, such as `/v2/models/{model}/infer`: a parameter stands for one segment, or for the part
            of one before a colon. The first is the route's template, by which metrics count it.
        method: of HTTP.
        attribute: the name of the method that answers it.
        predicts: whether that decodes a request for a model; else it answers by itself.
        operation: its OpenAPI description; None for a route that it does not show.
        deferred: whether it predicts later, and answers with a ticket.
    """

    patterns: tuple[str, ...]
    method: str
    attribute: str
    predicts: bool
    operation: Operation | None = None
    deferred: bool = False

    @property
    def template(self) -> str:
        """The first pattern."""
        return self.patterns[0]


#: A path, its route, and the model that it belongs to, if any.
DocumentedRoute: TypeAlias = tuple[str, Route, ServedModel | None]


def answers(method: str, *patterns: str, operation: Operation | None = None) -> Callable[[_Method], _Method]:
    """Declare that a coroutine method answers the requests of an HTTP method to these paths."""
    return _declare(method, patterns, operation, predicts=False)


def predicts(
    *patterns: str, operation: Operation | None = None, deferred: bool = False
) -> Callable[[_Method], _Method]:
    """Declare that a method decodes (see `Decode`) what is posted to these paths; `deferred`: to be answered later."""
    return _declare("POST", patterns, operation, predicts=True, deferred=deferred)


def _declare(
    method: str, patterns: tuple[str, ...], operation: Operation | None, *, predicts: bool, deferred: bool = False
) -> Callable[[_Method], _Method]:
    def declared(function: _Method) -> _Method:
        known: tuple[Route, ...] = getattr(function, "septet_routes", ())
        route = Route(patterns, method, function.__name__, predicts, operation, deferred)
        function.septet_routes = (*known, route)  # type: ignore[attr-defined]
        return function

    return declared


def declared_routes(owner: type) -> tuple[Route, ...]:
    """The routes that a class declares, in the order of its methods."""
    return tuple(route for member in vars(owner).values() for route in getattr(member, "septet_routes", ()))


class PathRoutes(msgspec.Struct, frozen=True):
    """What one path answers.

    Attributes:
        template: by which metrics count it.
        handlers: by HTTP method; what answers without the predictor's callback.
        decode: of what is posted, where that predicts.
        model: the model that the path belongs to, or None.
        deferred: whether what is posted is answered later.
    """

    template: str
    handlers: Mapping[str, Handle]
    decode: Decode | None = None
    model: ServedModel | None = None
    deferred: bool = False

    @property
    def allowed(self) -> str:
        """The methods that it answers, as the header `allow` has them."""
        methods = {*self.handlers, *(["HEAD"] if "GET" in self.handlers else [])}
        return ", ".join(sorted({*methods, *(["POST"] if self.decode is not None else [])}))


#: By path; those of patterns with parameters by pattern.
Paths: TypeAlias = dict[str, PathRoutes]


def server_paths(*owners: object) -> Paths:
    """The paths that objects answer for the whole server."""
    return _paths((pattern, owner, route, None) for owner in owners for route, pattern in _every_pattern(owner))


def model_paths(model: ServedModel, identity: Identity, *owners: object, short: bool) -> Paths:
    """The paths that objects answer for one model: those with its name, and with `short` those without as well."""
    names = {"model": identity.name, "version": identity.version}

    def each() -> Iterator[tuple[str, object, Route, ServedModel]]:
        for owner in owners:
            for route, pattern in _every_pattern(owner):
                if "{model}" in pattern:
                    yield _filled(pattern, names), owner, route, model
                    continue
                yield _filled(MODEL_PREFIX, names) + pattern, owner, route, model
                if short:
                    yield pattern, owner, route, model

    return _paths(each())


def documented_paths(
    owner: type, identity: Identity | None = None, *, short: bool = True
) -> Iterator[tuple[str, Route]]:
    """The path under which OpenAPI shows each route of a class: that of its template, with the name of the model."""
    for route in declared_routes(owner):
        if identity is None:
            yield route.template, route
            continue
        named = "{model}" in route.template or short
        pattern = route.template if named else MODEL_PREFIX + route.template
        yield _filled(pattern, {"model": quote(identity.name)}), route


def _every_pattern(owner: object) -> Iterator[tuple[Route, str]]:
    return ((route, pattern) for route in declared_routes(type(owner)) for pattern in route.patterns)


def _filled(pattern: str, names: Mapping[str, str]) -> str:
    return _PARAMETER.sub(lambda found: names.get(found[1], found[0]), pattern)


def _paths(given: Iterable[tuple[str, object, Route, ServedModel | None]]) -> Paths:
    found: Paths = {}
    for path, owner, route, model in given:
        before = found.get(path) or PathRoutes(route.template, {}, None, model)
        answer = getattr(owner, route.attribute)
        if route.predicts:
            found[path] = msgspec.structs.replace(before, decode=answer, deferred=route.deferred)
        else:
            found[path] = msgspec.structs.replace(before, handlers={**before.handlers, route.method: answer})
    return found


class RouteTable:
    """Finds what a path answers: paths without parameters in a dictionary, all others by their patterns, in order."""

    def __init__(self, paths: Mapping[str, PathRoutes]) -> None:
        self.exact = {path: found for path, found in paths.items() if "{" not in path}
        self._patterns = [(_expression(path), found) for path, found in paths.items() if "{" in path]

    def find(self, path: str) -> tuple[PathRoutes | None, Mapping[str, str]]:
        """What a path answers, with the values of its parameters; None where there is no such path."""
        found = self.exact.get(path)
        if found is not None:
            return found, {}
        for expression, routes in self._patterns:
            match = expression.fullmatch(path)
            if match is not None:
                return routes, match.groupdict()
        return None, {}


def _expression(pattern: str) -> re.Pattern[str]:
    parts = _PARAMETER.split(pattern)
    return re.compile(
        "".join(re.escape(part) if at % 2 == 0 else f"(?P<{part}>[^/:]+)" for at, part in enumerate(parts))
    )
