"""Which numbered lines are the chapters: the numbering as a whole decides.

A single line never tells a chapter from an entry of the table of contents, a numbered part or a mention. So
all candidates of one style are read as one sequence: entries with no text between them are a list, the rest
must count upwards, and the style whose count says "chapter" loudest is taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from heapq import nlargest
from itertools import pairwise

from vectorface.preprocessing.lines import LONGEST_LINE
from vectorface.preprocessing.styles import MEDIUM, PART_SIGNS, PART_WORDS, STRONG, Candidate

Run = list[Candidate]

_LATE_START = 0.25  # what a sequence loses when it does not begin at 1 ...
_GAP = 0.75  # ... when it leaves numbers out ...
_RESTART = 1.5  # ... and when it begins anew, so that a new beginning needs two chapters to pay ...
_NEW_PART = 0.5  # ... or one below the heading of the next part
_PART_FAMILIES = frozenset([*PART_WORDS.split("|"), *PART_SIGNS])
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
    parts = _new_parts(candidates)
    runs = [run for family in families.values() if (run := _run_of(family, parts))]
    contenders = nlargest(_CONTENDERS, runs, key=_score)
    clear = [run for run in contenders if not any(_summarizes(run, other) for other in contenders)]
    return _continued((clear or [[]])[0], families)


def select_lead(text: str, candidates: Sequence[Candidate], chapters: Run) -> Run:
    r"""Choose what counts in a style of its own before the first chapter, as the letters of a frame story.

    Args:
        text: The text they were found in.
        candidates: All candidates, in the order of the text.
        chapters: Those that are the chapters.

    Returns:
        The last such run if each of its parts has some text; none if its style goes on among the chapters.

    Example:
        >>> from vectorface.preprocessing.styles import find_candidates
        >>> text = "Letter 1\n\nDear.\n\nLetter 2\n\nDear.\n\nChapter 1\n\nDark.\n\nChapter 2\n\nLit."
        >>> found = find_candidates(text)
        >>> [part.start for part in select_lead(text, found, select_chapters(text, found))]
        [0, 17]
    """
    if not chapters:
        return []
    first = chapters[0].start
    share = _SUMMARY_SHARE * (len(text) - first) / len(chapters)
    runs = [
        run
        for family in _by_family(_without_lists(text, candidates)).values()
        if family[0].tier == MEDIUM and family[-1].start < first and (run := _run_of(family))
    ]
    told = [run for run in runs if first - run[0].start > share * len(run)]
    return max(told, key=lambda run: run[-1].start, default=[])


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
    part_lines = [candidate for candidate in candidates if candidate.family in _PART_FAMILIES]
    for family in _by_family(candidates).values():
        counts = Counter(candidate.number for candidate in family)
        if family[0].tier == STRONG:
            listed.update(_above_next_part(text, family, part_lines))
        for stretch in _stretches(text, family):
            repeated = all(counts[candidate.number] > 1 for candidate in stretch)
            if len(stretch) >= _LIST_LENGTH or (len(stretch) > 1 and repeated):
                listed.update(map(id, stretch))
    return [candidate for candidate in candidates if id(candidate) not in listed]


def _above_next_part(text: str, family: Run, part_lines: Run) -> Iterable[int]:
    """Find the last entries of parts in a table of contents: the next part follows, with no text between."""
    starts = [part.start for part in part_lines]
    for before, after in pairwise(family):
        place = bisect_left(starts, before.end)
        for part in part_lines[place : place + 1]:
            between = text[_end(before) : part.start] + text[part.end : after.start]
            if part.end <= after.start and after.number <= before.number and not between.strip():
                yield id(before)


def _new_parts(candidates: Iterable[Candidate]) -> list[int]:
    """Find where a part begins that is the next by its number: a running head repeats one instead."""
    families = {key: run for key, run in _by_family(candidates).items() if key in _PART_FAMILIES}
    pairs = (pair for family in families.values() for pair in pairwise(family))
    return sorted(after.start for before, after in pairs if after.number == before.number + 1)


def _stretches(text: str, family: Run) -> list[Run]:
    stretches: list[Run] = [[family[0]]]
    for before, after in pairwise(family):
        end = _end(before) if before.end <= after.start else before.marker
        if before.number < after.number and not text[end : after.start].strip():
            stretches[-1].append(after)
        else:
            stretches.append([after])
    return stretches


def _end(candidate: Candidate) -> int:
    """Return where the heading ends, which is within its line where the chapter's text goes on in there."""
    run_in = candidate.end - candidate.marker > LONGEST_LINE
    return candidate.marker if run_in else candidate.end


def _run_of(family: Run, new_parts: Sequence[int] = ()) -> Run:
    """Return the family's sequence of chapters, or nothing if its numbering does not hold up."""
    tier = family[0].tier
    paid = _below_parts(family, new_parts) if tier == STRONG else ()
    parts = _without_summary(_parts(_best_chain(family, paid)))
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


def _below_parts(family: Run, new_parts: Sequence[int]) -> set[int]:
    """Find which of the family come first below the heading of a new part."""
    starts = [candidate.start for candidate in family]
    return {bisect_left(starts, part) for part in new_parts} - {0, len(family)}


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


def _best_chain(family: Run, paid: Collection[int] = ()) -> Run:
    """Find the sequence that counts best: most headings, fewest gaps and restarts.

    Args:
        family: The headings of one style.
        paid: Which of them may begin anew at a lower price.
    """
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
            options.append((overall[0] - (_NEW_PART if index in paid else _RESTART), overall[1]))
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
