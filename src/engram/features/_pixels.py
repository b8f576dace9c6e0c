"""From whatever holds a picture (path, bytes, PIL picture, array, tensor) to 8-bit pixels (h, w, c).

Rules that are choices: transparency is laid on white; the first frame of a GIF, TIFF or MPO is the picture;
EXIF orientation is applied; deep pixels are brought to 8 bits as `to_8_bits` says. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import (  # noqa: F401  (importing a plugin is what registers its format)
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from engram.core.errors import ConfigError, DataError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""What Pillow may open. Named, so that formats which call other programs (EPS) are never tried."""

_PHOTO_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
SUFFIXES = frozenset(_PHOTO_SUFFIXES | {".pgm", ".ppm", ".pbm", ".pnm", ".dcm", ".dicom"})

KINDS = "JPEG, PNG, WebP, BMP, TIFF, GIF, PGM/PPM or DICOM"

MAX_PIXELS = 178_956_970
"""More pixels than this are refused: a small file can unpack to more memory than there is. Pillow's own limit."""

MAX_BYTES = 168 << 20
"""Nor are pictures whose pixels take more than this, or twice as much where they are made smaller at once: together
with what turning them takes, reading stays within 512 MiB. JPEG files count as large as their decoder scales them."""

LARGE_BYTES = 16 << 20
"""Pictures that take more than this are decoded one at a time, however many threads read."""

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the limits here are stricter

_large = threading.Lock()

_GREY = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_DEEP = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_ROTATED = frozenset({5, 6, 7, 8})
_ORIENTATION = 0x0112


