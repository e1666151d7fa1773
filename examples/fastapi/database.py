"""The demo's database, and what is asked of it: the file, the tables and the answers of `shelflife demo`.

It knows nothing of HTTP or of the cache. The expensive questions are expensive honestly: a rank among all users needs what every one
of them has spent.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints

P = ParamSpec("P")
T = TypeVar("T")

PAGE_SIZE = 20


class User(BaseModel):
    id: int
    name: str
    city: str
    joined_on: str


class Orders(BaseModel):
    """All orders of a user in one line."""

    count: int
    spent_cents: int
    largest_cents: int
    last_on: str | None


class Month(BaseModel):
    month: str
    orders: int
    spent_cents: int


class Standing(BaseModel):
    """Where a user stands among all of them, by what they have spent."""

    rank: int
    of: int
    percentile: float


class Profile(User):
    """What both services store: field for field the demo's `Profile`."""

    orders: Orders
    months: list[Month]
    standing: Standing


class Spender(BaseModel):
    id: int
    name: str
    city: str
    orders: int
    spent_cents: int


class Page(BaseModel):
    page: int
    pages: int
    users: list[Spender]


class City(BaseModel):
    city: str
    users: int
    spent_cents: int


class Order(BaseModel):
    id: int
    placed_on: str
    cents: int


class Details(BaseModel):
    """What a PUT replaces."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    city: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class Database:
    """A SQLite file, for the whole application.

    Not one for each request: a cached load may outlive the request that began it, and a hit should not have to open anything.
    """

    def __init__(self, path: str) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no database {path}: `shelflife demo --database {path}` makes it")
        self.uri = Path(path).absolute().as_uri() + "?mode=rw"
        #: How many times it was asked: what a cache is there to keep low.
        self.queries = 0

    async def read(self, question: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Asks a question, of one moment."""
        return await self._ask("BEGIN", question, *args, **kwargs)

    async def write(self, question: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Changes something: when this returns it is committed; when it raises it is rolled back."""
        return await self._ask("BEGIN IMMEDIATE", question, *args, **kwargs)

    async def _ask(self, begin: str, question: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        self.queries += 1

        def ask() -> T:
            with closing(sqlite3.connect(self.uri, uri=True, timeout=2, isolation_level=None)) as db, db:
                db.row_factory = sqlite3.Row
                db.execute(begin)
                return question(db, *args, **kwargs)

        return await asyncio.to_thread(ask)


def profiles(db: sqlite3.Connection, ids: list[int]) -> dict[int, Profile | None]:
    """The profiles of users, in one pass over all orders; `None` where there is no such user."""
    spent = dict(db.execute("SELECT users.id, coalesce(sum(cents), 0) FROM users LEFT JOIN orders ON user_id = users.id GROUP BY users.id"))
    return {id: _profile(db, found, spent) if (found := user(db, id)) else None for id in ids}


def _profile(db: sqlite3.Connection, user: User, spent: dict[int, int]) -> Profile:
    orders = db.execute(
        "SELECT count(*) AS count, coalesce(sum(cents), 0) AS spent_cents, coalesce(max(cents), 0) AS largest_cents,"
        " max(placed_on) AS last_on FROM orders WHERE user_id = ?",
        [user.id],
    )
    months = db.execute(
        "SELECT substr(placed_on, 1, 7) AS month, count(*) AS orders, sum(cents) AS spent_cents"
        " FROM orders WHERE user_id = ? GROUP BY month ORDER BY month",
        [user.id],
    )
    more = sum(cents > spent[user.id] for cents in spent.values())
    less = sum(cents < spent[user.id] for cents in spent.values())
    percentile = math.floor(less / max(len(spent) - 1, 1) * 1000 + 0.5) / 10
    return Profile(
        **user.model_dump(),
        orders=Orders(**orders.fetchone()),
        months=[Month(**row) for row in months],
        standing=Standing(rank=more + 1, of=len(spent), percentile=percentile),
    )


def user(db: sqlite3.Connection, id: int) -> User | None:
    row = db.execute("SELECT id, name, city, joined_on FROM users WHERE id = ?", [id]).fetchone()
    return User(**row) if row else None


def page(db: sqlite3.Connection, number: int) -> Page:
    """A page of the users, the biggest spenders first. One that is not there is empty."""
    users = db.execute(
        "SELECT users.id, name, city, count(orders.id) AS orders, coalesce(sum(cents), 0) AS spent_cents"
        " FROM users LEFT JOIN orders ON user_id = users.id GROUP BY users.id"
        " ORDER BY spent_cents DESC, users.id LIMIT ? OFFSET ?",
        [PAGE_SIZE, (number - 1) * PAGE_SIZE],
    )
    (count,) = db.execute("SELECT count(*) FROM users").fetchone()
    return Page(page=number, pages=max(math.ceil(count / PAGE_SIZE), 1), users=[Spender(**row) for row in users])


def top(db: sqlite3.Connection, city: str, count: int) -> list[Spender]:
    """Who in a city has spent most."""
    users = db.execute(
        "SELECT users.id, name, city, count(orders.id) AS orders, coalesce(sum(cents), 0) AS spent_cents"
        " FROM users LEFT JOIN orders ON user_id = users.id WHERE city = ? GROUP BY users.id"
        " ORDER BY spent_cents DESC, users.id LIMIT ?",
        [city, count],
    )
    return [Spender(**row) for row in users]


def cities(db: sqlite3.Connection) -> list[City]:
    """What was spent in each city."""
    rows = db.execute(
        "SELECT city, count(DISTINCT users.id) AS users, coalesce(sum(cents), 0) AS spent_cents"
        " FROM users LEFT JOIN orders ON user_id = users.id GROUP BY city ORDER BY spent_cents DESC"
    )
    return [City(**row) for row in rows]


def latest_orders(db: sqlite3.Connection, user_id: int) -> list[Order]:
    rows = db.execute("SELECT id, placed_on, cents FROM orders WHERE user_id = ? ORDER BY placed_on DESC, id DESC LIMIT 5", [user_id])
    return [Order(**row) for row in rows]


def update(db: sqlite3.Connection, id: int, details: Details) -> User | None:
    db.execute("UPDATE users SET name = ?, city = ? WHERE id = ?", [details.name, details.city, id])
    return user(db, id)


def delete(db: sqlite3.Connection, id: int) -> bool:
    """Removes a user and their orders; whether there was one."""
    db.execute("DELETE FROM orders WHERE user_id = ?", [id])
    return db.execute("DELETE FROM users WHERE id = ?", [id]).rowcount > 0


def place_order(db: sqlite3.Connection, user_id: int, cents: int) -> Order:
    placed_on = date.today().isoformat()
    added = db.execute("INSERT INTO orders (user_id, placed_on, cents) VALUES (?, ?, ?)", [user_id, placed_on, cents])
    return Order(id=added.lastrowid or 0, placed_on=placed_on, cents=cents)
