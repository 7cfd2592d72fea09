"""Metadata into Chroma's form and back, also when another library changed it in between."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vectorface.backends.chroma.codec import EXACT, PATHS, PREFIX, decode, encode
from vectorface.backends.chroma.filters import superset
from vectorface.filters import In, matches
from vectorface.metadata import Metadata, dumps
from vectorface.testing import strategies

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(strategies.metadata(), st.text())
def test_what_is_encoded_is_decoded_exactly(metadata: Metadata, stamp: str) -> None:
    decoded, found = decode(encode(metadata, stamp))

    assert dumps(decoded) == dumps(metadata)
    assert found == stamp


@given(strategies.metadata())
def test_chroma_takes_all_that_is_encoded(metadata: Metadata) -> None:
    for key, value in encode(metadata, "").items():
        assert key
        assert key[0] not in "#$"
        assert key != "chroma:document"
        values = value if isinstance(value, list) else [value]
        assert values
        assert len({type(one) for one in values}) == 1
        assert all(isinstance(one, str | bool | float) or abs(one) < 1 << 63 for one in values)


@given(strategies.metadata())
def test_plain_metadata_is_stored_as_it_is(metadata: Metadata) -> None:
    plain: Metadata = {}
    plain.update(
        (key, value) for key, value in metadata.items() if isinstance(value, str | bool) and key.isalpha()
    )
    assume(not any(key.startswith(PREFIX) for key in plain))

    encoded = encode(plain, "stamp")

    assert encoded == {**plain, EXACT: '{"stamp":"stamp"}'}


@given(strategies.metadata(), st.data())
def test_a_native_value_that_another_library_changed_wins_and_the_others_stay(
    metadata: Metadata, data: st.DataObject
) -> None:
    native: dict[str, Any] = dict(encode(metadata, "stamp"))
    changeable = sorted(key for key in native if not key.startswith(PREFIX))
    assume(changeable)
    changed = data.draw(st.sampled_from(changeable))

    decoded, _ = decode({**native, changed: "another library was here"})

    assert decoded[changed] == "another library was here"
    untouched = {
        key: value
        for key, value in metadata.items()
        if key != changed and not changed.startswith(f"{key}.") and not _share_a_path(key, changed, metadata)
    }
    assert dumps({key: decoded.get(key) for key in untouched}) == dumps(untouched)


@given(strategies.metadata(), st.data())
def test_a_native_value_that_another_library_removed_is_gone(metadata: Metadata, data: st.DataObject) -> None:
    native: dict[str, Any] = dict(encode(metadata, "stamp"))
    removable = sorted(key for key in native if not key.startswith(PREFIX))
    assume(removable)
    removed = data.draw(st.sampled_from(removable))
    del native[removed]

    decoded, _ = decode(native)

    assert removed not in decoded


def _share_a_path(key: str, changed: str, metadata: Metadata) -> bool:
    """Tell whether the changed native value also belongs to this key: ``{"a": {"b": 1}}`` has ``a.b``."""
    return changed in encode({key: metadata[key]}, "")


def test_values_are_replaced_path_by_path() -> None:
    native = encode({"ship": {"name": "Nan", "crew": None}, "lost": None, "tags": ["sea"]}, "stamp")

    decoded, stamp = decode({**native, "ship.name": "Olga", "lost": "found", "extra": 1})

    assert decoded == {"ship.name": "Olga", "lost": "found", "tags": ["sea"], "extra": 1}
    assert stamp == "stamp"


def test_a_value_changed_in_its_last_bit_by_chroma_is_still_ours() -> None:
    native = encode({"x": 123456789.12345679}, "stamp")

    assert decode({**native, "x": 123456789.1234568})[0] == {"x": 123456789.12345679}
    assert decode({**native, "x": 123456789.2})[0] == {"x": 123456789.2}


def test_reserved_keys_are_hidden() -> None:
    native = encode({"tags": ["sea"], "lost": None}, "stamp")

    assert set(native) == {EXACT, PATHS, "tags"}
    assert decode(native)[0] == {"tags": ["sea"], "lost": None}
    assert decode({f"{PREFIX}_of_a_later_version": 1, "x": 2}) == ({"x": 2}, None)


@pytest.mark.parametrize("native", [None, {}, {"x": 1}])
def test_what_something_else_wrote_is_taken_as_it_is(native: dict[str, Any] | None) -> None:
    assert decode(native) == (native or {}, None)


@given(
    st.one_of(
        JSON, JSON.map(json.dumps), JSON.map(lambda value: json.dumps({"exact": value, "stamp": value}))
    )
)
def test_somebody_elses_value_under_our_key_does_no_harm(value: Any) -> None:
    decoded, stamp = decode({EXACT: value, "x": 1})

    assert decoded["x"] == 1
    assert stamp is None or isinstance(stamp, str)


@pytest.mark.parametrize(
    "text", ['{"exact":{"x":{"$int":5}}}', '{"exact":{"x":{"$date":"soon"}}}', "{", "[]"]
)
def test_what_cannot_be_read_under_our_key_is_passed_over(text: str) -> None:
    assert decode({EXACT: text, "x": 1}) == ({"x": 1}, None)


@given(strategies.metadata(), st.data())
def test_a_document_that_another_library_changed_is_still_let_through_by_its_own_values(
    metadata: Metadata, data: st.DataObject
) -> None:
    """Whatever single value stands there now, a filter for it reaches the document."""
    native: dict[str, Any] = dict(encode(metadata, "stamp"))
    changeable = sorted(key for key in native if not key.startswith(PREFIX))
    assume(changeable)
    changed = data.draw(st.sampled_from(changeable))
    native[changed] = "now"
    decoded, _ = decode(native)
    filter_ = In(path=changed, values=("now",))
    assert matches(filter_, decoded)

    where = superset(filter_)

    assert where is not None
    assert {changed: {"$eq": "now"}} in where["$or"]
