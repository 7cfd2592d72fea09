"""Any vectorface store as a LangChain ``VectorStore`` and retriever.

>>> from vectorface import InMemoryDB
>>> from vectorface.langchain import VectorfaceVectorStore
>>> vectorstore = VectorfaceVectorStore(InMemoryDB().connect(index="stories"))
>>> ids = vectorstore.add_texts(["Nan lit the lamp at dusk.", "The ferry was late."])
>>> vectorstore.as_retriever(k=1).invoke("who lit the lamp?")[0].page_content
'Nan lit the lamp at dusk.'
"""

from __future__ import annotations

from vectorface.langchain.retriever import VectorfaceRetriever
from vectorface.langchain.vectorstore import VectorfaceVectorStore

__all__ = ["VectorfaceRetriever", "VectorfaceVectorStore"]
