"""Images as people have them on disk: IDX files, as MNIST and Fashion-MNIST come, and a folder of images for each class."""

from __future__ import annotations

import gzip
import hashlib
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")

MOST_PIXELS = 16_000_000
"""Of one image: a small file may claim to unpack to gigabytes."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Images and what they show.

    Args:
        images: (rows, channels, height, width) of float32 in [0, 1].
        labels: (rows,) of integers; indices into `classes`, if there are any.
        test_rows: those that are published as the test set, if any are.
        files: the name of each image's file, where each has one.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    digest: str
    classes: tuple[str, ...] = ()
    test_rows: NDArray[np.intp] | None = None
    files: Sequence[str] = ()


def read_idx(folder: Path) -> Pictures:
    """A folder of train-images-idx3-ubyte and train-labels-idx1-ubyte, and perhaps t10k-…, each perhaps packed (.gz).

    Raises:
        DataError: a file is missing, damaged, or not of the others' size.

    Reference: LeCun, Cortes and Burges, "The MNIST database", the section on the IDX file format.
    """
    digest = hashlib.sha256()
    images, labels = _idx_pair(folder, "train", digest)
    if _find(folder, "t10k-images", 3) is None:
        return Pictures(images, labels, digest.hexdigest())
    test_images, test_labels = _idx_pair(folder, "t10k", digest)
    if test_images.shape[1:] != images.shape[1:]:
        raise DataError(f"{folder}: its training images are of {_size(images)}, and its test images of {_size(test_images)}")
    test_rows = np.arange(len(images), len(images) + len(test_images))
    return Pictures(np.concatenate([images, test_images]), np.concatenate([labels, test_labels]), digest.hexdigest(), test_rows=test_rows)


def _idx_pair(folder: Path, part: str, digest: hashlib._Hash) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    images = _read_one(folder, f"{part}-images", 3, digest)
    labels = _read_one(folder, f"{part}-labels", 1, digest)
    if len(images) != len(labels):
        raise DataError(f"{folder}: {part} has {len(images)} images and {len(labels)} labels; fetch the files again")
    if len(images) == 0:
        raise DataError(f"{folder}: {part} has no images")
    return _in_unit_range(images[:, None]), labels.astype(np.int64)


def _find(folder: Path, name: str, dimensions: int) -> Path | None:
    """Both spellings are about: train-images-idx3-ubyte and train-images.idx3-ubyte."""
    names = [f"{name}{mark}idx{dimensions}-ubyte{packed}" for mark in "-." for packed in ("", ".gz")]
    return next((folder / found for found in names if (folder / found).is_file()), None)


def _read_one(folder: Path, name: str, dimensions: int, digest: hashlib._Hash) -> NDArray[np.uint8]:
    path = _find(folder, name, dimensions)
    if path is None:
        what = "is no folder" if not folder.is_dir() else f"has no {name}-idx{dimensions}-ubyte, packed (.gz) or not"
        raise DataError(f"{folder} {what}; name the folder that holds the IDX files, relative to the sweep file")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; fetch it again") from error
    digest.update(data)
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes([0, 0, 8, dimensions]):
        raise DataError(
            f"{path} is no IDX file of {dimensions} dimension{'s' * (dimensions > 1)} of bytes; it begins with {data[:4].hex()}"
        )
    shape = np.frombuffer(data[4:header], ">u4").tolist()
    if len(data) - header != int(np.prod(shape)):
        raise DataError(f"{path} is cut short: it says {' x '.join(map(str, shape))}, and has {len(data) - header} bytes; fetch it again")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def read_folder(folder: Path, size: int | None = None, channels: str | None = None) -> Pictures:
    """`folder`/CLASS/IMAGE, in the formats of SUFFIXES; hidden files and others are passed over.

    Args:
        size: height and width that all images are brought to; None: they must have one size.
        channels: rgb or grey; None: grey if all are.

    Raises:
        DataError: no classes, a class without images, an image that cannot be read or that has another size.
    """
    classes = _class_folders(folder)
    files = [(path, label) for label, name in enumerate(classes) for path in _images(folder / name)]
    digest = hashlib.sha256()
    for path, _ in files:
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    opened = [_open(path) for path, _ in files]
    mode = (
        {"rgb": "RGB", "grey": "L"}[channels] if channels else "L" if all(image.mode in ("1", "L", "I;16") for image in opened) else "RGB"
    )
    if size is None:
        _check_sizes(folder, [path for path, _ in files], opened)
    arrays = [_array(image, mode, size) for image in opened]
    labels = np.array([label for _, label in files], dtype=np.int64)
    return Pictures(np.stack(arrays), labels, digest.hexdigest(), classes, files=[str(path.relative_to(folder)) for path, _ in files])


def _class_folders(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name one that has a folder of images for each class, relative to the sweep file")
    classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not classes:
        raise DataError(f"{folder} has no folders in it; it must have one for each class, with that class's images")
    return classes


def _images(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    if not found:
        raise DataError(f"{folder} has no images ({', '.join(SUFFIXES)}); put some there, or remove the folder")
    return found


def _open(path: Path) -> Image:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused below, at a lower bound
            image = Image.open(path)
        if image.width * image.height > MOST_PIXELS:
            raise DataError(
                f"{path} is too large, {image.width} x {image.height}: at most {MOST_PIXELS:,} pixels are read; make it smaller"
            )
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}; mend or remove it") from error
    return image


def _check_sizes(folder: Path, paths: Sequence[Path], images: Sequence[Image]) -> None:
    counts = Counter(image.size for image in images)
    (usual, _), *others = counts.most_common()
    if others:
        odd = next(path for path, image in zip(paths, images, strict=True) if image.size != usual)
        width, height = images[paths.index(odd)].size
        raise DataError(
            f"{folder}: images differ in size: {counts[usual]} of {len(images)} are {usual[0]} x {usual[1]}, but {odd.relative_to(folder)} "
            f"is {width} x {height}; bring all to one size, as in `data: {{images: ..., size: {min(usual)}}}`"
        )


def _array(image: Image, mode: str, size: int | None) -> NDArray[np.float32]:
    """(channels, height, width) in [0, 1]."""
    if image.mode == "I;16":  # 16 bits of grey, of which conversion would cut the upper ones off
        image = _to_bytes(image)
    image = image.convert(mode)
    if size is not None and image.size != (size, size):
        image = image.resize((size, size))
    array = _in_unit_range(np.asarray(image))
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _to_bytes(image: Image) -> Image:
    from PIL import Image

    return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))


def _in_unit_range(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = pixels.astype(np.float32) / np.float32(255)
    return scaled


def _size(images: NDArray[np.float32]) -> str:
    return f"{images.shape[2]} x {images.shape[3]}"