def open_picture(value: Any) -> Image.Image:
    """Open a raw value as a PIL picture without decoding it yet (arrays are there already).

    DataError says why a value is not a picture.
    """
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, str | os.PathLike):
        return _open_file(os.fspath(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return _open_bytes(bytes(value))
    return from_array(as_array(value), channels_first=not isinstance(value, np.ndarray))


def _open_file(path: str) -> Image.Image:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  (Path costs more than the call)
            what = "a folder" if os.path.isdir(path) else "a pipe or device"  # noqa: PTH112
            raise DataError(f"expected a regular file with a picture; this is {what}")
        if path.lower().endswith((".dcm", ".dicom")):
            return _read_dicom(Path(path).read_bytes())
        return _open(path)
    except Image.UnidentifiedImageError:
        return _open_bytes(Path(path).read_bytes())  # it says what is wrong, or finds a DICOM without its suffix
    except FileNotFoundError:
        raise DataError("there is no such file") from None
    except PermissionError:
        raise DataError("the file may not be read (permission denied)") from None


def _open_bytes(content: bytes) -> Image.Image:
    if not content:
        raise DataError("the file is empty (0 bytes)")
    if content[128:132] == b"DICM":
        return _read_dicom(content)
    try:
        return _open(io.BytesIO(content))
    except Image.UnidentifiedImageError:
        raise DataError(f"expected a {KINDS} picture; the content is {_looks_like(content)}") from None


def _open(source: Any) -> Image.Image:
    try:
        return Image.open(source, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise DataError(f"too large to be opened safely: {error}") from None
    except (FileNotFoundError, PermissionError, IsADirectoryError, Image.UnidentifiedImageError):
        raise
    except Exception as error:  # a damaged header makes Pillow raise nearly anything
        raise DataError(f"the picture is damaged ({error})") from None


def _looks_like(content: bytes) -> str:
    for magic, name in ((b"%PDF", "a PDF"), (b"PK\x03\x04", "a zip archive"), (b"ftyp", "an MP4, HEIC or AVIF file")):
        if magic in content[:12]:
            return name
    head = content[:200]
    return "text" if all(byte >= 32 or byte in b"\t\r\n" for byte in head) else "of no kind known here, or damaged"


def _read_dicom(content: bytes) -> Image.Image:
    """Read the first frame of a DICOM file, with its own value and window transforms."""
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut, apply_voi_lut
    except ImportError:
        raise ConfigError("DICOM pictures need one more package. Install it with: pip install engram[dicom]") from None
    try:
        dataset = pydicom.dcmread(io.BytesIO(content), force=True)
        pixels = dataset.pixel_array
        if int(getattr(dataset, "NumberOfFrames", 1) or 1) > 1:
            pixels = pixels[0]
        if pixels.ndim == 2:
            pixels = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset).astype(np.float64)
            pixels = _stretched(pixels)
            if getattr(dataset, "PhotometricInterpretation", "") == "MONOCHROME1":  # there low values are bright
                pixels = 255 - pixels
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise DataError(f"the DICOM file cannot be read ({error})") from None
    return from_array(pixels)


def as_array(value: Any) -> np.ndarray:
    """Return a numpy array of anything that is one (array, torch tensor, nested list)."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float().numpy() if value.dtype.is_floating_point else value.numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"expected a picture; got {type(value).__name__} ({error})") from None
    if array.dtype.kind not in "buif":
        raise DataError(
            f"expected a picture (path, bytes, PIL picture or array of numbers); got {type(value).__name__}"
        )
    return array


def from_array(array: np.ndarray, *, channels_first: bool = False) -> Image.Image:
    """Turn an array (h, w), (h, w, c) or (c, h, w) into a PIL picture. DataError for other shapes.

    Where both readings are possible, arrays are read as (h, w, c) and tensors as (c, h, w).
    """
    if array.size == 0 or array.ndim not in (2, 3):
        raise DataError(f"expected a picture of shape (h, w), (h, w, c) or (c, h, w); got shape {array.shape}")
    if array.ndim == 3:
        first, last = array.shape[0] in (1, 3, 4), array.shape[2] in (1, 3, 4)
        if not first and not last:
            raise DataError(f"expected 1, 3 or 4 channels, first or last; got shape {array.shape}")
        array = array.transpose(1, 2, 0) if first and (channels_first or not last) else array
        array = array[:, :, 0] if array.shape[2] == 1 else array
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise DataError(f"too large: {array.shape[0]} x {array.shape[1]} pixels, at most {MAX_PIXELS} are taken")
    return Image.fromarray(np.ascontiguousarray(to_8_bits(array)))


def to_8_bits(array: np.ndarray) -> np.ndarray:
    """Bring pixel values to 0..255, by a rule that looks at one picture alone.

    bool: 0 and 255. Integers: as they are where all fit 8 bits, else divided so that 12 bits (up to 4095) or
    16 bits (up to 65535) become 8. Floats: times 255 where all lie in 0..1, as they are where all lie in 0..255.
    Everything else (negative, larger): the picture's least value becomes 0 and its greatest 255.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError("the pixel values hold NaN or infinity")
    full = _full_scale(float(low), float(high), integer=array.dtype.kind in "iu")
    if full is None:
        return _stretched(array)
    return np.rint(array.astype(np.float32) * np.float32(255 / full)).astype(np.uint8)


def _full_scale(low: float, high: float, *, integer: bool) -> float | None:
    scales = (255, 4095, 65535) if integer else (1, 255)
    return next((float(scale) for scale in scales if low >= 0 and high <= scale), None)


def _stretched(array: np.ndarray) -> np.ndarray:
    values = array.astype(np.float64)
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError("the pixel values hold NaN or infinity")
    return np.rint((values - low) * (255 / (high - low or 1))).astype(np.uint8)


def num_pixels(value: Any) -> int:
    """How many pixels a file's bytes or an array hold, without decoding any. DataError for what is no picture."""
    if isinstance(value, bytes) and value[128:132] == b"DICM":
        try:
            import pydicom

            header = pydicom.dcmread(io.BytesIO(value), stop_before_pixels=True)
            return int(header.Rows) * int(header.Columns) * int(getattr(header, "NumberOfFrames", 1) or 1)
        except Exception as error:  # pydicom raises nearly anything on damaged files
            raise DataError(f"the DICOM file cannot be read ({error})") from None
    with open_picture(value) as picture:
        return picture.size[0] * picture.size[1]


def as_png(pixels: np.ndarray) -> bytes:
    """Write 8-bit pixels (h, w) or (h, w, 3) as a PNG file."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def is_grey(picture: Image.Image) -> bool:
    """Whether a picture has no colour, judged by its mode (and its palette), not by its pixels."""
    if picture.mode in ("P", "PA"):
        palette = np.array(picture.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return picture.mode in _GREY


def oriented_size(picture: Image.Image) -> tuple[int, int]:
    """(height, width) as a viewer shows it, EXIF orientation applied."""
    width, height = picture.size
    return (width, height) if _orientation(picture) in _ROTATED else (height, width)


def _orientation(picture: Image.Image) -> int:
    # Reading EXIF is slow; a PNG says early whether there is any.
    if picture.format in ("JPEG", "MPO", "TIFF", "WEBP") or "exif" in picture.info:
        try:
            return int(picture.getexif().get(_ORIENTATION, 1))
        except Exception:  # damaged EXIF is no reason to lose a readable picture
            return 1
    return 1


def read(picture: Image.Image, *, channels: int, short_side: int | None, max_aspect: float) -> np.ndarray:
    """Decode, turn upright, bring to `channels` (1 or 3), make smaller. Returns uint8 (h, w, channels).

    short_side: pictures whose short side is longer are scaled down to it (never up). max_aspect: what is longer
    than that many short sides is cut at both ends. DataError where pixels are missing, or take too much memory.
    """
    mode = "L" if channels == 1 else "RGB"
    if short_side is not None and picture.format in ("JPEG", "MPO"):
        scale = short_side / min(picture.size)
        if scale < 1:  # the decoder itself can halve, quarter, ... at a fraction of the cost
            picture.draft(mode, (int(picture.size[0] * scale) + 1, int(picture.size[1] * scale) + 1))
    needed = _bytes(picture, mode)
    most = MAX_BYTES if short_side is None else 2 * MAX_BYTES
    if needed > most:
        width, height = picture.size
        raise DataError(
            f"too large to be opened safely: {width} x {height} pixels take {needed >> 20} MiB, at most "
            f"{most >> 20} are taken; make it smaller, or save it as JPEG"
        )
    with _large if needed > LARGE_BYTES else contextlib.nullcontext():
        return _decoded(picture, mode, short_side, max_aspect)


def _bytes(picture: Image.Image, mode: str) -> int:
    """Memory that the pixels take on their way, about."""
    own = 1 if picture.mode in ("1", "L", "P") else 2 if picture.mode.startswith("I;16") else 4
    if picture.mode in ("F", *_TRANSPARENT) or "transparency" in picture.info:
        own = 8  # there is a second copy for a while
    return picture.size[0] * picture.size[1] * max(own, 1 if mode == "L" else 4)


def _decoded(picture: Image.Image, mode: str, short_side: int | None, max_aspect: float) -> np.ndarray:
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"the picture is damaged or cut short ({error})") from None
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise DataError(f"the picture cannot be decoded ({type(error).__name__}: {error})") from None
    orientation = _orientation(picture)
    if picture.mode in ("L", "RGB", "RGBA", "CMYK") and "transparency" not in picture.info:
        picture = _smaller(picture, short_side, max_aspect)  # before it is turned to other modes: that takes less
    picture = _smaller(_in_mode(picture, mode), short_side, max_aspect)
    if orientation != 1:
        picture = _upright(picture, orientation)
    pixels = np.asarray(picture)
    return pixels[:, :, None] if mode == "L" else pixels


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode == mode and "transparency" not in picture.info:
        return picture
    if picture.mode in _DEEP:
        picture = Image.fromarray(to_8_bits(np.asarray(picture)))
    if picture.mode in _TRANSPARENT or "transparency" in picture.info:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, coloured)
    return picture.convert(mode)


def _smaller(picture: Image.Image, short_side: int | None, max_aspect: float) -> Image.Image:
    width, height = picture.size
    short = min(width, height)
    longest = max(int(short * max_aspect), 1)
    if max(width, height) > longest:
        left, top = max(width - longest, 0) // 2, max(height - longest, 0) // 2
        width, height = min(width, longest), min(height, longest)
        picture = picture.crop((left, top, left + width, top + height))
    if short_side is None or short <= short_side:
        return picture
    scale = short_side / short
    target = (max(round(width * scale), 1), max(round(height * scale), 1))
    return picture.resize(target, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return picture.transpose(turns[orientation]) if orientation in turns else picture
