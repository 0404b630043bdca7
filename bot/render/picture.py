"""A chart as a PNG: `python -m bot.render.picture` reads a Chart as JSON and writes the picture.

It has its own ground, dark enough for three in the morning, so that it looks the same in light chats and dark ones. A
phone shows it at a third of its size: hence the large letters. The one font at hand has Latin letters only, so names of
queues, which may be in any script, are left to the caption.
"""

import io
import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from PIL import Image, ImageDraw, ImageFont

from bot.render.panels import Chart, Panel
from tocsin.times import MINUTE_MS

WIDTH, HEIGHT = 1280, 1280
"""Telegram makes photos smaller that are larger."""
LEFT, RIGHT, TOP, BOTTOM = 150, 1250, 24, 1190
TITLE, SPACE = 64, 44
GROUND, GRID, INK, FAINT, GAP, MARK = "#17212b", "#33414f", "#f2f5f7", "#b4c0cb", "#5b6b7a", "#c9b3ff"
LETTERS, SMALL = 38, 34
HATCH = 22
STEPS = (5, 15, 60, 180, 360, 720, 1440)
"""Minutes between two labels of the time."""
MOST_TIMES = 6


def draw(chart: Chart) -> bytes:
    """The picture."""
    image = Image.new("RGB", (WIDTH, HEIGHT), GROUND)
    pen = ImageDraw.Draw(image)
    each = (BOTTOM - TOP) // len(chart.panels)
    for number, panel in enumerate(chart.panels):
        top = TOP + number * each
        _panel(image, pen, chart, panel, top, top + each - SPACE)
    _times(pen, chart)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _x(chart: Chart, at_ms: int) -> int:
    at_ms = min(max(at_ms, chart.start_ms), chart.end_ms)
    return LEFT + round((RIGHT - LEFT) * (at_ms - chart.start_ms) / (chart.end_ms - chart.start_ms))


def _panel(image: Image.Image, pen: ImageDraw.ImageDraw, chart: Chart, panel: Panel, top: int, bottom: int) -> None:
    _title(pen, panel, top)
    top += TITLE
    for start_ms, end_ms in panel.gaps:
        _hatch(image, (_x(chart, start_ms), top, _x(chart, end_ms), bottom))
    most = axis_end(max((sum(found) for found in _columns(panel)), default=0))
    for part in (0, most // 2, most) if most > 1 else (0, most):
        y = bottom - round((bottom - top) * part / most)
        pen.line((LEFT, y, RIGHT, y), GRID, 2)
        pen.text((LEFT - 16, y), short(part), FAINT, _font(SMALL), anchor="rm")
    _bars(pen, chart, panel, top, bottom, most)
    for number, (at_ms, label) in enumerate(chart.marks):
        x = _x(chart, at_ms)
        for y in range(top, bottom, 18):
            pen.line((x, y, x, min(y + 10, bottom)), MARK, 3)
        # Two of one minute would be one blot: their labels take turns.
        at = (x + 8, top + 4 + (number % 2) * LETTERS)
        pen.text(at, label, MARK, _font(SMALL), stroke_width=6, stroke_fill=GROUND)


def _title(pen: ImageDraw.ImageDraw, panel: Panel, top: int) -> None:
    """The panel's name, and what its colours mean."""
    x = float(LEFT)
    pen.text((x, top), panel.title, INK, _font(LETTERS))
    x += pen.textlength(panel.title, _font(LETTERS)) + 36
    for one in panel.stacks:
        if one.label:
            pen.rectangle((x, top + 8, x + 26, top + 34), one.colour)
            pen.text((x + 38, top + 2), one.label, FAINT, _font(SMALL))
            x += pen.textlength(one.label, _font(SMALL)) + 74


def _columns(panel: Panel) -> list[list[int]]:
    """The numbers of each bar, from the ground up."""
    return [[one or 0 for one in numbers] for numbers in zip(*(one.numbers for one in panel.stacks), strict=True)]


def _bars(pen: ImageDraw.ImageDraw, chart: Chart, panel: Panel, top: int, bottom: int, most: int) -> None:
    for number, column in enumerate(_columns(panel)):
        start_ms = panel.first_ms + number * panel.width_ms
        end_ms = start_ms + panel.width_ms
        left, right = _x(chart, start_ms), _x(chart, end_ms)
        is_open = panel.whole_ms is not None and end_ms > panel.whole_ms
        below = 0
        for one, stack in zip(column, panel.stacks, strict=True):
            if one:
                y1 = bottom - round((bottom - top) * below / most)
                y0 = min(bottom - round((bottom - top) * (below + one) / most), y1 - 3)  # a single one can be seen
                fill = GROUND if is_open else stack.colour
                pen.rectangle((left, y0, max(left, right - 3), y1), fill, stack.colour, width=3)
            below += one


def _hatch(image: Image.Image, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    if right - left < 2:
        return
    patch = Image.new("RGB", (right - left, bottom - top), GROUND)
    pen = ImageDraw.Draw(patch)
    for x in range(-patch.height, patch.width, HATCH):
        pen.line((x, patch.height, x + patch.height, 0), GAP, 5)
    image.paste(patch, (left, top))


def _times(pen: ImageDraw.ImageDraw, chart: Chart) -> None:
    """The axis of time; what is not on the first day says its date."""
    span = chart.end_ms - chart.start_ms
    step = next((one for one in STEPS if span <= one * MINUTE_MS * MOST_TIMES), STEPS[-1]) * MINUTE_MS
    zone = ZoneInfo(chart.zone)
    first, last = (datetime.fromtimestamp(ms / 1000, zone) for ms in (chart.start_ms, chart.end_ms - 1))
    ahead_ms = (first.utcoffset() or timedelta()) // timedelta(milliseconds=1)
    at_ms = -(-(chart.start_ms + ahead_ms) // step) * step - ahead_ms
    y = BOTTOM - SPACE + 10
    while at_ms <= chart.end_ms:
        x = _x(chart, at_ms)
        pen.line((x, y - 10, x, y), FAINT, 3)
        told = f"{datetime.fromtimestamp(at_ms / 1000, zone):%H:%M}"
        pen.text((x, y + 2), told, INK, _font(LETTERS), anchor="mt" if x < RIGHT - 60 else "rt")
        at_ms += step
    days = f"{first:%d %b %Y}" if first.date() == last.date() else f"{first:%d %b} to {last:%d %b %Y}"
    pen.text((LEFT, y + 56), f"{days}, times in {chart.zone}; hollow: not over yet", FAINT, _font(SMALL))


def axis_end(most: int) -> int:
    """The least round number that holds it."""
    size = 1
    while True:
        for step in (1, 2, 4, 6, 8, 10):
            if most <= step * size:
                return step * size
        size *= 10


def short(number: int) -> str:
    """`950`, `1.5k`, `2M`."""
    for size, sign in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.4g}{sign}"
    return str(number)


if __name__ == "__main__":
    sys.stdout.buffer.write(draw(msgspec.json.decode(sys.stdin.buffer.read(), type=Chart)))
