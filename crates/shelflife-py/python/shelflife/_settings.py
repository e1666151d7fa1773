"""Settings, from an object or a mapping of the application's."""

from __future__ import annotations

import dataclasses
import enum
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from . import _shape
from ._core import ConfigError

if TYPE_CHECKING:
    from ._cache import Cache

#: Every setting of docs/settings.md.
NAMES = (
    *("namespace", "ttl", "stale", "stale_on_error", "negative_ttl", "jitter", "early", "soft_timeout", "hard_timeout", "throttle"),
    *("lease", "settle", "codec", "compression", "compress_over", "memory", "max_entry", "window", "failover", "timeout"),
    *("connect_timeout", "connections", "keepalive", "close_timeout", "handler_timeout", "loads", "loads_waiting"),
    *("tls_ca", "tls_cert", "tls_key"),
)
PREFIX = "shelflife_"
#: The URL where there is none of ours, as in the environment.
_ELSEWHERE = "redis_url"
_KEYWORDS = ("url", "enabled", *NAMES)


def taken_from(settings: Any, prefix: str | None) -> dict[str, Any]:
    """The keywords of `Cache`; see `Cache.from_settings`."""
    whose = type(settings).__qualname__
    if prefix is None:
        prefix = str(getattr(settings, "shelflife_prefix", PREFIX))
    named, elsewhere = {}, None
    for field in _fields(settings):
        name = field.lower()
        if name == _ELSEWHERE:
            elsewhere = field
        elif name.startswith(prefix.lower()) and name != "shelflife_prefix" and not callable(_value(settings, field)):
            # Of classes of constants, and modules: what can be called is no value.
            named[name[len(prefix) :]] = field
    unknown = [name for name in named if name not in _KEYWORDS]
    if unknown:
        raise ConfigError("; ".join(_unknown(named[name], name, prefix) for name in unknown))
    if not named and elsewhere is None:
        raise ConfigError(f"{whose} has no field that begins with {prefix!r}, and no {_ELSEWHERE}; give prefix= if they are named otherwise")
    given = {name: _bare(_value(settings, field)) for name, field in named.items()}
    if not given.get("url") and elsewhere is not None:
        given["url"] = _bare(_value(settings, elsewhere))
    return {name: value for name, value in given.items() if value is not None}


def known(cache: Cache, name: str) -> str | None:
    """A setting of a cache, as far as it can be known here: the engine reads it itself."""
    url, environment = cache._url or "", os.environ if cache._environment else {}
    url = url or environment.get("SHELFLIFE_URL") or environment.get("REDIS_URL") or ""
    ridden = parse_qs(urlsplit(url).query).get(name)
    return ridden[0] if ridden else cache._settings.get(name) or environment.get(f"SHELFLIFE_{name.upper()}")


def _unknown(field: str, name: str, prefix: str) -> str:
    near = get_close_matches(name, _KEYWORDS, n=3, cutoff=0.6)
    expected = f"did you mean {' or '.join(prefix + one for one in near)}?" if near else f"expected one of {', '.join(_KEYWORDS)}"
    return f"{field} is no setting: {expected}"


def _fields(settings: Any) -> Iterable[str]:
    if isinstance(settings, Mapping):
        return [name for name in settings if isinstance(name, str)]
    if _shape.is_model(type(settings)):
        return [*type(settings).model_fields, *(settings.__pydantic_extra__ or ())]
    if dataclasses.is_dataclass(settings):
        return [field.name for field in dataclasses.fields(settings)]
    return [name for name in dir(settings) if name[0] != "_"]


def _value(settings: Any, field: str) -> Any:
    return settings[field] if isinstance(settings, Mapping) else getattr(settings, field)


def _bare(value: Any) -> Any:
    """Without what an application wraps it in. (An URL or a size of pydantic's is written as text later.)"""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return str(value) if type(value).__module__.partition(".")[0] in ("pydantic", "pydantic_core") else value
