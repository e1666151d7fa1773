"""Values come back as what they were, or are refused: never as something else."""

from __future__ import annotations

import enum
import io
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple, Optional, Union
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from shelflife import ValueNotStorable, _core
from shelflife._values import codec_for


class Role(enum.Enum):
    ADMIN = "admin"
    USER = "user"


class Address(BaseModel):
    street: str
    since: Optional[date] = None


class User(BaseModel):
    id: int
    name: str
    role: Role = Role.USER
    balance: Decimal = Decimal("0.10")
    tags: set[str] = set()
    seen: Optional[datetime] = None
    address: Optional[Address] = None
    token: Optional[UUID] = None


@dataclass
class Point:
    x: int
    y: tuple[int, int]


class Row(TypedDict):
    id: int
    when: datetime


class Pair(NamedTuple):
    a: int
    b: str


def back(annotation: Any, value: Any) -> Any:
    """As it comes back, by way of the bytes."""
    codec = codec_for(annotation)
    payload = codec.encode(value)
    core = _core.Core.open("memory://", {"namespace": "values"}, False, None)
    assert isinstance(core, _core.Core)
    options = _core.Options(schema=codec.schema or None)
    stored = core.set([("k", [], payload)], options)
    assert isinstance(stored, _core.Step)
    stored.block(_core.Mailbox())
    found = core.get("k", codec.decoder, options, False, None)
    assert found is not _core.MISS
    return found


NOW = datetime(2026, 11, 25, 7, 30, 1, 123456, tzinfo=timezone.utc)

TYPED: list[tuple[Any, Any]] = [
    (int, 5),
    (Optional[int], None),
    (bytes, b"\x00\xff"),
    (float, 1.5),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=7)),
    (datetime, NOW),
    (datetime, NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))),
    (datetime, datetime(2026, 1, 1)),
    (date, date(2026, 1, 1)),
    (time, time(1, 2, 3)),
    (timedelta, timedelta(days=3, microseconds=1)),
    (Role, Role.ADMIN),
    (set[int], {1, 2}),
    (frozenset[str], frozenset("ab")),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (list[tuple[int, Decimal]], [(1, Decimal("2.50"))]),
    (dict[str, set[UUID]], {"a": {UUID(int=1)}}),
    (dict[int, str], {1: "a"}),
    (Literal["a", "b"], "a"),
    (Point, Point(1, (2, 3))),
    (list[Point], [Point(1, (2, 3))]),
    (Row, {"id": 1, "when": NOW}),
    (Pair, Pair(1, "b")),
    (User, User(id=1, name="Ada")),
    (
        User,
        User(
            id=1,
            name="Ada",
            role=Role.ADMIN,
            balance=Decimal("12.50"),
            tags={"x"},
            seen=NOW,
            address=Address(street="s", since=date(2026, 1, 1)),
            token=UUID(int=9),
        ),
    ),
    (list[User], [User(id=1, name="a"), User(id=2, name="b")]),
    (Union[int, str], "1"),
    (Union[User, None], None),
]


@pytest.mark.parametrize(("annotation", "value"), TYPED, ids=[str(a) for a, _ in TYPED])
def test_a_typed_value_comes_back_as_it_was(annotation: Any, value: Any) -> None:
    found = back(annotation, value)
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, datetime):
        assert found.utcoffset() == value.utcoffset()


UNTYPED: list[Any] = [
    None, True, 1, 2**70, -(2**70), 1.5, "a", b"b", [1, [2]], {"a": {"b": None}}, (1, (2, "x")), {1, 2}, frozenset({3}), Decimal("1.10"),
    UUID(int=3), NOW, NOW.astimezone(ZoneInfo("Europe/Berlin")), date(2026, 1, 1), time(1, 2), timedelta(seconds=-5), {"a": (Decimal(1), {NOW})},
]  # fmt: skip


@pytest.mark.parametrize("value", UNTYPED, ids=repr)
def test_an_untyped_value_comes_back_as_it_was(value: Any) -> None:
    found = back(Any, value)
    assert found == value
    assert type(found) is type(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.decimals(allow_nan=False) | st.uuids() | st.datetimes(),
                    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner), max_leaves=8))  # fmt: skip
def test_any_tree_of_them_comes_back(value: Any) -> None:
    assert back(Any, value) == value


class Base(BaseModel):
    id: int


