"""Which numbered lines are the chapters: the numbering as a whole decides.

A single line never tells a chapter from an entry of the table of contents, a numbered part or a mention. So
all candidates of one style are read as one sequence: entries with no text between them are a list, the rest
must count upwards, and the style whose count says "chapter" loudest is taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from heapq import nlargest
from itertools import pairwise

from vectorface.preprocessing.styles import MEDIUM, STRONG, Candidate

Run = list[Candidate]

_LATE_START = 0.25  # what a sequence loses when it does not begin at 1 ...
_GAP = 0.75  # ... when it leaves numbers out ...
_RESTART = 1.5  # ... and when it begins anew, so that a new beginning needs two chapters to pay
_LIST_LENGTH = 3
_SUMMARY_SHARE = (
    0.1  # a run that repeats another with less than this share of its text is a table of contents
)
_SAME_NUMBERS = 0.8
_SURE = 0.9
_CONTENDERS = 5


def select_chapters(text: str, candidates: Sequence[Candidate]) -> Run:
    r"""Choose the candidates that are the chapters of the text.

    Args:
        text: The text they were found in.
        candidates: All candidates, in the order of the text.

    Returns:
        The chapters in the order of the text; none if no style's numbering holds up. Numbers rise by one,
        with gaps where headings are missing, and begin anew only in a style with a word for "chapter".

    Example:
        >>> from vectorface.preprocessing.styles import find_candidates
        >>> text = "Chapter 1\nSee\nChapter 7.\nfor more.\nChapter 2\nThe end."
        >>> [chapter.number for chapter in select_chapters(text, find_candidates(text))]
        [1, 2]
    """
    families = _by_family(_without_lists(text, candidates))
    runs = [run for family in families.values() if (run := _run_of(family))]
    contenders = nlargest(_CONTENDERS, runs, key=_score)
    clear = [run for run in contenders if not any(_summarizes(run, other) for other in contenders)]
    return _continued((clear or [[]])[0], families)


def _by_family(candidates: Iterable[Candidate]) -> dict[str, Run]:
    families: dict[str, Run] = defaultdict(list)
    for candidate in candidates:
        families[candidate.family].append(candidate)
    return families


def _score(run: Run) -> float:
    return run[0].tier * sum(candidate.weight for candidate in run)


def _without_lists(text: str, candidates: Sequence[Candidate]) -> Run:
    """Leave out tables of contents: headings of one style that follow each other without text between."""
    listed: set[int] = set()
    for family in _by_family(candidates).values():
        counts = Counter(candidate.number for candidate in family)
        for stretch in _stretches(text, family):
            repeated = all(counts[candidate.number] > 1 for candidate in stretch)
            if len(stretch) >= _LIST_LENGTH or (len(stretch) > 1 and repeated):
                listed.update(map(id, stretch))
    return [candidate for candidate in candidates if id(candidate) not in listed]


def _stretches(text: str, family: Run) -> list[Run]:
    stretches: list[Run] = [[family[0]]]
    for before, after in pairwise(family):
        end = before.end if before.end <= after.start else before.marker
        if before.number < after.number and not text[end : after.start].strip():
            stretches[-1].append(after)
        else:
            stretches.append([after])
    return stretches


def _run_of(family: Run) -> Run:
    """Return the family's sequence of chapters, or nothing if its numbering does not hold up."""
    tier = family[0].tier
    parts = _without_summary(_parts(_best_chain(family)))
    chain = [candidate for part in parts for candidate in part]
    if tier == STRONG:
        sure = len(chain) > 1 or chain[0].weight >= _SURE
        return chain if sure else []
    if len(parts) > 1 or len(chain) == 1:
        return []  # parts of something that is not numbered itself, or a single line
    if tier == MEDIUM:
        return chain if chain[0].number <= 1 or len(chain) >= _LIST_LENGTH else []
    unbroken = all(after.number == before.number + 1 for before, after in pairwise(chain))
    return chain if chain[0].number == 1 and unbroken else []


