"""Hypothesis strategies for what stores find hard: metadata, filters, texts, and text to look for.

Filters that never match anything prove nothing. So :func:`filter_cases` draws documents first, and takes
paths and operands from them: the value itself, its neighbours, and what only looks like it.
"""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from hypothesis import strategies as st
from langchain_core.documents import Document

from vectorface.metadata import Metadata, Scalar, Value

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

FilterSpec: TypeAlias = "dict[str, Any]"
T = TypeVar("T")

#: A word in every generated text, so that any kind of search finds all of them.
COMMON_WORD: Final = "lamp"

#: Few keys, so that documents share them; some are paths into others.
PLAIN_KEYS: Final = ("a", "b", "c", "a.b", "tags")

#: Keys that mean something to some store, or look like it.
ODD_KEYS: Final = (
    "",
    " ",
    ".",
    "a.",
    ".a",
    "a..b",
    "A",
    "#a",
    "$a",
    "$eq",
    "$date",
    "_id",
    "id",
    "text",
    "document",
    "content",
    "page_content",
    "vector",
    "embedding",
    "metadata",
    "score",
    "source",
    "_vectorface",
    "_vectorface_paths",
    "a\0b",
    "\0",
    "a\nb",
    'a"b',
    "a'b",
    "a\\b",
    "a%",
    "a_",
    "a*",
    "a[0]",
    "0",
    "true",
    "null",
    "clé",
    "cle\u0301",
    "ключ",
    "🪔",
    "\u2028",
    "k" * 300,
)

STRINGS: Final = (
    "",
    " ",
    "x",
    "X",
    "x ",
    "sea",
    "Sea",
    "fog",
    "1",
    "1.0",
    "1.5",
    "true",
    "None",
    "null",
    "2024-05-01",
    "2024-05-01T00:00:00",
    "\0",
    "a\0b",
    "a\nb",
    "a\r\nb",
    'a"b',
    "a'b",
    "a\\b",
    "a%b",
    "a_b",
    "a*b?",
    "clé",
    "cle\u0301",
    "İ",
    "ß",
    "漢字",
    "🪔",
    "\u200b",
    "\uffff",
    "x" * 300,
    "x" * 300 + "y",
    "y" * 9_000,
)

INTEGERS: Final = (
    0,
    1,
    2,
    3,
    -1,
    10,
    2**31,
    2**53 - 1,
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    2**63 - 513,
    2**63 - 1,
    2**63,
    -(2**63),
    -(2**63) - 1,
    2**64 + 1,
    10**30,
    -(10**400),
)

FLOATS: Final = (
    0.0,
    -0.0,
    1.0,
    1.5,
    -1.5,
    2.0,
    2.5,
    0.1,
    0.3,
    0.1 + 0.2,
    1 / 3,
    1 - 1e-16,
    1 + 1e-13,
    1e-13,
    1e16,
    1e22,
    2.0**53,
    2.0**53 + 2,
    2.0**63,
    -(2.0**63),
    1e300,
    5e-324,
    1e-310,
    sys.float_info.max,
    -sys.float_info.max,
)

_EAST: Final = timezone(timedelta(hours=2))
_ODDLY_EAST: Final = timezone(timedelta(hours=5, minutes=53, seconds=28))

DATES: Final = (
    date(2024, 5, 1),
    date(2024, 5, 2),
    date(1969, 12, 31),
    date.min,
    date.max,
    datetime(2024, 5, 1),  # noqa: DTZ001 - naive on purpose
    datetime(2024, 5, 1, 0, 0, 0, 1),  # noqa: DTZ001
    datetime(1969, 12, 31, 23, 59, 59, 999_999),  # noqa: DTZ001
    datetime.min,  # noqa: DTZ901
    datetime.max,  # noqa: DTZ901
    datetime(2024, 5, 1, tzinfo=UTC),
    datetime(2024, 5, 1, 2, tzinfo=_EAST),
    datetime(2024, 5, 1, tzinfo=_EAST),
    datetime(2024, 5, 1, 5, 53, 28, tzinfo=_ODDLY_EAST),
    datetime.min.replace(tzinfo=_EAST),
    datetime.max.replace(tzinfo=UTC),
)


