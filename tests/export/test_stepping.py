"""The graph of one step of generation goes on from keys and values that it was handed."""

import numpy as np
import pytest
import torch
import writing_run

import engram
from engram.core.vocabulary import BEGIN
from engram.export import proof, stepping
from engram.predict.generating import continued, ids_of, sampling_of

CONTEXT = 64


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return engram.load(writing_run.make(tmp_path_factory.mktemp("runs") / "plays", converses=False, context=CONTEXT))


def test_a_network_reads_in_steps_what_it_reads_at_once(predictor):
    text = torch.tensor([ids_of(predictor, "a dog sees"), ids_of(predictor, "no man wan")])
    with torch.inference_mode():
        whole = predictor.network(text)
        past, found = torch.zeros(1, 2, 2, 2, 0, 16), []
        for part in text.split([4, 1, 1, 5], 1):
            logits, past = predictor.network.step(part, past)
            found.append(logits)
    torch.testing.assert_close(torch.cat(found, 1), whole)
    assert past.shape == (1, 2, 2, 2, 11, 16)


@pytest.mark.slow
def test_its_graph_writes_as_the_run_does_without_torch(predictor, tmp_path):
    path = tmp_path / "model.step.onnx"
    stepping.write(predictor, path)
    texts = writing_run.TEXTS[:3]
    rows = proof.Rows([predictor.stored(text) for text in texts], [None] * 3, [None] * 3, texts, "texts")
    assert stepping.prove(predictor, path, rows) < 1e-4
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ids, past = ids_of(predictor, "a dog"), np.zeros((1, 2, 1, 2, 0, 16), np.float32)
    assert ids[0] == BEGIN
    written, fresh = [], ids
    most = predictor.by_role.text.tokenizer.size
    for _ in range(30):
        output, past = session.run(None, {"text": np.array([fresh]), "past": past})
        fresh = [int(output[0, -1, 4:most].argmax()) + 4]
        written += fresh
    sampling = sampling_of(predictor, {"temperature": 0, "max_tokens": 30})
    expected = str(continued(predictor, "a dog", sampling))
    known = predictor.by_role.text.tokenizer.decode(ids)
    assert predictor.by_role.text.tokenizer.decode([*ids, *written])[len(known) :] == expected
