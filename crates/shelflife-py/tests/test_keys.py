"""Keys: equal arguments, one key; different ones, different keys; nothing by repr, hash or id."""

from __future__ import annotations

import enum
import importlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlalchemy.orm import Session
from starlette.requests import Request

from shelflife import Cache
from shelflife._keys import part

cache = Cache.memory()

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.datetimes()
    | st.timedeltas()
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=5)


def identity(value: Any) -> Any:
    """What tells values apart: the type counts, down to the items."""
    if isinstance(value, (list, tuple)):
        return (type(value), tuple(identity(item) for item in value))
    if isinstance(value, Decimal):
        return (Decimal, value)
    return (type(value), value)


@given(values, values)
def test_two_values_share_a_part_only_if_they_are_the_same(a: Any, b: Any) -> None:
    assert (identity(a) == identity(b)) == (part(a, True) == part(b, True))


class Colour(enum.Enum):
    RED = 1


@dataclass
class Client:
    """An application's own: not what an HTTP library calls so."""

    id: int


@dataclass
class Filter:
    page: int
    name: str


@pytest.mark.parametrize(
    ("a", "b"),
    [(1, True), (1, "1"), (1, 1.0), ("a", b"a"), (None, ""), (None, "None"), ([1], (1,)), (Colour.RED, 1), ([1, 23], [12, 3])],
)
def test_what_compares_equal_or_looks_alike_is_kept_apart(a: Any, b: Any) -> None:
    assert part(a, True) != part(b, True)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Decimal("1.0"), Decimal("1.00")),
        (0.0, -0.0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({3, 1, 2}, {2, 3, 1}),
        (datetime(2026, 1, 1, 12, tzinfo=timezone.utc), datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))),
        (Filter(1, "x"), Filter(1, "x")),
    ],
)
def test_equal_values_have_one_text(a: Any, b: Any) -> None:
    assert part(a, True) == part(b, True)


def test_an_object_that_nobody_can_name_is_refused_with_a_hint() -> None:
    with pytest.raises(TypeError, match="__cache_key__"):
        part(object(), True)

    class Named:
        def __cache_key__(self) -> int:
            return 7

    assert part(Named(), True) == part(Named(), True)


@cache.cached(ttl=60, key="f:{a}:{b}:{c}")
async def spelled(a: int, b: int = 2, *, c: int = 3) -> int:
    return a


def test_one_call_however_it_is_written_is_one_key() -> None:
    ways = [spelled.key(1), spelled.key(a=1), spelled.key(1, 2), spelled.key(1, b=2, c=3), spelled.key(b=2, a=1)]
    assert set(ways) == {"f:1:2:3"}


def test_a_call_that_does_not_fit_raises_what_python_would() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        spelled.key()
    with pytest.raises(TypeError, match="unexpected keyword argument 'd'"):
        spelled.key(1, d=1)
    with pytest.raises(TypeError, match="multiple values for argument 'a'"):
        spelled.key(1, a=1)
    with pytest.raises(TypeError, match="too many positional"):
        spelled.key(1, 2, 3)


def test_a_part_can_not_forge_a_level() -> None:
    @cache.cached(ttl=60, key="user:{name}:{what}")
    async def of(name: str, what: str) -> int:
        return 1

    assert of.key("a:b", "c") == "user:a%3Ab:c"
    assert of.key("a", "b:c") == "user:a:b%3Ac"
    assert of.key("*", "{x}") == "user:%2A:%7Bx%7D"


def test_templates_follow_attributes_and_items() -> None:
    @cache.cached(ttl=60, key="f:{filters.page}:{options[size]}")
    async def of(filters: Filter, options: dict[str, int]) -> int:
        return 1

    assert of.key(Filter(3, "x"), {"size": 9}) == "f:3:9"


def test_a_template_names_parameters_only() -> None:
    with pytest.raises(ValueError, match="no parameter 'user'.*user_id"):

        @cache.cached(ttl=60, key="user:{user}")
        async def of(user_id: int) -> int:
            return 1


def test_any_number_of_arguments_is_bound_by_python() -> None:
    @cache.cached(ttl=60)
    async def of(*ids: int, **how: int) -> int:
        return 1

    assert of.key(1, 2, a=3) == of.key(1, 2, a=3)
    assert of.key(1, 2) != of.key(12)


def test_requests_and_sessions_are_no_part_of_an_automatic_key() -> None:
    @cache.cached(ttl=60)
    async def of(user_id: int, session: Session, request: Request) -> int:
        return 1

    request = Request({"type": "http", "headers": []})
    assert of.key(1, Session(), request) == of.key(1, Session(), request)


def test_a_class_of_the_same_name_is_a_part() -> None:
    @cache.cached(ttl=60)
    async def balance(client: Client) -> int:
        return client.id

    assert balance.key(Client(1)) != balance.key(Client(2))


def test_a_method_is_keyed_by_what_its_owner_says() -> None:
    class Repository:
        @cache.cached(ttl=60)
        async def one(self, user_id: int) -> int:
            return user_id

        @cache.cached(ttl=60, key="repository:{user_id}")
        async def other(self, user_id: int) -> int:
            return user_id

    repository = Repository()
    assert repository.other.key(repository, 1) == "repository:1"
    with pytest.raises(TypeError, match="__cache_key__"):
        repository.one.key(repository, 1)


def test_two_functions_of_one_name_do_not_share() -> None:
    def first() -> Any:
        @cache.cached(ttl=60)
        async def same(a: int) -> int:
            return a

        return same

    first()
    first()  # One place: the same function again.

    with pytest.raises(ValueError, match="two cached functions"):

        @cache.cached(ttl=60)
        async def twice(a: int) -> int:
            return a

        @cache.cached(ttl=60)
        async def twice(a: int) -> int:  # noqa: F811
            return a


def test_what_a_factory_makes_anew_round_other_variables_needs_a_name() -> None:
    def make(factor: int, name: str | None = None) -> Any:
        @cache.cached(ttl=60, name=name)
        async def times(a: int) -> int:
            return a * factor

        return times

    make(1)
    with pytest.raises(ValueError, match="made anew.*factor"):
        make(2)
    assert make(3, "three").key(1) != make(4, "four").key(1)


def test_two_caches_have_names_of_their_own() -> None:
    def of(a: int) -> int:
        return a

    for one in (Cache.memory(), Cache.memory()):
        one.cached(ttl=60)(of)


def test_a_module_that_is_loaded_again_has_its_functions_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from test_keys import cache\n@cache.cached(ttl=60)\nasync def of(a: int) -> int:\n    return a\n"
    (tmp_path / "again.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("again")
    (tmp_path / "again.py").write_text("# A line more: it has moved.\n" + source)
    importlib.reload(module)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=30), st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_are_told_apart_to_their_last_digit(a: Decimal, b: Decimal) -> None:
    assert (a == b) == (part(a, True) == part(b, True))
    close = Decimal("1." + "0" * 40 + "1")
    assert part(close, True) != part(Decimal(1), True)


def test_odd_values_are_parts_or_errors() -> None:
    class Bits(enum.Flag):
        A = 1

    assert part(Bits(0), True) != part(Bits.A, True)
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="holds itself"):
        part(loop, True)


def test_a_uuid_and_its_text_differ_where_nobody_says_what_is_meant() -> None:
    one = uuid.UUID(int=1)
    assert part(one, True) != part(str(one), True)
    assert part(one, False) == str(one)
