"""Which language a text is in: by its script, and among languages in Latin letters by their commonest words.

Good enough to see that data is mixed, no more: short texts and rare languages have no answer.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

LOOKED_AT = 2000
"""Characters of a text that are looked at."""

LEAST = 3
"""Common words that a text must hold before its language is said."""

LEAD = 3.0
"""How much more evidence there must be than for any other language."""

SCRIPTS = {
    "Cyrillic": "\u0400-\u052f",
    "Greek": "\u0370-\u03ff",
    "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff",
    "Devanagari": "\u0900-\u097f",
    "Thai": "\u0e00-\u0e7f",
    "Korean": "\uac00-\ud7af",
    "Japanese": "\u3040-\u30ff",
    "Chinese": "\u4e00-\u9fff",
}
"""Script or, where it has but one, language -> its letters; the first that a third of the letters belong to."""

WORDS = {
    "English": "the of and to in is that it was for on are with as his they be at this have from or had "
    "by but not what all were we when your can said there an which she do how their if will",
    "German": "der die das und ist nicht ein eine zu den von mit auf sich des dem im für auch es an "
    "werden aus er hat dass sie nach bei einer um am sind noch wie einem über so zum war "
    "haben nur oder",
    "French": "le la les de des et un une est que dans qui pour pas sur au avec il ce plus ne se sont "
    "du par en elle je nous vous mais cette aux ont été leur être deux",
    "Spanish": "el la los las de que en un una por con no para es se del al lo como más pero su sus este "
    "está le ha son muy también hay todo desde",
    "Italian": "il lo la gli le di che un una per non con del della sono si da nel alla più ma come "
    "anche dei questo ha ho delle loro molto",
    "Portuguese": "os as de que um uma não por com para em do da dos das se no na mais como mas foi ao ele "
    "seu sua você também são muito",
    "Dutch": "de het een en van in is dat op te niet zijn met voor die er aan ook als bij maar om uit "
    "naar heeft wordt door over werd hij zij",
    "Swedish": "och att det som en är av för på med den till inte har de ett om han men var sig från vi så kan när",
    "Danish": "og at det som en er af for på med den til ikke har de et om han men var sig fra vi så kan når jeg",
    "Polish": "na do nie to że się jest jak ale po co tak za od czy tym przez był dla jego są może",
    "Czech": "na se je že to do jako pro po ale by za jsem si tak jsou jeho který byl při nebo",
    "Turkish": "ve bir bu da de için ile çok daha ne gibi en kadar olarak var değil ama sonra ben",
    "Finnish": "ja on ei se että oli hän mutta ovat kun niin tai myös kuin joka sen minä mitä vain nyt",
    "Indonesian": "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga ke ada bisa saya karena",
}
"""Language -> words that texts in it are full of; those of one letter say too little."""

_WORD = re.compile(r"[^\W\d_]+")
_LETTER = re.compile(r"[^\W\d_]")


@cache
def _weights() -> dict[str, tuple[tuple[str, float], ...]]:
    """Word -> the languages that have it, each with what it says for them: less where several have it."""
    languages: dict[str, list[str]] = {}
    for language, words in WORDS.items():
        for word in words.split():
            languages.setdefault(word, []).append(language)
    return {word: tuple((language, 1 / len(known)) for language in known) for word, known in languages.items()}


@cache
def _scripts() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(f"[{letters}]") for name, letters in SCRIPTS.items()}


def language_of(text: str) -> str | None:
    """Return the language, or script, of a text; None where it cannot be told."""
    text = text[:LOOKED_AT]
    if not text.isascii():
        letters = len(_LETTER.findall(text))
        for name, pattern in _scripts().items():
            if letters and len(pattern.findall(text)) > letters / 3:
                return name
    votes: Counter[str] = Counter()
    weights = _weights()
    words = _WORD.findall(text.lower())
    known = [word for word in words if word in weights]
    for word in known:
        for language, weight in weights[word]:
            votes[language] += weight  # type: ignore[assignment]
    if len(set(known)) < LEAST or len(known) < len(words) / 6:
        return None
    (first, most), *rest = votes.most_common(2)
    return first if most >= LEAST - 1 and (not rest or most >= LEAD * rest[0][1]) else None
