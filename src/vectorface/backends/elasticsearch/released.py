"""ELSER as Elastic releases it: what its models are called."""

from __future__ import annotations

from typing import Final

#: ELSER v2 for any platform.
ELSER_2: Final = ".elser_model_2"
_ELSER: Final = ".elser_model_"
_OPTIMIZED: Final = "_linux-x86_64"


def is_elser(model_id: str) -> bool:
    """Tell whether an id is that of one of Elastic's packages of ELSER.

    Example:
        >>> is_elser(".elser_model_2_linux-x86_64"), is_elser("my-splade")
        (True, False)
    """
    return model_id.startswith(_ELSER)


def optimized(model_id: str) -> str:
    """Return the model that does the same more quickly, on Linux with Intel's or AMD's processors alone.

    Example:
        >>> optimized(".elser_model_2")
        '.elser_model_2_linux-x86_64'
    """
    return platform_free(model_id) + _OPTIMIZED


def platform_free(model_id: str) -> str:
    """Return the model that gives the same tokens on any platform.

    Example:
        >>> platform_free(".elser_model_2_linux-x86_64"), platform_free("my-splade")
        ('.elser_model_2', 'my-splade')
    """
    return model_id.removesuffix(_OPTIMIZED)
