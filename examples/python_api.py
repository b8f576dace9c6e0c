"""The verbs as functions: train on arrays, look at the scores, ask for answers.

python examples/python_api.py
"""

from __future__ import annotations

import numpy as np

import engram
from engram import demo


def main() -> None:
    """Train for half a minute on the bundled pictures, handed over as arrays."""
    with np.load(demo.path()) as arrays:
        train = arrays["train_images"], arrays["train_labels"]
        test = arrays["test_images"], arrays["test_labels"]

    trained = engram.train({"train": train, "test": test}, budget="30s")
    print("saved in", trained.run)
    print("scores  ", trained.metrics)

    predictor = engram.load(trained.run)
    for answer in predictor.predict(test[0][:3]):
        print(answer)


if __name__ == "__main__":
    main()
