"""`@cache`: an endpoint of FastAPI, or any function, whose results are kept."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ..._core import MISS, ConfigError, Options, ShelflifeError, Undecodable
from ..._given import options
from ..._keys import Name, canonical
from ..._loads import current_entry
from ..._time import Time, seconds
from . import _headers, _kept
from ._kept import Form, Kept
from ._signature import is_request, is_response, resolved, with_injected
from ._state import FastAPICache
from .coder import Coder, usable
from .key_builder import default_key_builder
from .types import KeyBuilder, tag_of, tag_of_prefix

_log = logging.getLogger(__name__)


def cache(
    expire: Time | None = None,
    coder: type[Coder] | None = None,
    key_builder: KeyBuilder | None = None,
    namespace: str = "",
    injected_dependency_namespace: str = "__fastapi_cache",
) -> Callable[[Callable[..., Any]], Callable[..., Awaitable[Any]]]:
    """Keeps what a function returns, for `expire` (seconds, a timedelta, or text such as `"5m"`).

    Under `@app.get(...)`, or round any function; what it makes is async, and a sync function runs in a thread. What is not given is
    what `FastAPICache.init` was told.
    """
    if expire is not None:
        seconds(expire, "expire")
    if coder is not None:
        usable(coder)

    def decorate(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        plan = _Plan(function, expire, coder, key_builder, namespace, injected_dependency_namespace)

        @functools.wraps(function)
        async def cached(*args: Any, **kwargs: Any) -> Any:
            return await _Call(plan, args, kwargs).answer()

        cached.__signature__ = with_injected(plan.signature, *plan.injected)  # type: ignore[attr-defined]
        return cached

    return decorate


class _Plan:
    """What is known of a function before it is called."""

    def __init__(
        self,
        function: Callable[..., Any],
        expire: Time | None,
        coder: type[Coder] | None,
        key_builder: KeyBuilder | None,
        namespace: str,
        injected: str,
    ) -> None:
        self.function, self.expire, self.coder, self.key_builder, self.namespace = function, expire, coder, key_builder, namespace
        self.signature = resolved(function)
        said = self.signature.return_annotation
        self.values = _kept.Values(None if said is inspect.Signature.empty or isinstance(said, str) else said)
        #: Parameters that only FastAPI sees.
        self.injected: list[inspect.Parameter] = []
        self.request = self._parameter(is_request, f"{injected}_request", Request)
        self.response = self._parameter(is_response, f"{injected}_response", Response)
        self.injected_names = {param.name for param in self.injected}
        self.policies: dict[Any, Options] = {}
        self.warned: set[str] = set()

    def _parameter(self, is_it: Callable[[Any], bool], name: str, kind: type) -> str:
        for param in self.signature.parameters.values():
            if is_it(param.annotation):
                return param.name
        self.injected.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind))
        return name

    def policy(self, expire: Time | None) -> Options:
        found = self.policies.get(expire)
        if found is None:
            found = self.policies[expire] = options(_kept.CODEC, ttl=expire, **_kept.POLICY)
        return found

    def warn(self, why: str, error: object) -> None:
        """Once: what can't be kept would say so with each request."""
        if why not in self.warned:
            self.warned.add(why)
            _log.warning("%s.%s %s: %s", self.function.__module__, self.function.__qualname__, why, error)


