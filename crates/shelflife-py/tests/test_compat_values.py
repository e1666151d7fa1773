"""`shelflife.compat.fastapi_cache`: what comes back is what was given, or is not kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from compat_kit import Item, Public, anew, begin  # noqa: F401
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel

from shelflife.compat.fastapi_cache import Coder, FastAPICache, JsonCoder, PickleCoder
from shelflife.compat.fastapi_cache.decorator import cache

Run = Callable[[Callable[[], Any]], Any]


def test_none_and_nothing_are_values_and_an_exception_is_not_kept(run: Run) -> None:
    async def test() -> None:
        begin()
        calls: list[str] = []

        @cache()
        async def of(what: str) -> Any:
            calls.append(what)
            if what == "fails":
                raise KeyError(what)
            return {"none": None, "empty": [], "zero": 0}[what]

        for what in ("none", "empty", "zero"):
            assert await of(what) == await of(what)
        assert calls == ["none", "empty", "zero"]
        for _ in range(2):
            with pytest.raises(KeyError):
                await of("fails")
        assert calls[3:] == ["fails", "fails"]

    run(test)


@dataclass
class Point:
    x: int
    y: tuple[int, ...]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Item, Item(id=1, price=Decimal("2.50"))),
        (list[Item], [Item(id=1), Item(id=2)]),
        (Point, Point(1, (2, 3))),
        (Decimal, Decimal("1.10")),
        (datetime, datetime(2026, 1, 1, tzinfo=timezone.utc)),
        (set[int], {1, 2}),
        (bytes, b"\xff"),
        (Any, (1, {"a": Decimal("1.10")})),
    ],
    ids=str,
)
def test_a_value_comes_back_as_its_annotation_says(run: Run, annotation: Any, value: Any) -> None:
    async def test() -> None:
        begin()
        calls = 0

        async def of() -> Any:
            nonlocal calls
            calls += 1
            return value

        of.__annotations__["return"] = annotation
        cached = cache()(of)
        await cached()
        found = await cached()
        assert (found, type(found), calls) == (value, type(value), 1)

    run(test)


def test_a_value_that_can_not_be_kept_is_no_error(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        begin()
        calls = 0

        @cache()
        async def of() -> Any:
            nonlocal calls
            calls += 1
            return calls, lambda: None

        for n in range(1, 4):
            assert (await of())[0] == n

    with caplog.at_level(logging.WARNING):
        run(test)
    assert len(caplog.records) == 1
    assert "of is not cached" in caplog.text and "no form of its own" in caplog.text


def test_a_model_that_has_changed_is_loaded_anew(run: Run) -> None:
    class More(BaseModel):
        id: int
        more: str = "since the last deployment"

    async def test() -> None:
        begin(key_builder=lambda *_, **__: "mine")

        @cache()
        async def old() -> Item:
            return Item(id=1)

        @cache()
        async def new() -> More:
            return More(id=1, more="its own")

        await old()
        assert [await new(), await new()] == [More(id=1, more="its own")] * 2

    run(test)


class Row:
    """As an ORM gives it."""

    def __init__(self) -> None:
        self.id, self.price, self.secret = 1, Decimal("1.10"), "s"


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize(
    "value", [Row(), {"id": 1, "price": "1.10"}, Public(id=1, price=Decimal("1.10"), otherName="y")], ids=lambda v: type(v).__name__
)
@pytest.mark.parametrize("model", [None, Public])
def test_a_hit_sends_what_a_miss_sent(value: Any, model: Any, exclude: bool) -> None:
    begin()
    app = FastAPI()

    @app.get("/", response_model=model, response_model_exclude_unset=exclude)
    @cache()
    async def of():  # type: ignore[no-untyped-def]
        return value

    with TestClient(app) as client:
        first, second = client.get("/"), client.get("/")
    assert (first.headers["x-fastapi-cache"], second.headers["x-fastapi-cache"]) == ("MISS", "HIT")
    assert (first.content, first.status_code) == (second.content, second.status_code)


def test_a_coder_of_the_applications_own_is_asked(run: Run) -> None:
    class Mine(Coder):
        @classmethod
        def encode(cls, value: Any) -> bytes:
            return b"mine" + json.dumps(value).encode()

        @classmethod
        def decode(cls, value: bytes) -> Any:
            return json.loads(value[4:])

    class Typed(Mine):
        @classmethod
        def decode_as_type(cls, value: bytes, *, type_: Any) -> Any:
            return type_, cls.decode(value)

    async def test() -> None:
        begin(coder=Mine)

        @cache()
        async def of() -> set[int]:
            return [1, 2]  # type: ignore[return-value]

        @cache(coder=Typed)
        async def typed() -> set[int]:
            return [1]  # type: ignore[return-value]

        assert (await of(), await of()) == ([1, 2], {1, 2})
        assert (await typed(), await typed()) == ([1], (set[int], [1]))

    run(test)


def test_a_coder_that_fails_is_a_miss_and_no_error(run: Run) -> None:
    class Fails(JsonCoder):
        @classmethod
        def decode(cls, value: bytes) -> Any:
            raise ValueError("changed its mind")

    class Refuses(JsonCoder):
        @classmethod
        def encode(cls, value: Any) -> bytes:
            raise ValueError("will not")

    async def test() -> None:
        begin()
        calls = 0

        async def of() -> int:
            nonlocal calls
            calls += 1
            return calls

        for coder in (Fails, Refuses):
            calls = 0
            cached = cache(coder=coder, namespace=coder.__name__)(of)
            assert [await cached(), await cached()] == [1, 2]

    run(test)


def test_json_coder_by_hand() -> None:
    value = {"at": datetime(2026, 1, 1), "day": datetime(2026, 1, 1).date(), "price": Decimal("1.10"), "_spec_type": "mine"}
    assert JsonCoder.decode(JsonCoder.encode(value)) == value
    assert JsonCoder.decode_as_type(JsonCoder.encode(Item(id=1)), type_=Item) == Item(id=1)
    assert JsonCoder.encode(JSONResponse({"a": 1})) == b'{"a":1}'


def test_no_pickle_and_it_says_what_to_do() -> None:
    with pytest.raises(TypeError, match="annotation"):
        begin(coder=PickleCoder)
    with pytest.raises(TypeError, match="Coder of your own"):
        cache(coder=PickleCoder)
    with pytest.raises(TypeError, match="runs whatever a shared store holds"):
        PickleCoder.decode(b"")
    with pytest.raises(AssertionError):
        FastAPICache.get_backend()
