"""What the guides show exists: their Python compiles, and each name of ours in it is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shelflife import Cache, _decorator, _invalidates, _many, _route

DOCS = Path(__file__).parents[3] / "docs"
GUIDES = ["moving-over.md", "python.md"]
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST

#: What takes its keywords for somebody else.
_TAKEN_BY: dict[str, Any] = {
    "cached": _decorator.decorate,
    "cached_many": _many.decorate,
    "invalidates": _invalidates.decorate,
    "route": _route.decorate,
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
