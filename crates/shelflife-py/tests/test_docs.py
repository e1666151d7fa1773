"""What the guides show exists: their Python compiles, and each name of ours in it is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from shelflife import Cache, _decorator, _invalidates, _many, _route
from shelflife.compat.fastapi_cache import FastAPICache

DOCS = Path(__file__).parents[3] / "docs"
GUIDES = ["moving-over.md", "python.md"]
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST

#: What takes its keywords for somebody else.
_TAKEN_BY: dict[str, Any] = {
    "cached": _decorator.Plan,
    "cached_many": _many.decorate,
    "invalidates": _invalidates.decorate,
    "route": _route.Mark,
}
#: A part of the policy (docs/settings.md).
_POLICY = {
    *("stale", "stale_on_error", "negative_ttl", "soft_timeout", "hard_timeout"),
    *("jitter", "early", "throttle", "lease", "settle"),
}


def blocks(guide: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (DOCS / guide).read_text(), re.S | re.M)


def ours(guide: str) -> Iterator[str]:
    """The code in the last column of the tables: what theirs becomes."""
    for line in (DOCS / guide).read_text().splitlines():
        if line.startswith("| ") and not set(line) <= set("|- "):
            yield from re.findall(r"`([^`]+)`", line.rstrip(" |").rpartition(" | ")[2])


def parsed(code: str) -> ast.AST | None:
    """A decorator is one of a function."""
    whole = f"{code}\nasync def f(): ..." if code.startswith("@") else code
    try:
        tree: ast.AST = compile(whole, code, "exec", _AWAIT)
    except SyntaxError:
        return None
    return tree


def wrong(tree: ast.AST) -> Iterator[str]:
    """Names that are said to be ours and are not."""
    cache = Cache.memory()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "shelflife":
            module = importlib.import_module(node.module or "")
            yield from (f"{node.module}.{name.name}" for name in node.names if not hasattr(module, name.name))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of = {"cache": cache, "Cache": Cache}.get(node.value.id)
            if of is not None and not hasattr(of, node.attr):
                yield f"{node.value.id}.{node.attr}"
        if isinstance(node, ast.Call):
            yield from _wrong_keywords(node)


def _wrong_keywords(call: ast.Call) -> Iterator[str]:
    func = call.func
    if not (isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "cache"):
        return
    target = _TAKEN_BY.get(func.attr) or getattr(Cache, func.attr, None)
    if target is None:
        return
    params = inspect.signature(target).parameters
    loose = any(param.kind is inspect.Parameter.VAR_KEYWORD for param in params.values())
    known = set(params) | (_POLICY if loose else set())
    yield from (f"cache.{func.attr}({word.arg}=)" for word in call.keywords if word.arg is not None and word.arg not in known)


@pytest.mark.parametrize(("guide", "code"), [(guide, code) for guide in GUIDES for code in blocks(guide)])
def test_each_example_compiles_and_names_what_exists(guide: str, code: str) -> None:
    tree = parsed(code)
    assert tree is not None, f"{guide}: not Python:\n{code}"
    assert not list(wrong(tree))


def test_what_a_table_gives_for_theirs_exists() -> None:
    seen = 0
    for code in ours("moving-over.md"):
        tree = parsed(code)
        if tree is not None:
            assert not list(wrong(tree)), code
        named = re.findall(r"\bcache\.(\w+)", code)
        assert all(hasattr(Cache.memory(), name) for name in named), code
        seen += len(named)
    assert seen > 50


def test_the_test_of_examples_finds_what_does_not_exist() -> None:
    bad = ["cache.nothing()", "Cache.nothing()", "from shelflife import Nothing", '@cache.cached(tl="5m")', 'cache.invalidate(tag=["t"])']
    for code in bad:
        tree = parsed(code)
        assert tree is not None and list(wrong(tree)), code
    assert parsed("def") is None
    assert blocks("python.md") and blocks("moving-over.md")


def test_each_function_in_the_table_of_the_cache_is_there() -> None:
    text = (DOCS / "python.md").read_text()
    for name in re.findall(r"`(?:await |with |@)?cache\.(\w+)", text):
        assert hasattr(Cache.memory(), name), name


class User(BaseModel):
    id: int


def caller(who: int) -> User:
    return User(id=who)


class Database:
    """What the examples write to."""

    async def update(self, *_: Any) -> None: ...

    async def change_price(self, *_: Any) -> None: ...


def example(has: str) -> dict[str, Any]:
    """What the one example of the guide makes that has this text in it, in memory."""
    (code,) = [code for code in blocks("moving-over.md") if has in code]
    code = code.replace("-> User: ...", "-> User:\n    return User(id=user_id)").replace('"redis://localhost"', '"memory://"')
    code = re.sub(r"^await .*", "", code, flags=re.M)
    given = {"User": User, "CurrentUser": Annotated[User, Depends(caller)], "UserUpdate": dict[str, str], "database": Database()}
    names: dict[str, Any] = {**given, "cache": Cache.memory()}
    exec(compile(code, has, "exec", dont_inherit=True), names)
    return names


def test_the_example_of_another_import_runs() -> None:
    FastAPICache.reset()
    try:
        with TestClient(example("compat.fastapi_cache import")["app"]) as client:
            assert [client.get("/users/1").headers["x-fastapi-cache"] for _ in range(2)] == ["MISS", "HIT"]
    finally:
        FastAPICache.reset()


def test_the_example_of_the_middleware_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("SHELFLIFE_URL", raising=False)
    app: FastAPI = example("ShelflifeMiddleware,")["app"]
    loads: list[str] = []

    @app.get("/products/{id}")
    async def product(id: str) -> list[str]:
        loads.append(id)
        return loads

    with TestClient(app) as client:
        assert [client.get("/products/1").json() for _ in range(2)] == [["1"]] * 2
        assert client.post("/products/1/price?price=3").status_code == 200
        assert client.get("/products/1").json() == ["1", "1"]
        said = [client.get("/users/1?who=2").headers["cache-status"] for _ in range(2)]
        # Whoever comes while the answer is being stored gets that.
        assert "; stored" in said[0] and ("; hit" in said[1] or "; collapsed" in said[1])


def test_the_examples_of_functions_and_events_run(run: Callable[[Callable[[], Any]], Any]) -> None:
    async def test() -> None:
        functions, events = example("data: UserUpdate"), example("@cache.on(")
        get, update = functions["get_user"], functions["update_user"]
        assert await get(1) == User(id=1)
        await update(1, {})
        assert await get.peek(1) is None
        cache = events["cache"]
        await cache.set("k", 1, tags=["user:42"])
        await cache.emit("user_updated", {"id": 42})
        assert await cache.get("k") is None
        for one in (cache, functions["cache"]):
            await one.close()

    run(test)
