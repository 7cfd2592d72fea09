"""Numbers as headings write them: ``12``, ``XII``, ``twelve``, ``twelfth``, ``十二``.

Pure functions; :data:`NUMBER` is the pattern that the heading styles share, :func:`parse_number` its reading.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_CARDINALS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_ORDINALS: Final = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENTHS: Final = "twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth"

# One to twenty in other languages, each from one up: enough for the chapters of most novels.
_FRENCH: Final = (
    "un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize "
    "dix-sept dix-huit dix-neuf vingt"
)
_FRENCH_ORDINALS: Final = (
    "premier deuxième troisième quatrième cinquième sixième septième huitième neuvième dixième onzième "
    "douzième treizième quatorzième quinzième seizième dix-septième dix-huitième dix-neuvième vingtième"
)
_GERMAN: Final = (
    "eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn zwanzig"
)
_GERMAN_ORDINALS: Final = (
    "erstes zweites drittes viertes fünftes sechstes siebtes achtes neuntes zehntes elftes zwölftes "
    "dreizehntes vierzehntes fünfzehntes sechzehntes siebzehntes achtzehntes neunzehntes zwanzigstes"
)
_SPANISH: Final = (
    "uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte"
)
_ITALIAN: Final = (
    "uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici "
    "sedici diciassette diciotto diciannove venti"
)
_FOREIGN: Final = (
    _FRENCH,
    _FRENCH_ORDINALS,
    "première seconde",
    _GERMAN,
    _GERMAN_ORDINALS,
    _SPANISH,
    "primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo",
    _ITALIAN,
    "primo secondo terzo quarto quinto sesto settimo ottavo nono decimo",
)
_HUNDRED: Final = 100
_MOST_DIGITS: Final = 9  # longer ones number no chapter, and Python refuses to read the longest


def _word_values() -> dict[str, int]:
    values = {"hundred": _HUNDRED, "hundredth": _HUNDRED}
    for names in _FOREIGN:
        values |= {name: number for number, name in enumerate(names.split(), start=1)}
    for names in (_CARDINALS, _ORDINALS):
        values |= {name: number for number, name in enumerate(names.split())}
    for names in (_TENS, _TENTHS):
        values |= {name: 10 * number for number, name in enumerate(names.split(), start=2)}
    return values


_WORDS: Final = _word_values()
_CHINESE_DIGITS: Final = {digit: value for value, digit in enumerate("〇一二三四五六七八九")} | {
    "零": 0,
    "两": 2,
}
_CHINESE_UNITS: Final = {"十": 10, "百": 100, "千": 1000}
_ROMAN_VALUES: Final = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}

#: A roman numeral in its canonical form, capitals only.
ROMAN: Final = (
    r"(?=[MDCLXVI])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?![A-Za-z])"  # never empty
)


def _spelled(words: Collection[str]) -> str:
    word = "|".join(sorted(words, key=len, reverse=True))
    initials = "".join({initial for word in words for initial in word[0] + word[0].upper()})
    return rf"(?=[{initials}])(?i:(?:{word})\b(?:(?:[ \t]+and)?[- \t]+(?:{word})\b)*)"


#: A number written out in English, up to the hundreds.
ENGLISH: Final = _spelled(f"{_CARDINALS} {_ORDINALS} {_TENS} {_TENTHS} hundred hundredth".split())
#: Arabic, roman or spelled out, as it stands after a word like "Chapter".
NUMBER: Final = rf"(?:\d{{1,4}}(?!\d)|{_spelled(list(_WORDS))}|{ROMAN})"
#: Digits or Chinese numerals, as they stand in ``第N章``.
CHINESE: Final = rf"[\d{''.join(_CHINESE_DIGITS)}{''.join(_CHINESE_UNITS)}]{{1,9}}"

_ROMAN_ONLY: Final = re.compile(ROMAN)


def parse_number(text: str) -> int | None:
    """Read a number written in digits, roman numerals, words or Chinese numerals.

    Args:
        text: The number alone; case and the blanks around it do not matter.

    Returns:
        Its value, or ``None`` if this is no such number.

    Example:
        >>> [parse_number(text) for text in ("12", "xiv", "Twenty-One", "第", "二十三")]
        [12, 14, 21, None, 23]
    """
    text = text.strip()
    if text.isdecimal():
        return int(text) if len(text) <= _MOST_DIGITS else None
    spelled = _parse_words(text.casefold())  # before roman: dix is ten, not 509
    if spelled is not None:
        return spelled
    return _parse_roman(text.upper()) if _ROMAN_ONLY.fullmatch(text.upper()) else _parse_chinese(text)


def _parse_roman(text: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in text]
    following = [*values[1:], 0]
    return sum(-value if value < after else value for value, after in zip(values, following, strict=True))


def _parse_words(text: str) -> int | None:
    if text in _WORDS:
        return _WORDS[text]
    total = 0
    for word in re.split(r"[-\s]+", text):
        if word == "and" and total:
            continue
        if word not in _WORDS:
            return None
        value = _WORDS[word]
        total = total * value if value == _HUNDRED and total else total + value
    return total


def _parse_chinese(text: str) -> int | None:
    if not text or any(sign not in _CHINESE_DIGITS and sign not in _CHINESE_UNITS for sign in text):
        return None
    if not any(sign in _CHINESE_UNITS for sign in text):  # 二〇 is written digit by digit
        return int("".join(str(_CHINESE_DIGITS[sign]) for sign in text))
    total = digit = 0
    for sign in text:
        if sign in _CHINESE_UNITS:
            total += (digit or 1) * _CHINESE_UNITS[sign]
            digit = 0
        else:
            digit = _CHINESE_DIGITS[sign]
    return total + digit