# -- metadata ---------------------------------------------------------------------------------------------


@cache
def scalars() -> SearchStrategy[Scalar]:
    """Values that metadata and filters hold: common ones often, hostile ones, and any at all."""
    return st.one_of(
        st.sampled_from((0, 1, 2, 1.0, 1.5, True, False, None, "x", "sea", "1", date(2024, 5, 1))),
        st.sampled_from((*STRINGS, *INTEGERS, *FLOATS, *DATES, True, False, None)),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        _text(max_size=6),
    )


@cache
def keys() -> SearchStrategy[str]:
    """Keys of metadata: mostly few plain ones, so that documents share them."""
    plain = st.sampled_from(PLAIN_KEYS)
    return st.one_of(plain, plain, plain, st.sampled_from(ODD_KEYS), _text(max_size=4))


@cache
def metadata(*, max_size: int = 5) -> SearchStrategy[Metadata]:
    """Metadata that is hard to store: nested, mixed, empty, long, and oddly named.

    Args:
        max_size: Most keys of it.
    """
    return st.dictionaries(keys(), _values(), max_size=max_size)


@cache
def _values() -> SearchStrategy[Value]:
    scalar = scalars()
    uniform = st.one_of(*(st.lists(st.sampled_from(pool), max_size=3) for pool in _POOLS))
    mixed = st.lists(scalar, max_size=3)
    inner = st.dictionaries(st.sampled_from(("b", "c", "b.c", "", "$x", "a")), scalar, max_size=2)
    deep = st.dictionaries(st.sampled_from(("b", "c")), st.one_of(inner, mixed), max_size=2)
    listed = st.lists(st.one_of(inner, scalar, mixed), max_size=3)
    return st.one_of(scalar, scalar, scalar, uniform, mixed, inner, deep, listed)


#: Lists of one type are what many stores hold natively.
_POOLS: Final[Sequence[Sequence[Any]]] = (
    ("sea", "fog", "x", "", "1"),
    (0, 1, 2, -1, 2**53, 2**53 + 1),
    (1.0, 1.5, 0.1, -0.0, 0.1 + 0.2, 1e16),
    (True, False),
)


def _text(*, min_size: int = 0, max_size: int) -> SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=min_size, max_size=max_size)


# -- documents --------------------------------------------------------------------------------------------


@cache
def ids() -> SearchStrategy[str]:
    """Ids that a store must take: any text of 1 to 512 bytes."""
    return st.one_of(
        st.sampled_from(
            ("a", " ", "a b", "a/b", "../a", "a\0b", "\0", "\n", "'", '"', "%", "_", "*", "é", "🪔")
        ),
        st.sampled_from(("x" * 512, "é" * 256, "🪔" * 128)),
        _text(min_size=1, max_size=20),
    )


@cache
def texts() -> SearchStrategy[str]:
    """Contents that a store must keep; each holds :data:`COMMON_WORD`."""
    return st.lists(_pieces(), max_size=8).map(lambda pieces: f"{COMMON_WORD} {''.join(pieces)}")


@cache
def _pieces() -> SearchStrategy[str]:
    odd = (
        "ß",
        "SS",
        "İ",
        "i",
        "Σσς",
        "é",
        "e\u0301",
        "漢字",
        "🪔",
        "%",
        "_",
        "*",
        "?",
        "\\",
        "'",
        '"',
        "\0",
        "\n",
        "\t",
    )
    words = ("Lamp", "lamp", "LAMP", "sea", "a", "aa", "ab", " ", "  ", ".", "-", "$", "{", "100%", "it's")
    return st.one_of(st.sampled_from(words), st.sampled_from(odd), _text(min_size=1, max_size=2))


def needles(texts: Sequence[str]) -> SearchStrategy[str]:
    """Text to look for in ``texts``: a part of them, the same in another case, or any piece.

    Args:
        texts: Where it will be looked for.
    """
    return st.composite(_needle)(texts)


