"""What a part of the comparison hands back."""

from dataclasses import dataclass, field


@dataclass
class Table:
    title: str
    header: list
    lines: list
    note: str = ""


@dataclass
class Result:
    """Invariant: all of it can be written as JSON."""

    figures: list = field(default_factory=list)
    tables: list = field(default_factory=list)
    raw: object = None