class Derived(Base):
    more: str = "x"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Any, object()),
        (Any, User(id=1, name="a")),
        (Any, Role.ADMIN),
        (Any, [lambda: 1]),
        (Any, time(1, 2, tzinfo=ZoneInfo("Europe/Berlin"))),
        (int, "1"),
        (User, {"id": 1}),
        (Base, Derived(id=1)),
        (Union[UUID, str], str(UUID(int=1))),
        (list[int], [1, "2"]),
    ],
    ids=repr,
)
def test_what_would_come_back_as_something_else_is_refused(annotation: Any, value: Any) -> None:
    try:
        payload = codec_for(annotation).encode(value)
    except ValueNotStorable:
        return
    found = back(annotation, value)
    # If it was taken, then because it comes back the same.
    assert found == value and type(found) is type(value), payload


@pytest.mark.parametrize("annotation", [io.TextIOWrapper, type(x for x in ())], ids=str)
def test_a_type_that_can_never_be_stored_is_refused_at_once(annotation: Any) -> None:
    with pytest.raises(TypeError):
        codec_for(annotation)


def test_a_changed_model_has_another_schema_and_the_same_one_the_same_everywhere() -> None:
    class One(BaseModel):
        id: int

    one = One

    class One(BaseModel):  # type: ignore[no-redef]
        id: int
        name: str

    assert codec_for(one).schema != codec_for(One).schema
    assert codec_for(dict[str, int]).schema == 0
    code = "from test_values import User, codec_for; print(codec_for(User).schema)"
    here = Path(__file__).parent
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": f"{here}:{here.parent / 'python'}", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert int(told.stdout) == codec_for(User).schema


class Inner(BaseModel):
    names: list[str] = Field(default_factory=list)
    more: dict[str, int] = {}


class Filled(BaseModel):
    given: int
    scalar: Optional[int] = None
    role: Role = Role.USER
    exact: Decimal = Decimal("0.10")
    lasts: timedelta = timedelta(seconds=5)
    listed: list[Inner] = Field(default_factory=list)
    mapped: dict[str, int] = Field(default_factory=dict)
    some: set[str] = set()
    several: tuple[int, ...] = ()
    made: UUID = Field(default_factory=uuid4)
    fixed: list[int] = Field(default_factory=lambda: [1])


def test_what_was_not_set_is_not_set_when_it_comes_back() -> None:
    always = {"given", "made", "fixed"}
    plain = Filled(given=1)
    found = back(Filled, plain)
    assert found == plain
    # What a factory makes may be something else next time: it has to be stored.
    assert found.model_fields_set == always
    set_to_the_default = Filled(given=1, exact=Decimal("0.10"), some=set(), listed=[Inner(more={})])
    found = back(Filled, set_to_the_default)
    assert found == set_to_the_default
    assert found.model_fields_set == always | {"exact", "some", "listed"}
    assert found.listed[0].model_fields_set == {"more"}
    changed = Filled(given=1)
    changed.some.add("x")
    changed.exact = Decimal("0.1")
    found = back(Filled, changed)
    assert (found.some, str(found.exact)) == ({"x"}, "0.1")
    found.mapped["a"] = 1
    assert back(Filled, plain).mapped == {}


def test_a_default_that_has_changed_is_another_schema() -> None:
    def schema(default: Any) -> int:
        class One(BaseModel):
            exact: Any = default

        return codec_for(One).schema

    class Factory(BaseModel):
        exact: Any = Field(default_factory=list)

    Factory.__name__ = "One"
    values = [1, "1", None, Decimal("1"), Decimal("1.0"), timedelta(1), [], {}, set(), (), Role.USER, Role.ADMIN]
    assert len({schema(value) for value in values}) == len(values)
    assert codec_for(Factory).schema == schema([])
    # What is made when a module is loaded says nothing.
    assert schema(uuid4()) == schema(uuid4()) == schema([1])


def test_rust_reads_named_fields() -> None:
    user = User(id=1, name="Ada", role=Role.USER, balance=Decimal("0.10"), seen=NOW, token=UUID(int=1))
    wire = _core.unpack(codec_for(User).encode(user))
    assert wire["name"] == "Ada"
    assert wire["role"] == "user"
    assert wire["balance"] == "0.10"
    assert wire["token"] == str(UUID(int=1))
    assert wire["seen"].startswith("2026-11-25T07:30:01")
    # What was never given and is its plain default is not written, so that the model that comes back knows it, too.
    assert "address" not in wire
    assert "address" not in back(User, user).model_fields_set
