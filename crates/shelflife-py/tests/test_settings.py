"""Settings, from what an application keeps them in."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from conftest import Redis
from pydantic import BaseModel, ByteSize, RedisDsn, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from shelflife import Cache, Clock, ConfigError
from shelflife._settings import NAMES
from shelflife.settings import ShelflifeSettings

Run = Callable[[Callable[[], Any]], Any]


class Codec(Enum):
    JSON = "json"


class Settings(BaseSettings):
    """As an application writes them."""

    database_url: str = "postgres://"
    redis_url: RedisDsn = RedisDsn("redis://127.0.0.1:1/3")
    shelflife_namespace: str = "shop"
    shelflife_ttl: timedelta = timedelta(minutes=5)
    shelflife_timeout: timedelta = timedelta(milliseconds=250)
    shelflife_keepalive: Optional[timedelta] = None
    shelflife_memory: ByteSize = ByteSize(32 << 20)
    shelflife_codec: Codec = Codec.JSON
    shelflife_stale_on_error: bool = False
    shelflife_jitter: float = 0.0
    shelflife_connections: int = 2


def test_the_names_are_those_that_the_engine_has(run: Run) -> None:
    with pytest.raises(ConfigError) as raised:
        run(Cache("memory://", no_such_setting=1).open)
    listed = re.search(r"expected one of (.*)", str(raised.value))
    assert listed and sorted(listed[1].split(", ")) == sorted(NAMES)
    table = Path(__file__).parents[3] / "docs" / "settings.md"
    assert re.findall(r"^\| `(\w+)`", table.read_text(), re.M) == list(NAMES)


def test_fields_with_the_prefix_are_settings_and_others_are_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFLIFE_TTL", "PT10M")
    cache = Cache.from_settings(Settings())
    assert cache._url == "redis://127.0.0.1:1/3"
    assert cache._settings == {
        "namespace": "shop",
        "ttl": "600.000000s",
        "timeout": "0.250000s",
        "memory": str(32 << 20),
        "codec": "json",
        "stale_on_error": "false",
        "jitter": "0.0",
        "connections": "2",
    }
    # They are what the engine takes.
    run(Cache("memory://", **cache._settings).open)


def test_a_ttl_of_the_settings_is_the_one_that_holds(run: Run) -> None:
    async def test() -> None:
        async with Cache.from_settings({"SHELFLIFE_URL": "memory://", "SHELFLIFE_TTL": "10m", "SHELFLIFE_JITTER": 0}) as cache:
            await cache.set("k", 1)
            assert 590 < (await cache.ttl("k") or 0) <= 600
        async with Cache.from_settings({"shelflife_ttl": "10m"}, ttl="1h", jitter=0.0) as cache:
            await cache.set("k", 1)
            assert (await cache.ttl("k") or 0) > 3500

    run(test)


def test_what_a_url_says_of_the_policy_holds(run: Run) -> None:
    async def test() -> None:
        clock = Clock()
        async with Cache("memory://?ttl=30s&stale=0&jitter=0", clock=clock) as cache:
            await cache.set("k", 1)
            clock.advance(29)
            assert await cache.get("k") == 1
            clock.advance(2)
            assert await cache.get("k") is None

    run(test)


def test_a_secret_url_reaches_its_server(run: Run, redis: Redis) -> None:
    async def test() -> None:
        given = {"redis_url": "redis://127.0.0.1:1", "shelflife_url": SecretStr(redis.url), "shelflife_enabled": True}
        async with Cache.from_settings(given) as cache:
            await cache.ping()
            await cache.set("k", 1)
        assert "sl1:default:e:k" in redis.cli("KEYS", "*")

    run(test)


@dataclass
class Data:
    cache_ttl: str = "5m"
    other: int = 1


class Constants:
    CACHE_TTL = "5m"
    OTHER = 1

    def cache_clear(self) -> None: ...

    @property
    def other(self) -> int:
        raise AssertionError("it is none of ours")


class Inner(BaseModel):
    ttl: str = "5m"
    namespace: Optional[str] = None


@pytest.mark.parametrize(
    ("settings", "prefix"),
    [
        (Data(), "cache_"),
        (Constants(), "cache_"),
        (Constants, "cache_"),
        (SimpleNamespace(cache_ttl="5m", other=1), "CACHE_"),
        ({"cache_ttl": "5m", "other": 1}, "cache_"),
        (Inner(), ""),
        ({"ttl": "5m"}, ""),
    ],
    ids=str,
)
def test_any_object_or_mapping_and_any_prefix(settings: Any, prefix: str) -> None:
    assert Cache.from_settings(settings, prefix=prefix)._settings == {"ttl": "300.000000s"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"shelflife_tll": 1}, "shelflife_tll is no setting: did you mean shelflife_ttl"),
        ({"SHELFLIFE_CONECTIONS": 1}, "SHELFLIFE_CONECTIONS is no setting: did you mean shelflife_connections"),
        ({"shelflife_zzz": 1}, "expected one of url, enabled, namespace"),
        ({"tll": 1, "prefix": ""}, "begins with 'shelflife_', and no redis_url"),
        ({}, "begins with"),
        ({"shelflife_ttl": "soon"}, "ttl can't be 'soon'"),
    ],
    ids=str,
)
def test_what_can_not_be_used_names_itself(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        Cache.from_settings(settings)


def test_the_ready_made_class_reads_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SHELFLIFE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    assert set(ShelflifeSettings.model_fields) == {"url", *NAMES}
    assert Cache.from_settings(ShelflifeSettings())._settings == {}
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/1")
    monkeypatch.setenv("SHELFLIFE_TTL", "1h30m")
    monkeypatch.setenv("SHELFLIFE_MEMORY", "1GiB")
    monkeypatch.setenv("SHELFLIFE_STALE", "")
    env = tmp_path / ".env"
    env.write_text("SHELFLIFE_NAMESPACE=shop\nSHELFLIFE_TTL=7\nOTHER=1\n")
    settings = ShelflifeSettings(_env_file=env)  # type: ignore[call-arg]
    assert "secret" not in repr(settings)
    cache = Cache.from_settings(settings, stale="1s")
    assert cache._url == "redis://:secret@127.0.0.1:1/1"
    assert cache._settings == {"ttl": "5400.000000s", "memory": str(1 << 30), "namespace": "shop", "stale": "1.000000s"}
    monkeypatch.setenv("SHELFLIFE_URL", "memory://")
    assert Cache.from_settings(ShelflifeSettings())._url == "memory://"
    assert Cache.from_settings(ShelflifeSettings(url=SecretStr("memory://?ttl=1")))._url == "memory://?ttl=1"
    with pytest.raises(ValidationError, match="ttl can't be 'soon'"):
        ShelflifeSettings(ttl="soon")


def test_pydantic_settings_is_not_needed_for_the_rest() -> None:
    code = (
        "import sys; sys.modules['pydantic_settings'] = None\n"
        "from shelflife import Cache\n"
        "assert Cache.from_settings({'shelflife_ttl': 5})._settings == {'ttl': '5.000000s'}\n"
        "assert 'pydantic' not in sys.modules\n"
        "try: import shelflife.settings\n"
        "except ImportError as error: assert 'pip install pydantic-settings' in str(error)\n"
        "else: raise AssertionError\n"
    )
    here = Path(__file__).parents[1] / "python"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(here)}, check=True, timeout=60)