def _first(entry: tuple[float, int]) -> float:
    return entry[0]


class _Best:
    """The best score among all numbers below one, in logarithmic time (a Fenwick tree of maxima)."""

    def __init__(self, size: int) -> None:
        self._tree = [(0.0, -1)] * (size + 1)

    def put(self, rank: int, entry: tuple[float, int]) -> None:
        rank += 1
        while rank < len(self._tree):
            self._tree[rank] = max(self._tree[rank], entry, key=_first)
            rank += rank & -rank

    def below(self, rank: int) -> tuple[float, int]:
        best = (0.0, -1)
        while rank > 0:
            best = max(best, self._tree[rank], key=_first)
            rank -= rank & -rank
        return best


def _best_chain(family: Run) -> Run:
    """Find the sequence that counts best: most headings, fewest gaps and restarts."""
    numbers = sorted({candidate.number for candidate in family})
    below = _Best(len(numbers))
    at_number: dict[int, tuple[float, int]] = {}
    overall = (0.0, -1)
    previous: list[int] = []
    for index, candidate in enumerate(family):
        number, rank = candidate.number, bisect_left(numbers, candidate.number)
        smaller, stepped = below.below(rank), at_number.get(number - 1, (0.0, -1))
        options = [(0.0 if number <= 1 else -_LATE_START, -1), (smaller[0] - _GAP, smaller[1]), stepped]
        if number <= 1:
            options.append((overall[0] - _RESTART, overall[1]))
        score, link = max(
            (option for option in options if option[1] >= 0 or option is options[0]), key=_first
        )
        previous.append(link)
        entry = (score + candidate.weight, index)
        if entry[0] > at_number.get(number, (0.0, -1))[0]:
            at_number[number] = entry
            below.put(rank, entry)
        overall = max(overall, entry, key=_first)
    return _follow(family, previous, overall[1])


def _follow(family: Run, previous: Sequence[int], last: int) -> Run:
    chain: Run = []
    while last >= 0:
        chain.append(family[last])
        last = previous[last]
    return chain[::-1]


def _parts(chain: Run) -> list[Run]:
    """Cut a chain where its numbering begins anew."""
    parts: list[Run] = []
    for candidate in chain:
        if not parts or candidate.number <= parts[-1][-1].number:
            parts.append([])
        parts[-1].append(candidate)
    return parts


def _without_summary(parts: list[Run]) -> list[Run]:
    """Leave out a part that says its neighbour's numbers with hardly any text: contents with summaries."""
    neighbours = zip(parts, [[], *parts], [*parts[1:], []], strict=False)
    return [part for part, *others in neighbours if not any(_summarizes(part, other) for other in others)]


def _summarizes(part: Run, other: Run) -> bool:
    shared = {candidate.number for candidate in part} & {candidate.number for candidate in other}
    if not other or part is other or len(part) == 1 or len(shared) < _SAME_NUMBERS * len(part):
        return False
    return _extent(part) / len(part) < _SUMMARY_SHARE * _extent(other) / len(other)


def _extent(part: Run) -> int:
    """Count the characters from the first heading to the last: what follows the last may be anything."""
    return part[-1].start - part[0].start


def _continued(run: Run, families: dict[str, Run]) -> Run:
    """Add the chapters that go on counting in another style, as VII. after ADVENTURE VI."""
    for family in families.values():
        if run and family[0].family != run[-1].family:
            run = run + _continuation(run[-1], family)
    return run


def _continuation(last: Candidate, family: Run) -> Run:
    chain: Run = []
    after = [candidate for candidate in family if candidate.start > last.start and candidate.title]
    if after and after[0].number == last.number + 1:  # otherwise it counts something of its own in there
        for candidate in after:
            if candidate.number == last.number + 1 + len(chain):
                chain.append(candidate)
    return chain