class _Call:
    """One call of it."""

    def __init__(self, plan: _Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.plan = plan
        # By position only where somebody else than FastAPI calls it.
        bound = plan.signature.bind_partial(*args).arguments if args and len(plan.injected) < 2 else {}
        self.request: Request | None = kwargs.get(plan.request, bound.get(plan.request))
        self.response: Response | None = kwargs.get(plan.response, bound.get(plan.response))
        self.args, self.kwargs = args, {name: item for name, item in kwargs.items() if name not in plan.injected_names}
        #: What this very call has loaded: the value, and what the endpoint said of its response.
        self.made: tuple[Any, Response | None, Kept] | None = None

    async def answer(self) -> Any:
        if self._off():
            return await self._run(self.args, self.kwargs)
        state, plan = FastAPICache, self.plan
        self.coder = plan.coder or state.get_coder()
        self.expire = plan.expire or state.get_expire() or None
        self.cache = state.get_backend().cache
        key = await self._key() if self.cache.enabled else None
        if key is None or not await self._is_open():
            return await self._run(self.args, self.kwargs)
        anew = _headers.asks(self.request, "no-cache")
        kept = (None if anew else self._hit(key)) or await self._load(key, refresh=anew)
        if self.made is None and kept.form is Form.NOTHING:
            # It was somebody else's, and for him alone.
            return await self._run(self.args, self.kwargs)
        value: Any = None
        if self.made is None:
            try:
                value = _kept.response_of(kept) if kept.form is Form.RESPONSE else plan.values.read(kept, self.coder)
            except Exception as error:
                plan.warn("could not read an entry, and loads it anew", error)
                kept = await self._load(key, refresh=True)
        if self.made is not None:
            value, said, kept = self.made
            headers = [] if said is None else _lines(said)
            return await self._sent(key, value, kept, None if said is None else said.status_code, headers, "MISS")
        return await self._sent(key, value, kept, kept.status, list(kept.headers), "HIT")

    def _off(self) -> bool:
        if not FastAPICache.get_enable():
            return True
        return self.request is not None and (self.request.method != "GET" or _headers.asks(self.request, "no-store"))

    async def _key(self) -> str | None:
        """None: the arguments can't be named, so nothing can be kept."""
        plan, state = self.plan, FastAPICache
        build = plan.key_builder or state.get_key_builder()
        kwargs = {name: item for name, item in self.kwargs.items() if name not in (plan.request, plan.response)}
        namespace = f"{state.get_prefix()}:{plan.namespace}"
        try:
            key = build(plan.function, namespace, request=self.request, response=self.response, args=self.args, kwargs=kwargs)
        except TypeError as error:
            if build is not default_key_builder:
                raise
            plan.warn("is not cached", error)
            return None
        self.is_own_key = build is not default_key_builder
        return canonical(await key if inspect.isawaitable(key) else key)

    async def _is_open(self) -> bool:
        if self.cache._core is not None:
            return True
        try:
            await self.cache._opened()
        except ConfigError:
            raise
        except ShelflifeError as error:
            self.plan.warn("is not cached", error)
            return False
        return True

    def _hit(self, key: str) -> Kept | None:
        """What this process's memory has: nothing waits."""
        core = self.cache._near
        if core is None:
            return None
        try:
            found = core.hit(key, _kept.CODEC.decoder, self.plan.policy(self.expire), True)
        except Undecodable:
            return None
        return None if found is MISS else found

    async def _load(self, key: str, *, refresh: bool) -> Kept:
        prefix = FastAPICache.get_prefix()
        tags: list[str] = [tag_of(f"{prefix}:{self.plan.namespace}"), tag_of_prefix(prefix)]
        policy = self.plan.policy(self.expire)
        kept: Kept = await self.cache._load(key, tags, _kept.CODEC, policy, True, None, self._made, refresh=refresh)
        return kept

    async def _made(self) -> Kept:
        """Runs the function. It gets a response of its own, for what it says there is kept, or not, with its value."""
        said = self._own_response()
        value = await self._run(*self._with(said))
        kept = self._kept(value, said)
        if kept.form is Form.NOTHING:
            current_entry().no_store()
        self.made = (value, said, kept)
        return kept

    def _kept(self, value: Any, said: Response | None) -> Kept:
        spoke = value if isinstance(value, Response) else said
        headers = [] if spoke is None else _lines(spoke)
        status = None if spoke is None else spoke.status_code
        if (status or 200) >= 400 or _headers.is_private(headers):
            return _kept.NOTHING
        if _headers.varies(headers) and not self.is_own_key:
            self.plan.warn("is not cached", "its Vary names what its key has not; give key_builder=")
            return _kept.NOTHING
        if isinstance(value, Response):
            if getattr(value, "body", None) is None or value.background is not None:
                return _kept.NOTHING  # It streams, or there is more to be done.
            form, body, model = Form.RESPONSE, bytes(value.body), None
        else:
            try:
                form, body = self.plan.values.write(value, self.coder, self.request)
            except Exception as error:
                self.plan.warn("is not cached", error)
                return _kept.NOTHING
            route = None if self.request is None else self.request.scope.get("route")
            model = getattr(route, "response_model", None)
        etag = next((text for name, text in headers if name == "etag"), None) or _kept.etag_of(body, model)
        return Kept(form, body, self.plan.values.codec.schema, status, tuple(headers), etag)

    def _own_response(self) -> Response | None:
        if self.response is None or self.plan.response not in self.plan.signature.parameters:
            return None
        fresh = Response()
        # As FastAPI gives it: it says nothing yet.
        del fresh.headers["content-length"]
        fresh.status_code = None  # type: ignore[assignment]
        return fresh

    def _with(self, said: Response | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if said is None:
            return self.args, self.kwargs
        name = self.plan.response
        if name in self.kwargs:
            return self.args, {**self.kwargs, name: said}
        return tuple(said if item is self.response else item for item in self.args), self.kwargs

    async def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        function = self.plan.function
        if inspect.iscoroutinefunction(function):
            return await function(*args, **kwargs)
        value = await run_in_threadpool(function, *args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    async def _sent(
        self, key: str, value: Any, kept: Kept, status: int | None, headers: list[tuple[str, str]], how: str
    ) -> Any:
        """The value, with what is to be said of it in the response that carries it."""
        if self.response is None:
            return value
        carrier = self.response
        if isinstance(value, Response):
            carrier = value
        else:
            _headers.merge(carrier.headers, headers)
            if status is not None:
                carrier.status_code = status
        carrier.headers[FastAPICache.get_cache_status_header()] = how
        if kept.form is Form.NOTHING:
            return value
        if "Cache-Control" not in carrier.headers:
            left = seconds(self.expire) if how == "MISS" and self.expire else await self._left(key, kept)
            if left is not None:
                carrier.headers["Cache-Control"] = f"max-age={int(left)}"
        carrier.headers.setdefault("ETag", kept.etag)
        if self.request is None or not _headers.matches(self.request, carrier.headers["ETag"]):
            return value
        return _not_modified(carrier)

    async def _left(self, key: str, kept: Kept) -> float | None:
        if kept.until is None:
            try:
                left = await self.cache.ttl(Name(key))
            except ShelflifeError:
                left = None
            if left is None:
                return None
            kept.until = time.monotonic() + left
        return max(0.0, kept.until - time.monotonic())


def _not_modified(carrier: Response) -> Response:
    response = Response(status_code=304)
    response.raw_headers = list(carrier.raw_headers)
    _headers.without_content(response.headers)
    return response


def _lines(response: Response) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
