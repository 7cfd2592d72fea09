"""The rooms of the contract, and the classes that a test class takes."""

from __future__ import annotations

from vectorface.testing.contract.asynchrony import AsyncContract
from vectorface.testing.contract.connections import ConnectionContract
from vectorface.testing.contract.deletes import DeleteContract
from vectorface.testing.contract.dense import DenseContract
from vectorface.testing.contract.durable import DurableContract, FingerprintContract
from vectorface.testing.contract.filters import FilterContract
from vectorface.testing.contract.indexes import IndexContract
from vectorface.testing.contract.langchain import LangChainContract
from vectorface.testing.contract.metadata import MetadataContract
from vectorface.testing.contract.parallel import ParallelContract
from vectorface.testing.contract.reads import ReadContract
from vectorface.testing.contract.refusals import RefusalContract
from vectorface.testing.contract.searches import SearchContract
from vectorface.testing.contract.threads import ThreadContract
from vectorface.testing.contract.writes import WriteContract

__all__ = ["DenseContract", "DurableContract", "FingerprintContract", "StoreContract"]


class StoreContract(
    ConnectionContract,
    IndexContract,
    WriteContract,
    MetadataContract,
    ReadContract,
    FilterContract,
    SearchContract,
    DeleteContract,
    ParallelContract,
    AsyncContract,
    LangChainContract,
    ThreadContract,
    RefusalContract,
):
    """What every store promises, however it searches."""
