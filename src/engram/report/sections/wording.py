"""The words that speak for each class, as the linear floor has learned them."""

from __future__ import annotations

from collections import Counter

from engram.core.claim import log_odds
from engram.core.spelling import word_spans
from engram.predict.answering import answer
from engram.predict.opening import floors_of
from engram.report import words
from engram.report.facts import Facts
from engram.report.page import Section, Table, Text

LEAST_TIMES = 3
MOST_ASKED = 4000
SHOWN = 12
MOST_CLASSES = 40


def section(facts: Facts) -> Section | None:
    """A row of words for each class; nothing where examples are no texts, or no floor knows words."""
    predictor = facts.predictor
    if predictor is None or facts.kept is None or facts.kept.texts is None or not facts.names:
        return None
    name = next((floor.name for floor in facts.task.floors if floor.deliverable), None)
    if name is None:
        return None
    counted = Counter(word for text in facts.kept.texts for word in _words(text))
    asked = [word for word, times in counted.most_common(MOST_ASKED) if times >= LEAST_TIMES]
    if not asked:
        return None
    floor = floors_of(facts.run, facts.task, predictor.features)[name]
    role = next(iter(facts.task.inputs))
    batch = predictor.encode([{role: word} for word in asked])
    logits_WC, _ = answer(facts.task, floor, batch)
    odds_WC = logits_WC if facts.task.answers.calibration == "sigmoid" else log_odds(logits_WC)
    odds_WC = odds_WC - odds_WC.mean(0)
    rows = []
    for number, label in enumerate(facts.names[:MOST_CLASSES]):
        best = odds_WC[:, number].topk(min(SHOWN, len(asked))).indices.tolist()
        rows.append((label, ", ".join(asked[at] for at in best if odds_WC[at, number] > 0)))
    found = Section("words", "Words that speak for each class")
    found.blocks += [
        Text(
            "Beside the network, a linear model weighs words, pairs of words and pieces of words. These words, of "
            f"those that stand in {LEAST_TIMES} or more of the texts kept, speak for each class most when they stand "
            "alone, the strongest first. A word that has nothing to do with the matter (a name, a source) shows what "
            "else tells the classes apart in this data.",
            "lead",
        ),
        Table(("class", "words"), rows, f"From {words.count(len(facts.kept))} texts."),
    ]
    return found


def _words(text: str) -> set[str]:
    return {word for a, b in word_spans(text) if (word := text[a:b].casefold()).isalpha()}
