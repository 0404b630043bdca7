"""What a picture of charts shows, before it is drawn (pure): panels below one another over one axis of time."""

import msgspec


class Bars(msgspec.Struct, frozen=True):
    """One number for each part of the time; None = not known. label: empty = the panel's title says it."""

    numbers: list[int | None]
    colour: str
    label: str = ""


class Panel(msgspec.Struct, frozen=True):
    """Bars, one kind upon the other. first_ms: where the first begins; width_ms: how much time each stands for.

    gaps: from and to, where something is not known. whole_ms: bars that end later are not over yet; None = all are.
    """

    title: str
    first_ms: int
    width_ms: int
    stacks: list[Bars]
    gaps: list[tuple[int, int]]
    whole_ms: int | None = None


class Chart(msgspec.Struct, frozen=True):
    """Panels from start_ms to end_ms. marks: moments, each with a short label. zone: whose time the axis tells."""

    start_ms: int
    end_ms: int
    panels: list[Panel]
    marks: list[tuple[int, str]]
    zone: str = "UTC"
