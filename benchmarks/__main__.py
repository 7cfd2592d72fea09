"""Run benchmarks and print a table of each; ``--write PAGE`` puts them into a page."""

from __future__ import annotations

import os
import platform
from argparse import ArgumentParser
from pathlib import Path

from benchmarks import elasticsearch, embedding, ingest, search, startup
from benchmarks._timing import Row, table

HEADER = """# Benchmarks

Each row compares two things in one process on one machine, in turns; the result is the median over rounds of
the ratio within a round. Absolute times are for orientation only.

A query with a filter costs more than Chroma's own, because equality has to find lists that hold the value,
too, and Chroma takes about 2 ms at 20,000 documents for each clause that looks into lists.

Loading into Elasticsearch is measured with node and client on the same two cores, and most of the time is the
node's. Of token weights it takes a little less than `parallel_bulk`, whose requests hold the same documents:
over 11 to 19 rounds the ratio was 1.01x, 1.02x, 1.05x, 1.10x and 1.11x, over 5 it may be anything near 1.

Run them yourself:

```console
$ make benchmarks
```

These were measured on {machine}.

"""


PARTS = {
    "startup": startup,
    "search": search,
    "ingest": ingest,
    "embedding": embedding,
    "elasticsearch": elasticsearch,
}


def main() -> None:
    """Print the tables; with ``--write``, also put them into a page."""
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; by default all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller inputs")
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for part in arguments.parts or PARTS:
        measured = list(PARTS[part].measure(quick=arguments.quick))
        print(table(measured), flush=True)
        rows += measured
    if arguments.write:
        machine = f"{platform.machine()} {platform.system()} with {os.cpu_count()} cores"
        page = HEADER.format(machine=f"{machine}, Python {platform.python_version()}")
        arguments.write.write_text(page + table(rows) + "\n")


if __name__ == "__main__":
    main()
