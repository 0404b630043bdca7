"""Width and height of a picture, from its first bytes."""

import struct


def image_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels of a PNG or JPEG; None for anything else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg_size(content)
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Walk the segments to the frame header (SOF0-SOF15, but not DHT, JPG, DAC). Source: ITU T.81, annex B."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None


def image_type(content: bytes) -> str | None:
    """The media type a browser may be told, read from the bytes and not from what the sender said."""
    if image_size(content) is None:
        return None
    return "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
