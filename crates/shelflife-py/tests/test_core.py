"""The wire: MessagePack to and from Python."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelflife import _core

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9), inner),
    max_leaves=20,
)


@given(plain)
def test_what_is_packed_comes_back(value: object) -> None:
    back = _core.unpack(_core.pack(value))
    assert back == value
    assert type(back) is type(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_an_error(payload: bytes) -> None:
    try:
        _core.unpack(payload)
    except (ValueError, TypeError):
        # A map may have a list for a key, which Python does not take.
        pass


def test_a_length_that_is_not_there_makes_nothing() -> None:
    for head in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"):
        with pytest.raises(ValueError, match="breaks off"):
            _core.unpack(head)


def test_nesting_has_an_end_both_ways() -> None:
    with pytest.raises(ValueError, match="nested"):
        _core.unpack(b"\x91" * 100_000 + b"\xc0")
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="holds itself"):
        _core.pack(loop)


def test_what_can_not_be_packed_is_named() -> None:
    with pytest.raises(TypeError, match="object"):
        _core.pack({"a": object()})
    with pytest.raises(ValueError, match="64 bits"):
        _core.pack(2**64)
    assert _core.unpack(_core.pack({"a": {1, 2}}, default=sorted)) == {"a": [1, 2]}


def test_extension_values_keep_their_code() -> None:
    back = _core.unpack(_core.pack(_core.Ext(7, b"abc")))
    assert (back.code, back.data) == (7, b"abc")
