"""The spec: how often drills are due, and when faults on purpose are agreed to."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hactl.spec.base import Model
from hactl.spec.types import TimeOfDay, TimeZone

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Window(Model):
    """A time of the week at which drills are agreed to. One that ends before it begins ends the next day."""

    days: tuple[Day, ...] = Field(
        default=("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
        min_length=1,
        description="On which days it begins.",
    )
    begin: TimeOfDay = Field(description="From when on, as 02:00.")
    end: TimeOfDay = Field(description="Until when; 24:00 is the end of the day.")


class Drills(Model):
    """Faults on purpose: when they are due, and when they may happen outside the lab (docs/drills.md)."""

    every: Literal["month", "quarter", "half-year", "year", "never"] = Field(
        default="quarter", description="How often a drill is due; a later one is overdue, and an alarm."
    )
    windows: tuple[Window, ...] = Field(
        default=(),
        description="When drills are agreed to; none: never, and the nodes do not even know the verbs.",
    )
    zone: TimeZone = Field(default="UTC", description="The time zone of the windows, as Europe/Berlin.")
