"""Texts of every kind that a model meets."""

from __future__ import annotations

SENTENCES = [
    "Nan lit the lamp at the top of Gannet Rock.",
    "",
    "A storm came up from the west that night, and no ship could see the harbour.",
    "lamp",
    "日本語の文章も埋め込める。",
    "😀 emoji 🏮 and a family 👨‍👩‍👧‍👦",
    "naïve café, Ångström, e\u0301 against é",
    "null\x00byte and\ttab\nand line",
    "THE KEEPER ANSWERED: no.",
    "word " * 100,
]
