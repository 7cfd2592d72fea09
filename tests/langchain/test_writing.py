"""Writing, reading by id and deleting through LangChain's interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.documents import Document

from tests.langchain.compass import Compass, bearings, towards
from vectorface import InMemoryDB, document_id
from vectorface.errors import (
    ConfigurationError,
    DuplicateDocumentError,
    InvalidDocumentError,
    InvalidIdError,
    PartialWriteError,
    SourceError,
)
from vectorface.langchain import VectorfaceVectorStore

MANY = 5_462  # one more than Chroma takes in one request
BLANK = Document(id="blank", page_content=" ")


def fleet(size: int) -> Iterator[Document]:
    return (Document(page_content=f"boat {number}") for number in range(size))


class TestAddDocuments:
    def test_returns_one_id_for_each_document_in_order(self, vectorstore: VectorfaceVectorStore) -> None:
        assert vectorstore.add_documents([towards(9), towards(3), towards(9)]) == ["d9", "d3", "d9"]

    def test_a_document_without_an_id_gets_that_of_its_content(
        self, vectorstore: VectorfaceVectorStore
    ) -> None:
        document = Document(page_content="boat 1", metadata={"harbour": True})
        assert vectorstore.add_documents([document]) == [document_id(document)]

    def test_ids_come_before_those_of_the_documents(self, vectorstore: VectorfaceVectorStore) -> None:
        assert vectorstore.add_documents([towards(1), towards(2)], ids=["a", "b"]) == ["a", "b"]

    def test_none_among_the_ids_means_the_documents_own(self, vectorstore: VectorfaceVectorStore) -> None:
        boat = Document(page_content="boat 7")
        ids = vectorstore.add_documents([towards(1), towards(2), boat], ids=["a", None, None])
        assert ids == ["a", "d2", document_id(boat)]

    def test_replaces_a_document_as_a_whole(self, vectorstore: VectorfaceVectorStore) -> None:
        vectorstore.add_documents([towards(1, harbour=True)])
        vectorstore.add_documents([Document(id="d1", page_content="sunk at 1", metadata={"wreck": True})])
        assert vectorstore.get_by_ids(["d1"]) == [
            Document(id="d1", page_content="sunk at 1", metadata={"wreck": True})
        ]

    @pytest.mark.parametrize("as_stream", [False, True])
    def test_leaves_the_documents_as_they_are(
        self, vectorstore: VectorfaceVectorStore, *, as_stream: bool
    ) -> None:
        document = Document(page_content="boat 1", metadata={"crew": ["Nan"]})
        vectorstore.add_documents(iter([document]) if as_stream else [document], ids=["a"])
        assert document == Document(page_content="boat 1", metadata={"crew": ["Nan"]})

    def test_nothing_is_nothing(self, vectorstore: VectorfaceVectorStore) -> None:
        assert vectorstore.add_documents([]) == vectorstore.add_documents(iter(())) == []

    def test_a_list_is_checked_before_anything_is_written(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(InvalidDocumentError, match="document 1 has no text"):
            vectorstore.add_documents([towards(1), BLANK])
        assert vectorstore.store.count() == 0

    def test_two_documents_with_one_id_are_refused(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(DuplicateDocumentError):
            vectorstore.add_documents([towards(1), towards(2)], ids=["a", "a"])

    @pytest.mark.parametrize("documents", [towards(1), "a boat", 7])
    def test_one_document_alone_is_refused(self, vectorstore: VectorfaceVectorStore, documents: Any) -> None:
        with pytest.raises(InvalidDocumentError, match="put it in a list"):
            vectorstore.add_documents(documents)

    @pytest.mark.parametrize("ids", [["a"], ["a", "b", "c"]])
    def test_too_many_or_too_few_ids_are_refused(
        self, vectorstore: VectorfaceVectorStore, ids: list[str]
    ) -> None:
        with pytest.raises(InvalidDocumentError, match="pass one for each"):
            vectorstore.add_documents([towards(1), towards(2)], ids=ids)
        assert vectorstore.store.count() == 0

    def test_one_string_is_no_list_of_ids(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(InvalidIdError, match="ids must be a list"):
            vectorstore.add_documents([towards(1), towards(2)], ids="ab")

    def test_an_empty_id_is_refused(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(InvalidIdError, match="empty"):
            vectorstore.add_documents([towards(1)], ids=[""])

    def test_an_unknown_option_is_refused(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(ConfigurationError, match="'embeddings'; it takes 'batch_size', 'ids'"):
            vectorstore.add_documents([towards(1)], embeddings=[[1.0, 0.0]])


class TestStreams:
    def test_a_generator_is_written(self, vectorstore: VectorfaceVectorStore) -> None:
        assert vectorstore.add_documents(towards(course) for course in (1, 2, 3)) == ["d1", "d2", "d3"]
        assert vectorstore.store.count() == 3

    @pytest.mark.parametrize("as_stream", [False, True])
    def test_more_than_one_request_holds_is_written(
        self, vectorstore: VectorfaceVectorStore, *, as_stream: bool
    ) -> None:
        ids = vectorstore.add_documents(fleet(MANY) if as_stream else list(fleet(MANY)))
        assert vectorstore.store.count() == len(set(ids)) == MANY
        assert [document.page_content for document in vectorstore.get_by_ids([ids[-1]])] == [
            f"boat {MANY - 1}"
        ]

    def test_ids_come_back_in_the_order_of_the_input(self, vectorstore: VectorfaceVectorStore) -> None:
        names = [str(number) for number in range(300)]
        assert vectorstore.add_documents(fleet(300), ids=names, batch_size=7) == names

    def test_a_generator_is_read_as_it_is_written(self, vectorstore: VectorfaceVectorStore) -> None:
        waiting = []

        def watched() -> Iterator[Document]:
            for read, boat in enumerate(fleet(2_000)):
                waiting.append(read - vectorstore.store.count())
                yield boat

        vectorstore.add_documents(watched(), batch_size=10)
        assert max(waiting) < 500

    def test_a_list_longer_than_a_batch_is_streamed(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(PartialWriteError):
            vectorstore.add_documents([towards(1), BLANK], batch_size=1)

    def test_whatever_can_be_written_is(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(PartialWriteError, match="has no text") as caught:
            vectorstore.add_documents(iter([towards(1), BLANK, towards(2)]))
        assert [failure.id for failure in caught.value.report.failures] == ["blank"]
        assert vectorstore.store.count() == 2

    @pytest.mark.parametrize(
        "wrong",
        [
            "no document",
            Document(page_content="boat 1", metadata={"when": {1, 2}}),
            Document(page_content="a lone surrogate \ud800"),
        ],
    )
    def test_what_cannot_have_an_id_is_a_failure(
        self, vectorstore: VectorfaceVectorStore, wrong: Any
    ) -> None:
        with pytest.raises(PartialWriteError, match="1 of 2"):
            vectorstore.add_documents(iter([towards(1), wrong]))

    @pytest.mark.parametrize(("ids", "told"), [(["a"], "for more"), (["a", "b", "c"], "for only 2")])
    def test_too_many_or_too_few_ids_end_the_stream(
        self, vectorstore: VectorfaceVectorStore, ids: list[str], told: str
    ) -> None:
        with pytest.raises(SourceError, match=told):
            vectorstore.add_documents(iter([towards(1), towards(2)]), ids=ids)


class TestAddTexts:
    def test_returns_one_id_for_each_text(self, vectorstore: VectorfaceVectorStore) -> None:
        assert vectorstore.add_texts(["boat 1", "boat 2"], ids=["a", "b"]) == ["a", "b"]

    def test_stores_each_text_with_its_metadata(self, vectorstore: VectorfaceVectorStore) -> None:
        vectorstore.add_texts(["boat 1", "boat 2"], [{"crew": 2}, None], ids=["a", "b"])
        assert vectorstore.get_by_ids(["a", "b"]) == [
            Document(id="a", page_content="boat 1", metadata={"crew": 2}),
            Document(id="b", page_content="boat 2"),
        ]

    def test_leaves_the_metadata_as_they_are(self, vectorstore: VectorfaceVectorStore) -> None:
        metadatas = [{"crew": ["Nan"]}]
        vectorstore.add_texts(["boat 1"], metadatas)
        assert metadatas == [{"crew": ["Nan"]}]

    def test_takes_a_generator(self, vectorstore: VectorfaceVectorStore) -> None:
        texts = (f"boat {number}" for number in range(3))
        vectorstore.add_texts(texts, [{"n": 0}, {"n": 1}, {"n": 2}], ids=["0", "1", "2"])
        assert [document.metadata for document in vectorstore.get_by_ids(["2"])] == [{"n": 2}]

    def test_metadatas_must_be_one_for_each_text(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(ValueError, match="metadatas has 1 items for 2"):
            vectorstore.add_texts(["boat 1", "boat 2"], [{}])

    def test_one_text_alone_is_refused(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(InvalidDocumentError, match="in a list"):
            vectorstore.add_texts("boat 1")

    def test_an_unknown_option_is_refused(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(ConfigurationError, match="'namespace'"):
            vectorstore.add_texts(["boat 1"], namespace="harbour")


class TestGetByIds:
    def test_keeps_the_order_and_leaves_out_what_is_missing(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(boats.get_by_ids(["d60", "nobody", "d0"])) == [60, 0]

    def test_no_ids_find_nothing(self, boats: VectorfaceVectorStore) -> None:
        assert boats.get_by_ids([]) == []

    @pytest.mark.parametrize("ids", [None, "d60"])
    def test_ids_must_be_a_list(self, boats: VectorfaceVectorStore, ids: Any) -> None:
        with pytest.raises(InvalidIdError):
            boats.get_by_ids(ids)


class TestDelete:
    def test_deletes_those_and_no_others(self, boats: VectorfaceVectorStore) -> None:
        assert boats.delete(["d0", "d60"]) is True
        assert bearings(boats.similarity_search("course 0")) == [5, 120]

    def test_missing_ids_are_no_error(self, boats: VectorfaceVectorStore) -> None:
        assert boats.delete(["nobody"]) is True

    def test_no_ids_delete_nothing(self, boats: VectorfaceVectorStore) -> None:
        assert boats.delete([]) is True
        assert boats.store.count() == 4

    def test_leaving_the_ids_out_is_refused_with_what_to_do(self, boats: VectorfaceVectorStore) -> None:
        with pytest.raises(InvalidIdError, match=r"store\.delete_index\(\)"):
            boats.delete()
        assert boats.store.count() == 4

    def test_an_unknown_option_is_refused(self, boats: VectorfaceVectorStore) -> None:
        with pytest.raises(ConfigurationError, match="'where'"):
            boats.delete(["d0"], where={"harbour": True})


class TestFromTexts:
    def test_holds_them_in_memory_by_default(self) -> None:
        vectorstore = VectorfaceVectorStore.from_texts(["boat 1"], Compass(), [{"crew": 2}], ids=["a"])
        assert isinstance(vectorstore.store, InMemoryDB)
        assert vectorstore.similarity_search("course 1") == [
            Document(id="a", page_content="boat 1", metadata={"crew": 2})
        ]

    def test_embeds_with_what_is_passed(self) -> None:
        compass = Compass()
        assert VectorfaceVectorStore.from_texts(["boat 1"], compass).embeddings is compass

    def test_without_an_embedding_it_is_the_default_model(self) -> None:
        vectorstore = VectorfaceVectorStore.from_texts(["the lamp", "the ferry"])
        assert vectorstore.similarity_search("a light", k=1)[0].page_content == "the lamp"

    def test_writes_to_the_store_that_is_passed(self, store: InMemoryDB) -> None:
        vectorstore = VectorfaceVectorStore.from_texts(["boat 1"], store=store)
        assert vectorstore.store is store
        assert store.count() == 1

    def test_takes_the_embedding_of_the_store_again(self) -> None:
        compass = Compass()
        with InMemoryDB(compass).connect() as store:
            assert VectorfaceVectorStore.from_texts(["boat 1"], compass, store=store).store is store

    def test_connects_a_store_that_is_not_connected(self) -> None:
        with InMemoryDB(Compass()).connect(index="boats") as store:
            store.close()
            assert VectorfaceVectorStore.from_texts(["boat 1"], store=store).store.index == "vectorface"

    def test_opens_a_url(self) -> None:
        vectorstore = VectorfaceVectorStore.from_texts(["boat 1"], Compass(), url="memory:boats")
        assert vectorstore.store.index == "boats"

    def test_a_store_and_a_url_are_one_too_many(self, store: InMemoryDB) -> None:
        with pytest.raises(ConfigurationError, match="not both"):
            VectorfaceVectorStore.from_texts(["boat 1"], store=store, url="memory:boats")

    def test_another_embedding_than_the_stores_is_refused(self, store: InMemoryDB) -> None:
        with pytest.raises(ConfigurationError, match="embeds with Compass"):
            VectorfaceVectorStore.from_texts(["boat 1"], Compass(), store=store)

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="'persist_directory'"):
            VectorfaceVectorStore.from_texts(["boat 1"], Compass(), persist_directory="data")


class TestFromDocuments:
    def test_keeps_ids_and_metadata(self) -> None:
        vectorstore = VectorfaceVectorStore.from_documents([towards(1, harbour=True)], Compass())
        assert vectorstore.get_by_ids(["d1"]) == [towards(1, harbour=True)]

    def test_takes_a_generator(self) -> None:
        vectorstore = VectorfaceVectorStore.from_documents(fleet(3), Compass(), batch_size=2)
        assert vectorstore.store.count() == 3

    def test_closes_the_store_it_opened_if_writing_fails(self) -> None:
        store = InMemoryDB(Compass())
        with pytest.raises(InvalidDocumentError):
            VectorfaceVectorStore.from_documents([BLANK], store=store)
        assert repr(store) == "InMemoryDB(not connected)"

    def test_leaves_a_connected_store_open_if_writing_fails(self, store: InMemoryDB) -> None:
        with pytest.raises(InvalidDocumentError):
            VectorfaceVectorStore.from_documents([BLANK], store=store)
        assert store.count() == 0


class TestAsync:
    async def test_documents_come_and_go(self, vectorstore: VectorfaceVectorStore) -> None:
        assert await vectorstore.aadd_documents([towards(1), towards(2)], ids=["a", None]) == ["a", "d2"]
        assert await vectorstore.adelete(["a"]) is True
        assert bearings(await vectorstore.aget_by_ids(["a", "d2"])) == [2]

    async def test_a_generator_is_written(self, vectorstore: VectorfaceVectorStore) -> None:
        ids = await vectorstore.aadd_documents(fleet(300), batch_size=50)
        assert vectorstore.store.count() == len(set(ids)) == 300

    async def test_texts_are_written(self, vectorstore: VectorfaceVectorStore) -> None:
        assert await vectorstore.aadd_texts(["boat 1"], [{"crew": 2}], ids=["a"]) == ["a"]

    async def test_unknown_options_are_refused(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(ConfigurationError):
            await vectorstore.aadd_documents([towards(1)], namespace="harbour")
        with pytest.raises(ConfigurationError):
            await vectorstore.adelete(["a"], namespace="harbour")

    async def test_leaving_the_ids_out_is_refused(self, vectorstore: VectorfaceVectorStore) -> None:
        with pytest.raises(InvalidIdError):
            await vectorstore.adelete()

    async def test_stores_are_made(self) -> None:
        by_texts = await VectorfaceVectorStore.afrom_texts(["boat 1"], Compass(), [{"crew": 2}], ids=["a"])
        by_documents = await VectorfaceVectorStore.afrom_documents(fleet(2), Compass())
        assert (by_texts.store.count(), by_documents.store.count()) == (1, 2)
