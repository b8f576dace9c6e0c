"""Streams of written text: whole characters, and stop texts across token borders."""

import pytest
import torch

from engram.features._tokenizers import Bytes
from engram.predict.writing import Stream, drawn
from engram.tasks._tokens import Sampling


def streamed(text: bytes, *, stop: tuple[str, ...] = ()) -> tuple[list[str], Stream]:
    stream, pieces = Stream(Bytes(), (), stop), []
    for byte in text:
        pieces.append(stream.add(byte + 4))
        if stream.ended:
            break
    return [*pieces, stream.rest()], stream


def test_characters_of_several_bytes_come_whole() -> None:
    pieces, _ = streamed("aé🙂 שלום".encode())
    assert "".join(pieces) == "aé🙂 שלום"
    assert all("\ufffd" not in piece for piece in pieces)


def test_what_is_no_utf8_is_shown_as_broken_and_ends_nothing() -> None:
    assert "".join(streamed(b"a\xff\xfe\xfd\xfcb")[0]).startswith("a\ufffd")
    assert "".join(streamed(b"a\xff\xfe\xfd\xfcb")[0]).endswith("b")


STOPS = {("END",): "one EN two ", ("two", "EN "): "one ", ("xyz",): "one EN two END", (): "one EN two END"}


@pytest.mark.parametrize(("stop", "expected"), STOPS.items())
def test_it_stops_before_a_stop_text_and_holds_back_what_may_be_one(stop: tuple[str, ...], expected: str) -> None:
    pieces, stream = streamed(b"one EN two END", stop=stop)
    assert "".join(pieces) == expected
    assert stream.ended == ("stop" if expected != "one EN two END" else "")


def test_drawing() -> None:
    logits, chance = torch.tensor([9.0, 9, 0, 9, 3, 2, 1]), torch.Generator().manual_seed(0)
    many = [drawn(logits, Sampling(temperature=1.0), chance) for _ in range(300)]
    assert set(many) == {2, 4, 5, 6}, "of special ids, only the end is written"
    assert drawn(logits, Sampling(temperature=0), chance) == 4
    assert {drawn(logits, Sampling(temperature=5.0, top_k=2), chance) for _ in range(100)} == {4, 5}
    assert {drawn(logits, Sampling(temperature=1.0, top_p=0.5), chance) for _ in range(100)} == {4}
