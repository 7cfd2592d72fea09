"""Books into chunks that know their chapter: clean, cut by chapter, then into chunks with stable ids.

:func:`preprocess` does it all; :func:`outline` shows what it found and what it leaves out. Everything here
is a pure function from documents to documents: no store, no files.
"""

from vectorface.preprocessing.books import LONGEST_CHUNK
from vectorface.preprocessing.cleaning import DEFAULT_NOISE
from vectorface.preprocessing.headings import Heading, find_headings
from vectorface.preprocessing.outlines import DEFAULT_END_MARKERS, Chapter, Dropped, Outline
from vectorface.preprocessing.pipeline import DEFAULT_CHUNK_SIZE, PreprocessingWarning, outline, preprocess

__all__ = [
    "DEFAULT_CHUNK_SIZE",
    "DEFAULT_END_MARKERS",
    "DEFAULT_NOISE",
    "LONGEST_CHUNK",
    "Chapter",
    "Dropped",
    "Heading",
    "Outline",
    "PreprocessingWarning",
    "find_headings",
    "outline",
    "preprocess",
]
