"""Along the axis of a trend two dates that are shown never look alike."""

from __future__ import annotations

from datetime import datetime

import pytest

from cgbench.reporting.plots.history import _form


@pytest.mark.parametrize(
    ("days", "form", "common"),
    [
        # Met by a new user: four labels said 11-25.
        (["2026-11-25 08:00", "2026-11-25 09:30", "2026-11-25 22:00"], "%H:%M", "2026-11-25"),
        (["2026-11-24 08:00", "2026-11-25 09:30", "2026-11-26 22:00"], "%m-%d", "2026"),
        (["2026-11-24 08:00", "2026-11-24 09:30", "2026-11-26 22:00"], "%m-%d %H:%M", "2026"),
        (["2025-11-24 08:00", "2026-01-24 09:30", "2026-11-26 22:00"], "%Y-%m", ""),
        (["2025-12-24 08:00", "2025-12-25 09:30", "2026-11-26 22:00"], "%Y-%m-%d", ""),
        (["2025-12-24 08:00", "2025-12-24 09:30", "2026-11-26 22:00"], "%Y-%m-%d %H:%M", ""),
        (["2025-12-24 08:00", "2025-12-24 08:00", "2026-11-26 22:00"], "%Y-%m-%d %H:%M", ""),
    ],
)
def test_dates_have_as_much_as_tells_them_apart(days: list[str], form: str, common: str) -> None:
    every = [datetime.fromisoformat(day) for day in days]
    assert _form(every, every) == (form, common)
