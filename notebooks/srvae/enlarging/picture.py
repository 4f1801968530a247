"""What an answer's file holds: the picture's form, and the notes beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Picture:
    """The form of a picture: its sides in pixels, channels (1 grey, 2 with alpha, 3 RGB, 4 RGBA), uint8 or uint16."""

    height: int
    width: int
    channels: int
    dtype: np.dtype

    @property
    def alpha(self) -> bool:
        return self.channels in (2, 4)

    @property
    def grey(self) -> bool:
        return self.channels < 3

    @property
    def bytes(self) -> int:
        """Uncompressed."""
        return self.height * self.width * self.channels * self.dtype.itemsize


@dataclass(frozen=True)
class Notes:
    """What a file says besides its picture.

    Attributes:
        software: which program made it with which settings, ASCII.
        profile: an ICC profile, or b"".
        dpi: pixels per inch across and down, or None.
        exif: a block as it stands in a PNG file, without "Exif" before it, or b"".
        texts: of PNG files, by keyword.
        tags: words for TIFF files, as these store them, by the number of the tag.
    """

    software: str
    profile: bytes = b""
    dpi: tuple[float, float] | None = None
    exif: bytes = b""
    texts: dict[str, str] = field(default_factory=dict)
    tags: dict[int, bytes] = field(default_factory=dict)
