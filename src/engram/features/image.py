"""Image: a picture, from any file or array to normalised tensors that a network sees, and back."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.errors import ConfigError, DataError, RunError
from engram.core.evidence import Evidence, Finding
from engram.core.parts import Parts
from engram.features import _circumstances, _likeness, _pixels, _quality, _sizes
from engram.features.feature import Alteration, Arrays, Entry, Feature, Misconfigured

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from torch import Tensor

    from engram.features._answer_view import AnswerView

SURVEYED = 200
"""How many values a survey opens, evenly spaced: enough to meet every camera, few enough to take no time."""

FIT_PIXELS = 20_000_000
"""Mean and spread are measured on at most this many pixels (and 10,000 pictures): more takes time and moves
them by less than a hundredth."""


class Image(Feature):
    """A picture.

    channels: 1 (grey) or 3 (RGB). store_size: the short side at which pixels are stored; None keeps them as they
    are. size: (height, width) of what the network sees; it may be set until the feature is saved.
    """

    version = 1
    on_disk = True
    thing = "picture"
    near_copies = "re-encoded, resized, mirrored"
    varying = {1: "height", 2: "width"}  # noqa: RUF012  (declared in the base class)

    def __init__(
        self, *, channels: int = 3, store_size: int | None = None, size: tuple[int, int] | None = None
    ) -> None:
        if channels not in (1, 3):
            raise ConfigError(f"expected channels 1 (grey) or 3 (colour); got {channels!r}")
        for side in [*([] if store_size is None else [store_size]), *(size or ())]:
            if not isinstance(side, int) or not 1 <= side <= 4096:
                raise ConfigError(f"expected sizes from 1 to 4096 pixels; got {side!r}")
        self.channels = channels
        self.store_size = store_size
        self.size = (int(size[0]), int(size[1])) if size is not None else None
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.grey_by_survey = False  # grey because all that were looked at are, not because somebody wants grey

    @classmethod
    def matches(cls, column: Any) -> Evidence:
        """Files with a picture's suffix, bytes that open as a picture, arrays of two or three dimensions."""
        values = [column.values[row] for row in _spread(len(column), 20)]
        number = sum(_is_picture(value, column.kind) for value in values)
        if not values or number < 0.5 * len(values):
            return Evidence(0.0, "its values are no pictures")
        return Evidence(min(0.95, number / len(values)), f"{number} of {len(values)} values looked at are pictures")

    @classmethod
    def survey(cls, column: Any, **wishes: Any) -> Image:
        """Look at the headers of some pictures and choose channels, stored size and seen size, unless wished for.

        DataError if none of those looked at can be opened.
        """
        opened, reasons = [], []
        for row in _spread(len(column), SURVEYED):
            try:
                with _pixels.open_picture(column.values[row]) as picture:
                    opened.append((*_pixels.oriented_size(picture), _pixels.is_grey(picture)))
            except DataError as error:
                reasons.append(f"{column.where(row)}: {error}")
        if not opened:
            first = f"; the first: {reasons[0]}" if reasons else ""
            raise DataError(
                f"expected pictures ({_pixels.KINDS}); none of {len(reasons)} looked at can be opened{first}. "
                "Check the path, or name the column that holds the pictures with --input."
            )
        sizes_N2 = np.array([found[:2] for found in opened])
        grey = all(found[2] for found in opened)
        chosen: dict[str, Any] = {"channels": 1 if grey else 3, "size": _sizes.seen_size(sizes_N2)}
        channels = wishes.get("channels", chosen["channels"])
        chosen["store_size"] = _sizes.stored_short_side(sizes_N2, number=len(column), channels=channels)
        feature = cls(**{**chosen, **wishes})
        feature.grey_by_survey = grey and "channels" not in wishes
        return feature

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of what the network sees."""
        assert self.size is not None, "the size is set by survey, by the caller, or by load_state"
        return (self.channels, *self.size)

    def config(self) -> dict[str, Any]:
        """Channels and stored size; the seen size is state, because no pixel on disk depends on it."""
        return {"channels": self.channels, "store_size": self.store_size}

    def store_keys(self) -> list[dict[str, Any]]:
        """Pictures that are all grey serve whoever wants grey; colours made grey serve nobody who may want colour."""
        keys = [{**self.config(), "all_grey": True}, {**self.config(), "all_grey": False}]
        return keys[:1] if self.grey_by_survey else keys[::-1]

    def store(self, value: Any) -> dict[str, np.ndarray]:
        """Return {"pixels": uint8 (h, w, channels), "size": int32 (2,), the original's height and width}."""
        picture = _pixels.open_picture(value)
        try:
            return self._store(picture)
        finally:
            if picture is not value:
                picture.close()

    def _store(self, picture: Picture) -> dict[str, np.ndarray]:
        if self.grey_by_survey and not _pixels.is_grey(picture):
            raise Misconfigured({**self.config(), "channels": 3, "size": self.size})
        size = np.array(_pixels.oriented_size(picture), dtype=np.int32)
        max_aspect = _sizes.MAX_ASPECT if self.store_size else _sizes.MAX_NATIVE_ASPECT
        pixels = _pixels.read(picture, channels=self.channels, short_side=self.store_size, max_aspect=max_aspect)
        return {"pixels": pixels, "size": size}

    def fit(self, stored: Any, rows: np.ndarray) -> None:
        """Measure mean and spread of each channel (0..1) on some training rows."""
        rows = np.asarray(rows)
        typical = stored.gather(rows[:1])["pixels"][0].size
        rows = rows[_spread(len(rows), max(min(10_000, FIT_PIXELS // typical), 1))]
        count, total, squares = 0, np.zeros(self.channels), np.zeros(self.channels)
        for start in range(0, len(rows), 256):
            for pixels in stored.gather(rows[start : start + 256])["pixels"]:
                flat = pixels.reshape(-1, self.channels).astype(np.float32)
                count += len(flat)
                total += flat.sum(0, dtype=np.float64)
                squares += np.square(flat).sum(0, dtype=np.float64)
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0))
        self.mean = (mean / 255).astype(np.float32)
        self.std = (np.where(std < 1, 255, std) / 255).astype(np.float32)  # one flat colour: nothing to divide by
        self.grey_by_survey = False  # from now on colours are made grey, as the network wants them
        if self.size is None:
            self.size = _sizes.seen_size(np.array([p.shape[:2] for p in stored.gather(rows[:SURVEYED])["pixels"]]))

    def encode(self, gathered: Arrays, views: Tensor | None = None) -> Tensor:
        """Return normalised float32 pictures (B, C, H, W), channels last in memory. B may be 0."""
        import torch

        assert self.mean is not None and self.std is not None, "fit or load_state comes before encode"
        pixels = gathered["pixels"]
        if len(pixels) == 0:
            return torch.empty(0, *self.shape)
        if views is None and isinstance(pixels, np.ndarray) and pixels.shape[1:3] == self.size:
            x_BCHW = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        else:
            from engram.features._sampling import look

            _, height, width = self.shape
            x_BCHW = look(pixels, views, (height, width))
        scale, shift = 1 / (255 * self.std), -self.mean / self.std
        x_BCHW = x_BCHW.contiguous(memory_format=torch.channels_last)
        x_BCHW *= torch.from_numpy(scale)[:, None, None]
        x_BCHW += torch.from_numpy(shift)[:, None, None]
        return x_BCHW

    def parts(self, gathered: Arrays) -> Parts:
        """Squares of the picture as the network sees it."""
        from engram.features._parts_of_pictures import parts_of

        x_1CHW = self.encode(gathered)
        return parts_of(x_1CHW, self.decode(x_1CHW)[0])

    def traits(self, stored: Any, rows: np.ndarray) -> dict[str, list[Any]]:
        """Brightness, contrast, sharpness, and the sizes of the originals where they differ."""
        sizes_N2 = np.asarray(stored.gather_one("size", rows))
        found = dict(zip(("brightness", "contrast", "sharpness"), _quality.of_rows(stored, rows), strict=True))
        if len(np.unique(sizes_N2, axis=0)) > 1:
            found |= {
                "height": sizes_N2[:, 0],
                "width": sizes_N2[:, 1],
                "width to height": sizes_N2[:, 1] / sizes_N2[:, 0],
            }
        return {name: values.tolist() for name, values in found.items()}

    def alterations(self) -> dict[str, Alteration]:
        """Noise, blur, light and compression."""
        from engram.features._altered_pictures import ALTERATIONS

        return ALTERATIONS

    def strange(self, values: Sequence[Any], random: np.random.Generator) -> dict[str, list[Any]]:
        """Noise, and shuffled pixels."""
        from engram.features._altered_pictures import strange

        return dict(strange(values, random))

    def given(self, gathered: Arrays) -> Tensor:
        """Return pixels as they are stored, uint8 (B, h, w, C), of pictures of one size."""
        import torch

        return torch.from_numpy(np.stack(list(gathered["pixels"])))

    def graph(self) -> AnswerView:
        """Return what `encode` does to pixels without views."""
        import torch

        from engram.features._answer_view import AnswerView

        assert self.mean is not None and self.std is not None
        arguments: dict[str, Any] = {"size": list(self.shape[1:]), "channels": self.channels}
        view = AnswerView(**arguments)
        view.mean.copy_(torch.from_numpy(self.mean))
        view.std.copy_(torch.from_numpy(self.std))
        view.record = {"arguments": arguments}
        return view

    def before(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What decoding is to do."""
        said = {
            "pixels": "8 bits, upright, transparency laid on white, " + ("grey" if self.channels == 1 else "RGB"),
            "largest_short_side": self.store_size,
            "longest_side_in_short_sides": _sizes.MAX_ASPECT if self.store_size else _sizes.MAX_NATIVE_ASPECT,
        }
        return said, {}

    def entry(self) -> Entry:
        """A file's bytes, base64 in JSON, or rows of numbers; small grey ones can be drawn, on a ground like theirs."""
        assert self.mean is not None, "fit or load_state comes before entry"
        channels, height, width = self.shape
        ground = "dark" if float(self.mean.mean()) < 0.5 else "light"
        flat = b64encode(
            _pixels.as_png(np.full((height, width), round(255 * float(self.mean.mean())), np.uint8))
        ).decode()
        return Entry(
            kind="picture",
            unit="pixels",
            schema={
                "description": f"A picture ({_pixels.KINDS}) in base64, or its pixels as rows of numbers (0 to 255).",
                "anyOf": [{"type": "string", "contentEncoding": "base64"}, {"type": "array", "items": {}}],
            },
            example=flat,
            details={"channels": channels, "height": height, "width": width, "ground": ground},
        )

    def received(self, value: Any, *, most: int) -> Any:
        """Take a file's bytes, base64 (a data URI too) or nested lists of numbers; the header tells the pixels."""
        if isinstance(value, str):
            try:
                value = b64decode(value.rpartition("base64,")[2], validate=True)
            except ValueError:
                raise DataError("expected a picture in base64; the text is none") from None
        elif isinstance(value, list):
            value = _pixels.as_array(value)
        elif not isinstance(value, bytes):
            raise DataError(f"expected a picture in base64 or rows of numbers; got {type(value).__name__}")
        if (number := _pixels.num_pixels(value)) > most:
            raise DataError(f"expected at most {most:,} pixels; the picture has {number:,}")
        return value

    def decode(self, encoded: Tensor) -> list[np.ndarray]:
        """Return uint8 pictures (H, W, C) that a person can look at."""
        assert self.mean is not None and self.std is not None
        x_BHWC = encoded.detach().float().cpu().permute(0, 2, 3, 1).numpy() * self.std + self.mean
        return list(np.rint(x_BHWC * 255).clip(0, 255).astype(np.uint8))

    def check(self, stored: Any, rows: np.ndarray) -> list[Finding]:
        """Blank, blurred and extreme pictures."""
        return list(_quality.check(stored, rows))

    def signatures(self, stored: Any, rows: np.ndarray) -> np.ndarray:
        """The lowest frequencies of each picture, as it is and mirrored."""
        return _likeness.signatures(stored.gather_one("pixels", rows))

    def same(self, stored: Any, rows: np.ndarray, others: np.ndarray, ways: np.ndarray) -> np.ndarray:
        """Compare pairs of pictures pixel by pixel, the second mirrored where its way is 1."""
        return _likeness.copies(stored.gather_one("pixels", rows), stored.gather_one("pixels", others), ways)

    def circumstances(self, column: Any, stored: Any, rows: np.ndarray) -> dict[str, list[Any]]:
        """Format, colours, compression, camera, software, size and frame."""
        values = [column.values[row] for row in rows.tolist()]
        sizes_N2 = np.asarray(stored.gather_one("size", rows))
        return _circumstances.circumstances(values, sizes_N2, stored.gather_one("pixels", rows))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The seen size, and mean and spread per channel."""
        assert self.mean is not None and self.std is not None
        return {"size": list(self.shape[1:])}, {"mean": self.mean, "std": self.std}

    def load_state(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take back the seen size, mean and spread; RunError if they do not fit."""
        size, mean, std = values.get("size"), arrays.get("mean"), arrays.get("std")
        if not (isinstance(size, list) and len(size) == 2 and all(type(s) is int and 1 <= s <= 4096 for s in size)):
            raise RunError(f"the saved size of pictures is damaged: expected two numbers, got {size!r}")
        for array in (mean, std):
            if array is None or array.shape != (self.channels,) or not np.isfinite(array).all():
                raise RunError("the saved mean and spread of pictures are damaged. Resume or repeat the training.")
        assert mean is not None and std is not None
        if not (std > 0).all():
            raise RunError("the saved spread of pictures is not above zero. Resume or repeat the training.")
        self.size = (size[0], size[1])
        self.mean, self.std = mean.astype(np.float32), std.astype(np.float32)
        self.grey_by_survey = False


def _spread(number: int, most: int) -> np.ndarray:
    """At most `most` evenly spaced positions of `number`."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).astype(np.int64)) if number else np.arange(0)


def _is_picture(value: Any, kind: str) -> bool:
    if kind in ("path", "text") and isinstance(value, str | os.PathLike):
        return Path(value).suffix.lower() in _pixels.SUFFIXES
    if kind == "bytes":
        try:
            _pixels.open_picture(value).close()
        except DataError:
            return False
        return True
    shape = tuple(getattr(value, "shape", ()))
    return hasattr(value, "getexif") or len(shape) == 2 or (len(shape) == 3 and bool({shape[0], shape[-1]} & {1, 3, 4}))
