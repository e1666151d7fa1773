"""Settings by pydantic-settings, for applications that have none of their own to put them in.

    from shelflife.settings import ShelflifeSettings

    cache = Cache.from_settings(ShelflifeSettings(_env_file=".env"))

Needs pydantic-settings. It reads `SHELFLIFE_URL`, else `REDIS_URL`, and `SHELFLIFE_<NAME>`, as `Cache.from_env()` does; what it adds are
`.env` files, secrets and all else that pydantic-settings can.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Optional, Union

try:
    from pydantic import AfterValidator, AliasChoices, ByteSize, Field, SecretStr, ValidationInfo
    from pydantic_settings import BaseSettings, SettingsConfigDict
except ImportError as error:
    raise ImportError(f"{error}: shelflife.settings needs pydantic-settings: `pip install pydantic-settings`") from error

from ._time import seconds

__all__ = ["ShelflifeSettings"]


def _a_time(value: Any, info: ValidationInfo) -> Any:
    if value is not None:
        seconds(value, info.field_name or "a time")
    return value


_Time = Annotated[Optional[Union[float, timedelta, str]], AfterValidator(_a_time)]


class ShelflifeSettings(BaseSettings):
    """Every setting of docs/settings.md. What is `None` is not set: the cache's default holds."""

    model_config = SettingsConfigDict(
        env_prefix="shelflife_", env_ignore_empty=True, extra="ignore", populate_by_name=True, frozen=True
    )
    #: The fields of this class have none.
    shelflife_prefix: ClassVar[str] = ""

    #: It may hold a password.
    url: Optional[SecretStr] = Field(None, validation_alias=AliasChoices("shelflife_url", "redis_url"))
    namespace: Optional[str] = None
    ttl: _Time = None
    stale: _Time = None
    stale_on_error: Optional[bool] = None
    negative_ttl: _Time = None
    jitter: Optional[float] = None
    early: Optional[float] = None
    soft_timeout: _Time = None
    hard_timeout: _Time = None
    throttle: _Time = None
    lease: _Time = None
    settle: _Time = None
    codec: Optional[Literal["messagepack", "json", "raw"]] = None
    compression: Optional[Literal["none", "lz4", "zstd"]] = None
    compress_over: Optional[ByteSize] = None
    memory: Optional[ByteSize] = None
    max_entry: Optional[ByteSize] = None
    failover: Optional[Literal["replay", "bump"]] = None
    window: _Time = None
    timeout: _Time = None
    connect_timeout: _Time = None
    connections: Optional[int] = None
    keepalive: _Time = None
    close_timeout: _Time = None
    handler_timeout: _Time = None
    tls_ca: Optional[str] = None
    tls_cert: Optional[str] = None
    tls_key: Optional[str] = None
    loads: Optional[int] = None
    loads_waiting: Optional[int] = None
