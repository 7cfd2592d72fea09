"""Windows cut into batches, and the memory of a run's ids; pure functions."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vectorface.documents import Prepared
from vectorface.ingest.batches import SeenIds, batches
from vectorface.ingest.writer import Limits


def document(id_: str, text: str = "text", *, hashed: str = "hash") -> Prepared:
    return Prepared(id=id_, text=text, metadata={}, vector=None, text_hash=hashed, metadata_hash="")


windows = st.lists(st.integers(1, 400), max_size=40).map(
    lambda lengths: [document(str(i), "x" * length) for i, length in enumerate(lengths)]
)


@given(
    window=windows,
    size=st.integers(1, 50),
    most=st.integers(1, 50),
    max_bytes=st.integers(1, 2_000),
    dimension=st.none() | st.integers(1, 50),
)
def test_batches_hold_every_document_once_within_all_bounds_and_sorted_by_length(
    window: list[Prepared], size: int, most: int, max_bytes: int, dimension: int | None
) -> None:
    limits = Limits(max_documents=most, max_bytes=max_bytes)
    cut = list(batches(window, size=size, limits=limits, dimension=dimension))
    flat = [one for batch in cut for one in batch]
    assert sorted(one.id for one in flat) == sorted(one.id for one in window)
    for shorter, longer in pairwise(cut):
        assert max(len(one.text) for one in shorter) <= min(len(one.text) for one in longer)
    for batch in cut:
        assert batch == [one for one in window if one in batch]
        assert 1 <= len(batch) <= min(size, most)
        assert len(batch) == 1 or sum(limits.size(one, dimension) for one in batch) <= max_bytes


@given(window=windows.filter(bool), size=st.integers(1, 50), max_bytes=st.integers(500, 2_000))
def test_no_two_batches_that_follow_each_other_would_fit_into_one(
    window: list[Prepared], size: int, max_bytes: int
) -> None:
    limits = Limits(max_bytes=max_bytes)
    cut = list(batches(window, size=size, limits=limits, dimension=None))
    for batch, following in pairwise(cut):
        joined = [*batch, min(following, key=lambda one: len(one.text))]
        assert len(joined) > size or sum(limits.size(one, None) for one in joined) > max_bytes


@given(
    st.lists(
        st.tuples(st.sampled_from(["1", "2", "é", "\0", "a" * 512]), st.sampled_from("ab")), max_size=20
    ),
    st.integers(1, 6),
)
def test_an_id_is_new_once_and_then_stands_for_the_same_or_for_another_document(
    inputs: list[tuple[str, str]], in_memory: int
) -> None:
    seen, first = SeenIds(in_memory=in_memory), dict[str, str]()
    for id_, content in inputs:
        expected = "new" if id_ not in first else "same" if first[id_] == content else "conflict"
        first.setdefault(id_, content)
        assert seen.check(document(id_, hashed=content)) == expected
    seen.close()