def _needle(draw: DrawFn, texts: Sequence[str]) -> str:
    if draw(_below(4)) == 0:
        return draw(_pieces())
    text = _choice(draw, texts)
    start = draw(_below(len(text)))
    part = text[start : start + _choice(draw, (1, 1, 2, 2, 3, 4, 8, 1_000))]
    return part.swapcase() if draw(_below(4)) == 0 else part


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainsCase:
    """Documents, and text to look for in them."""

    documents: tuple[Document, ...]
    needles: tuple[str, ...]


def contains_cases(*, documents: int = 20, needles: int = 30) -> SearchStrategy[ContainsCase]:
    """Documents, and text to look for in them.

    Args:
        documents: How many.
        needles: How many.
    """
    return st.composite(_contains_case)(documents, needles)


def _contains_case(draw: DrawFn, documents: int, needles: int) -> ContainsCase:
    contents = draw(st.lists(texts(), min_size=documents, max_size=documents))
    wanted = tuple(_needle(draw, contents) for _ in range(needles))
    return ContainsCase(documents=_documents(contents, [{}] * documents), needles=wanted)


def _documents(contents: Sequence[str], metadatas: Sequence[Metadata]) -> tuple[Document, ...]:
    return tuple(
        Document(id=f"document-{i}", page_content=text, metadata=metadata)
        for i, (text, metadata) in enumerate(zip(contents, metadatas, strict=True))
    )


# -- filters ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterCase:
    """Documents, and filters whose paths and operands occur in them."""

    documents: tuple[Document, ...]
    filters: tuple[FilterSpec, ...]


def filter_cases(*, documents: int = 30, filters: int = 50) -> SearchStrategy[FilterCase]:
    """Documents with hostile metadata, and filters made from what is in them.

    Args:
        documents: How many.
        filters: How many.
    """
    return st.composite(_filter_case)(documents, filters)


def _filter_case(draw: DrawFn, documents: int, filters: int) -> FilterCase:
    metadatas = draw(st.lists(metadata(), min_size=documents, max_size=documents))
    found = _Found(metadatas)
    specs = [_spec(draw, found, 3) for _ in range(filters)]
    contents = [f"{COMMON_WORD} {i}" for i in range(documents)]
    return FilterCase(documents=_documents(contents, metadatas), filters=tuple(specs))


def filters(metadatas: Sequence[Metadata], *, depth: int = 3) -> SearchStrategy[FilterSpec]:
    """Filters over the paths and values of ``metadatas``, with every operator in every notation.

    Args:
        metadatas: What the filters will be asked about.
        depth: How deep ``$and``, ``$or`` and ``$not`` nest.
    """
    return st.composite(_spec)(_Found(metadatas), depth)


# Below, plain functions draw, and choose by number: strategies made anew for each draw are ten times slower.


def _choice(draw: DrawFn, options: Sequence[T]) -> T:
    return options[draw(_below(len(options)))]


@cache
def _below(stop: int) -> SearchStrategy[int]:
    return st.integers(0, stop - 1)


def _spec(draw: DrawFn, found: _Found, depth: int) -> FilterSpec:
    form = _choice(draw, ("field", "field", "field", "$and", "$or", "$not", "keys")) if depth else "field"
    if form == "field":
        return _field(draw, found)
    if form == "$not":
        return {"$not": _spec(draw, found, depth - 1)}
    parts = [_spec(draw, found, depth - 1) for _ in range(_choice(draw, (1, 2, 2, 3)))]
    if form == "keys":  # several keys in one dict mean $and
        return {key: value for part in parts for key, value in part.items()}
    return {form: parts}


def _field(draw: DrawFn, found: _Found) -> FilterSpec:
    path = _choice(draw, found.paths)
    values = found.at(path)
    match draw(_below(10)):
        case 0 | 1:
            return {path: _operand(draw, values)}
        case 2:
            return {path: {"$not": _operators(draw, values)}}
        case 3:
            return {path: _operators(draw, values) | _operators(draw, values)}
        case _:
            return {path: _operators(draw, values)}


