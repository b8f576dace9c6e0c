"""How a picture came to be, which should not tell what it shows: format, colours, size, camera, frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from engram.core.errors import DataError
from engram.features import _pixels

FRAME_LEVELS = 8
"""Grey levels by which the outermost pixels may differ and still be a frame: JPEG leaves traces in it."""

FEW_SIZES = 12
"""Of more different sizes, height and width are judged by themselves too."""

_MAKE, _MODEL, _SOFTWARE = 0x010F, 0x0110, 0x0131


def circumstances(values: list[Any], sizes_N2: np.ndarray, pixels: Any) -> dict[str, list[Any]]:
    """Facts of some readable pictures: raw values, (height, width) of the originals, pixels as stored."""
    files = [_of_file(value) for value in values]
    facts: dict[str, list[Any]] = {name: [file[name] for file in files] for name in files[0]} if files else {}
    facts["size"] = [f"{width} x {height}" for height, width in sizes_N2.tolist()]
    if len(set(facts["size"])) > FEW_SIZES:
        facts["height"], facts["width"] = sizes_N2.T.astype(float).tolist()
    facts["frame"] = [_frame(picture) for picture in pixels]
    return facts


def _of_file(value: Any) -> dict[str, Any]:
    """What the file says of itself before it is decoded; of what is no file, nothing."""
    facts = {"format": "", "colours": "", "compression": "", "camera": "", "software": ""}
    try:
        picture = _pixels.open_picture(value)
    except DataError:  # it could be read a moment ago; that it has gone is found when it is missed
        return facts
    tags = _tags(picture)
    facts["format"] = picture.format or ""
    facts["colours"] = picture.mode
    facts["compression"] = str([sum(table) for table in getattr(picture, "quantization", {}).values()] or "")
    facts["camera"] = " ".join(str(tags[tag]).strip("\0 ") for tag in (_MAKE, _MODEL) if tag in tags)
    facts["software"] = str(tags.get(_SOFTWARE, picture.info.get("Software", ""))).strip("\0 ")
    if picture is not value:
        picture.close()
    return facts


def _tags(picture: Any) -> dict[int, Any]:
    try:
        return dict(picture.getexif())
    except Exception:  # damaged EXIF is no reason to lose a readable picture
        return {}


def _frame(pixels: np.ndarray) -> str:
    """The colour of a frame, as coarse as a person tells colours; "none" where the outermost pixels differ."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]]).astype(np.int16)
    if (np.ptp(edge, axis=0) > FRAME_LEVELS).any():
        return "none"
    return " ".join(str(int(level) // 64 * 64) for level in np.median(edge, axis=0))
