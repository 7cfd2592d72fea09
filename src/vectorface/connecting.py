"""Open any store by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vectorface.errors import ConfigurationError

if TYPE_CHECKING:
    from vectorface.encoding import EmbeddingsLike
    from vectorface.interface import VectorDBInterface

#: Packages register a backend's URL scheme under this entry-point group.
GROUP: Final = "vectorface.backends"


def connect(url: str, *, embeddings: EmbeddingsLike = "minilm", **options: Any) -> VectorDBInterface:
    """Open the store that a URL names.

    ====================================================  ==================================================
    ``memory:stories``                                    the in-memory reference, index ``stories``
    ``chroma:?collection=stories``                        Chroma in memory
    ``chroma:./data/chroma?collection=stories``           Chroma in a directory
    ``chroma+http://localhost:8000/stories``              a Chroma server (``chroma+https`` with TLS)
    ``elasticsearch://localhost:9200/stories``            Elasticsearch, dense vectors (``?tls=true``: HTTPS)
    ``elasticsearch+elser://localhost:9200/stories``      ... with ELSER, which is deployed there
    ``elasticsearch+bm25://localhost:9200/stories``       ... by the words of the text
    ``elasticsearch+hybrid://localhost:9200/stories``     ... by dense vectors and words together
    ====================================================  ==================================================

    Args:
        url: Where; other packages may add schemes through the entry-point group ``vectorface.backends``.
        embeddings: ``"minilm"`` for the default model, any LangChain ``Embeddings``, or ``None`` if you
            bring your own vectors. Where the server reads the texts (``elser``, ``bm25``) nothing asks it.
        **options: Arguments of the backend's own ``connect`` that the URL does not say: ``create=False``
            to open only what exists, ``metric="l2"``, ``headers={…}`` for a server.

    Raises:
        ConfigurationError: The scheme is unknown, the URL malformed, or an option none of that ``connect``.

    Example:
        >>> with connect("memory:stories") as store:
        ...     store.count()
        0
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - doubles the time of `import vectorface`

    from vectorface.indexes import shown_url  # noqa: PLC0415 - the same

    scheme, colon, _ = str(url).partition(":")
    backends = {point.name: point for point in entry_points(group=GROUP)}
    if not colon or scheme not in backends:
        raise ConfigurationError(
            f"{shown_url(url)} does not start with a known scheme ({', '.join(sorted(backends))}); write for "
            "example 'chroma:./data?collection=stories' or 'memory:stories'."
        )
    backend: type[VectorDBInterface] = backends[scheme].load()
    return backend.from_url(url, embeddings=embeddings, **options)