_ORDERS: Final = ("$gt", "$gte", "$lt", "$lte")
_OPERATORS: Final = ("$eq", "$ne", *_ORDERS, *_ORDERS, "$in", "$in", "$nin", "$exists")


def _operators(draw: DrawFn, values: Sequence[Scalar]) -> dict[str, Any]:
    operator = _choice(draw, _OPERATORS)
    if operator == "$exists":
        return {operator: draw(st.booleans())}
    if operator in {"$in", "$nin"}:
        return {operator: [_operand(draw, values) for _ in range(_choice(draw, (0, 1, 2, 3, 4, 10)))]}
    operand = _operand(draw, values)
    unordered = operator in _ORDERS and (operand is None or isinstance(operand, bool))
    return {operator: 1 if unordered else operand}


def _operand(draw: DrawFn, values: Sequence[Scalar]) -> Scalar:
    value = _choice(draw, values)
    match draw(_below(4)):
        case 0:
            return draw(scalars())
        case 1:
            return _choice(draw, lookalikes(value) or [value])
        case _:
            return value


class _Found:
    """The paths of documents, and the values at each."""

    def __init__(self, metadatas: Sequence[Metadata]) -> None:
        self._values: dict[str, list[Scalar]] = {}
        for one in metadatas:
            for path, value in _walk(one):
                self._values.setdefault(path, []).append(value)
        stored = (path for path in sorted(self._values) if not path.startswith("$"))
        self.paths = (*stored, "a", "a.b", "a.b.c", "missing")

    def at(self, path: str) -> Sequence[Scalar]:
        return self._values.get(path) or (None,)


def _walk(value: Value, path: str = "") -> Iterator[tuple[str, Scalar]]:
    """Yield every path with the values it leads to; with ``None`` where it leads to an object or list."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}{key}", None
            yield from _walk(item, f"{path}{key}.")
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    else:
        yield path.removesuffix("."), value


def lookalikes(value: Scalar) -> list[Scalar]:
    """Return values that a store may confuse with ``value``: one bit off, of another type, in other words.

    Example:
        >>> lookalikes(True)
        [False, 1, 'True']
    """
    found: list[Scalar] = []
    for make in _LOOKALIKES.get(type(value), ()):
        with suppress(ValueError, OverflowError):
            found.append(make(value))
    return found


def _moved(value: float, direction: float) -> float:
    moved = math.nextafter(value, direction)
    if not math.isfinite(moved):
        raise OverflowError
    return moved


_LOOKALIKES: Final[Mapping[type, Sequence[Callable[[Any], Scalar]]]] = {
    bool: (lambda value: not value, int, str),
    int: (
        lambda value: value + 1,
        lambda value: value - 1,
        float,
        lambda value: value + 0.5,
        lambda value: _moved(float(value), math.inf),
        str,
        bool,
    ),
    float: (
        lambda value: _moved(value, math.inf),
        lambda value: _moved(value, -math.inf),
        lambda value: _moved(value, 0) * (1 + 1e-13),
        int,
        math.ceil,
        lambda value: -value,
        str,
    ),
    str: (
        str.swapcase,
        lambda value: value + " ",
        lambda value: value[:-1],
        lambda value: unicodedata.normalize("NFD", value),
        lambda value: unicodedata.normalize("NFC", value),
        int,
        float,
        date.fromisoformat,
        datetime.fromisoformat,
    ),
    date: (
        lambda value: value + timedelta(days=1),
        lambda value: datetime.combine(value, time()),
        lambda value: datetime.combine(value, time(), UTC),
        date.isoformat,
    ),
    datetime: (
        lambda value: value + timedelta(microseconds=1),
        lambda value: value.replace(tzinfo=None),
        lambda value: value.replace(tzinfo=UTC),
        lambda value: value.astimezone(_EAST) if value.tzinfo else value,
        datetime.date,
        datetime.isoformat,
    ),
}
