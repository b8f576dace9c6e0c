"""scikit-learn: its multilayer perceptron, as it comes and larger, and a linear model.

Settings: "default" and "best" are the perceptron, "linear" is logistic regression by stochastic gradient descent.
All learn epoch by epoch (`partial_fit`), so that quality can be read against seconds.
"""

from __future__ import annotations

import numpy as np
import peer
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

SETTINGS = {
    "default": lambda seed: MLPClassifier(random_state=seed),
    "best": lambda seed: MLPClassifier(
        (512, 256), batch_size=250, learning_rate_init=5e-4, alpha=1e-3, random_state=seed
    ),
    "linear": lambda seed: SGDClassifier(
        "log_loss", alpha=1e-4, learning_rate="adaptive", eta0=1e-3, random_state=seed
    ),
}


def quality(data: peer.Data, *, setting: str, epochs: int, seed: int) -> None:
    model = SETTINGS[setting](seed)
    random, x_test = np.random.default_rng(seed), _flat(data.x_test)
    watch = peer.Watch()
    x_train = _flat(data.x_train)
    for epoch in range(1, epochs + 1):
        order = random.permutation(len(x_train))
        model.partial_fit(x_train[order], data.y_train[order], classes=np.unique(data.y_train))
        watch.score(epoch, lambda: model.score(x_test, data.y_test))


def _flat(pictures: np.ndarray) -> np.ndarray:
    return peer.scaled(pictures).reshape(len(pictures), -1)


if __name__ == "__main__":
    given = peer.arguments(*SETTINGS)
    quality(peer.read(given.data), setting=given.setting, epochs=given.epochs, seed=given.seed)
