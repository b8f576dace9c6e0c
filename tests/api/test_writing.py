"""Generate and chat, in Python and typed: prompts and talks of every length, options that cannot be, Ctrl-C."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import engram
from engram import api
from engram.cli import verbs
from engram.cli.writing import chat
from engram.core.errors import ConfigError
from engram.core.events import listening
from engram.tasks.conversation import Conversation
from engram.tasks.language_modelling import LanguageModelling

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("writing")
    (folder / "text.txt").write_text("\n".join(LanguageModelling.sample().data["text"]))  # of which the end is rare
    engram.train(folder / "text.txt", steps=8, out=folder / "texts", device="cpu")
    return folder / "texts"


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("writing") / "talks"
    engram.train(Conversation.sample().data, steps=8, out=out, device="cpu")
    return out


def told(call: Any) -> tuple[Any, str]:
    """What a call gives, and what it says on the way."""
    said: list[str] = []
    with listening(lambda event: said.append(str(event.get("message", "")))):
        result = call()
    return result, " ".join(said)


def test_the_same_seed_writes_the_same_and_options_have_their_effect(texts: Path) -> None:
    write = [str(engram.generate(texts, "the cat", seed=3, max_tokens=80)) for _ in range(2)]
    assert write[0] == write[1]
    writing = engram.generate(texts, "the cat", temperature=0, stop=" ")
    assert " " not in str(writing) and writing.ended == "stop"
    writing = engram.generate(texts, max_tokens=3)
    assert len(str(writing)) <= 3 and writing.tokens <= 3
    for wrong in ({"temperature": -1}, {"top_p": 0}, {"top_k": -1}, {"max_tokens": 0}, {"heat": 1}):
        with pytest.raises(ConfigError):
            engram.generate(texts, "the cat", **wrong)


def test_strange_and_long_prompts_are_told(texts: Path) -> None:
    _, said = told(lambda: str(engram.generate(texts, "the 狗 cat", max_tokens=4)))
    assert "'狗'" in said
    _, said = told(lambda: str(engram.generate(texts, "the cat sees " * 60, max_tokens=4)))
    assert "780 tokens" in said and "its last 128" in said


def test_what_does_not_write_or_converse_says_what_does(texts: Path, talks: Path) -> None:
    with pytest.raises(ConfigError, match="engram generate"):
        engram.chat(texts)
    assert isinstance(str(engram.generate(talks, "how are you", max_tokens=5)), str)


def test_a_talk_that_outgrows_the_context_forgets_its_beginning_and_says_so(talks: Path, tmp_path: Path) -> None:
    talk = engram.chat(talks, max_tokens=30, seed=0)
    _, said = told(lambda: [talk.say("where is it, and how are you? " * 3) for _ in range(5)])
    assert len(talk.history) == 10 and talk.forgotten > 0
    assert f"its first {talk.forgotten} turns are left out" in said
    talk.save(str(tmp_path / "talk.jsonl"))
    assert len(json.loads((tmp_path / "talk.jsonl").read_text())["messages"]) == 10
    with pytest.raises(ConfigError, match="exists"):
        talk.save(str(tmp_path / "talk.jsonl"))
    talk.reset()
    assert talk.history == [] and talk.forgotten == 0


def test_an_answer_that_is_broken_off_is_history(talks: Path) -> None:
    talk = engram.chat(talks, temperature=5.0, seed=1)
    pieces = talk.stream("how are you")
    said = next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert talk.history == [("user", "how are you"), ("assistant", said)]


class Interrupting:
    """A talk in which somebody presses Ctrl-C, or sends another signal, in the middle of the first answer."""

    def __init__(self, number: int) -> None:
        self.number, self.said = number, []

    def stream(self, text: str) -> Any:
        self.said.append(text)
        yield "One "
        if len(self.said) == 1:
            verbs.end_at_once(self.number, None)
        yield "two."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_an_answer_and_other_signals_the_talk(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Interrupting(number)
    monkeypatch.setattr(api, "chat", lambda run, **options: talk)
    try:
        result = CliRunner().invoke(chat, ["run"], input="first\nsecond\n")
        assert result.output.startswith("One \nOne two.\n" if number == signal.SIGINT else "One \n")
        assert (result.exit_code == 0) == (number == signal.SIGINT)
        assert talk.said == (["first", "second"] if number == signal.SIGINT else ["first"])
        assert verbs.asked == ([] if number == signal.SIGINT else [number]), "by which the exit code is told"
    finally:
        verbs.asked.clear()


def test_ctrl_c_ends_writing_with_a_whole_line(texts: Path) -> None:
    command = [sys.executable, "-m", "engram", "generate", str(texts), "--max-tokens", "10000000"]
    heard = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # where a shell ignores it
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heard)
    assert process.stdout is not None
    try:
        first = process.stdout.read(20)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and (first + rest).endswith(b"\n"), errors
    assert b"Traceback" not in errors
