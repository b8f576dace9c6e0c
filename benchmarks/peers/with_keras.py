"""Keras on TensorFlow, JAX or PyTorch, as KERAS_BACKEND says.

Settings: "default", the simple convolutional network of Keras's own first example (keras.io, "Simple MNIST convnet"),
with its numbers; "best", the network of the throughput measurement, with everything that was found to help: data
changed in NumPy (faster than layers for it), label smoothing, AdamW on a cosine, and the backend's best precision,
layout and compilation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import peer
from keras import layers

BATCH, PEAK = 250, 0.004


@dataclass(frozen=True)
class Setting:
    """compiled: `jit_compile`; "auto" is Keras's default."""

    precision: str = "float32"
    layout: str = "channels_last"
    compiled: bool | str = "auto"

    @property
    def axis(self) -> int:
        """Where the channels are."""
        return 1 if self.layout == "channels_first" else -1


BEST = {
    "tensorflow": Setting(precision="mixed_bfloat16", compiled=False),
    "torch": Setting(precision="mixed_bfloat16"),
    "jax": Setting(),
}
"""Backend -> what was fastest on two cores with AMX (LOG.md, 2026-11-25)."""


def small_network(setting: Setting, widths: tuple[int, ...] = (32, 96, 128)) -> keras.Model:
    """The network of the throughput measurement, as in plain_torch.py."""
    x = inputs = keras.Input((1, 28, 28) if setting.axis == 1 else (28, 28, 1))
    for width in widths:
        for position in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            if position == 0:
                x = layers.MaxPooling2D(2)(x)
            x = layers.ReLU()(layers.BatchNormalization(axis=setting.axis)(x))
    return keras.Model(inputs, layers.Dense(10, dtype="float32")(layers.GlobalMaxPooling2D()(x)))


def first_example() -> keras.Model:
    """The network of Keras's first example."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


class Changed(keras.utils.PyDataset):
    """Batches of changed pictures, and labels as rows of ones and zeros."""

    def __init__(self, data: peer.Data, axis: int, seed: int, *, mirror: bool) -> None:
        super().__init__()
        self.data, self.axis, self.mirror = data, axis, mirror
        self.random = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.data.x_train) // BATCH

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = peer.batch(self.data, self.order[index * BATCH :][:BATCH], self.random, mirror=self.mirror)
        return np.expand_dims(x, self.axis), np.eye(10, dtype=np.float32)[y]

    def on_epoch_end(self) -> None:
        self.order = self.random.permutation(len(self.data.x_train))


class Score(keras.callbacks.Callback):
    """Scores the test rows after every epoch, while the clock stands still."""

    def __init__(self, pictures: np.ndarray, labels: np.ndarray) -> None:
        super().__init__()
        self.pictures, self.labels, self.watch = pictures, labels, peer.Watch()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.watch.score(epoch + 1, self.accuracy)

    def accuracy(self) -> float:
        output = self.model.predict(self.pictures, batch_size=500, verbose=0)
        return float(np.mean(output.argmax(1) == self.labels))


class Rounds(keras.callbacks.Callback):
    """Takes the time of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self.began)


def default_quality(data: peer.Data, *, epochs: int) -> None:
    x_train, x_test = (x[..., None].astype("float32") / 255 for x in (data.x_train, data.x_test))
    y_train = keras.utils.to_categorical(data.y_train, 10)
    model = first_example()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=128, epochs=epochs, verbose=0, callbacks=[Score(x_test, data.y_test)])


def best_quality(data: peer.Data, setting: Setting, *, epochs: int, seed: int, mirror: bool) -> None:
    batches, model = Changed(data, setting.axis, seed, mirror=mirror), small_network(setting)
    steps = epochs * len(batches)
    rising = steps // 4
    schedule = keras.optimizers.schedules.CosineDecay(
        PEAK / 25, steps - rising, warmup_target=PEAK, warmup_steps=rising
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=0.02),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        jit_compile=setting.compiled,
    )
    score = Score(np.expand_dims(peer.scaled(data.x_test), setting.axis), data.y_test)
    model.fit(batches, epochs=epochs, verbose=0, callbacks=[score])


def throughput(data: peer.Data, setting: Setting) -> None:
    rows = slice(peer.BATCH * peer.STEPS)
    x = np.expand_dims(peer.scaled(data.x_train[rows]), setting.axis)
    model, rounds = small_network(setting), Rounds()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(), loss, jit_compile=setting.compiled)
    model.fit(x, data.y_train[rows], batch_size=peer.BATCH, epochs=peer.ROUNDS, verbose=0, callbacks=[rounds])
    peer.print_throughput(rounds.seconds)


def main() -> None:
    given = peer.arguments("default", "best")
    setting = BEST[keras.backend.backend()] if given.setting == "best" else Setting()
    keras.utils.set_random_seed(given.seed)
    keras.config.set_image_data_format(setting.layout)
    keras.mixed_precision.set_global_policy(setting.precision)
    data = peer.read(given.data)
    if given.measure == "throughput":
        throughput(data, setting)
    elif given.setting == "default":
        default_quality(data, epochs=given.epochs)
    else:
        best_quality(data, setting, epochs=given.epochs, seed=given.seed, mirror=given.mirror)


if __name__ == "__main__":
    main()
