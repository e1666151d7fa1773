"""Entries in Redis or Valkey."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from ...._cache import Cache
from ..types import Backend


class RedisBackend(Backend):
    """By a client of redis-py, of which only the address is taken, a URL, or a `shelflife.Cache`.

    Every setting of docs/settings.md is a keyword, such as `namespace="shop"`; not beside a `Cache`, which has its own.
    """

    def __init__(self, redis: Any, **settings: Any) -> None:
        if isinstance(redis, Cache):
            if settings:
                raise TypeError(f"a Cache has its own settings; give it {', '.join(sorted(settings))}")
            super().__init__(redis)
        else:
            super().__init__(Cache(redis if isinstance(redis, str) else url_of(redis), **settings))
        #: What was given.
        self.redis = redis


def url_of(client: Any) -> str:
    """Where a client of redis-py connects to. The client itself is left alone."""
    pool = getattr(client, "connection_pool", None)
    how = getattr(pool, "connection_kwargs", None)
    if how is None or hasattr(pool, "sentinel_manager"):
        raise TypeError(
            f"a {type(client).__qualname__} has no one address: give a URL such as \"redis://host:6379/0\", or a shelflife.Cache"
        )
    refused = [name for name in _UNKNOWN if how.get(name)]
    if str(how.get("ssl_cert_reqs", "")).lower() in ("none", "0"):
        refused.append("ssl_cert_reqs=none")
    if refused:
        raise TypeError(f"{', '.join(refused)} can't be taken over from the client: give a URL, or a shelflife.Cache")
    user, password, db = how.get("username"), how.get("password"), how.get("db") or 0
    if how.get("path"):
        query = {"db": db, **({"user": user} if user else {}), **({"pass": password} if password else {})}
        return f"unix://{quote(how['path'])}?{urlencode(query)}"
    names = (user or "", password or "")
    login = ":".join(quote(str(name), safe="") for name in names) + "@" if any(names) else ""
    host = str(how.get("host") or "localhost")
    host = f"[{host}]" if ":" in host else host
    secure = "SSL" in getattr(getattr(pool, "connection_class", None), "__name__", "")
    return f"redis{'s' if secure else ''}://{login}{host}:{how.get('port') or 6379}/{db}"


#: What a URL has no place for.
_UNKNOWN = ("credential_provider", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile")
