"""The picture of the rooms is what the imports are, and no arrow leads up."""

from __future__ import annotations

import re
import tomllib

from tests.docs import rooms
from tests.docs.blocks import DOCS, RENEW, ROOT

ARROWS = rooms.arrows()
LEVELS = rooms.levels()


def test_the_picture_is_in_step_with_the_imports() -> None:
    assert rooms.PICTURE.read_text() == rooms.drawn(ARROWS, LEVELS), RENEW


def test_there_are_ten_rooms_and_no_arrow_leads_up() -> None:
    assert len(set(LEVELS) - {rooms.GROUND}) == 10
    assert rooms.against(ARROWS, LEVELS) == []


def test_every_room_is_in_the_picture() -> None:
    assert {room for arrow in ARROWS for room in arrow} == set(LEVELS)
    for room in LEVELS:
        assert f">{room}</text>" in rooms.PICTURE.read_text()


def test_an_import_against_the_layers_is_drawn_in_red() -> None:
    bent = {**ARROWS, ("spec", "cli"): 1}
    assert rooms.against(bent, LEVELS) == [("spec", "cli")]
    assert "All arrows lead down" not in rooms.drawn(bent, LEVELS)
    assert 'url(#wrong)"/>' in rooms.drawn(bent, LEVELS)
    assert 'url(#wrong)"/>' not in rooms.drawn(ARROWS, LEVELS)


def test_rooms_on_one_level_do_not_import_one_another() -> None:
    assert rooms.against({("engine", "host"): 1}, LEVELS) == [("engine", "host")]


def test_the_manual_draws_the_layers_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [one["layers"] for one in contracts["contracts"] if one["type"] == "layers"]
    page = (DOCS / "explanation" / "architecture.md").read_text()
    assert "```\n" + "\n".join(layers) + "\n```" in page


def test_what_one_looks_for_is_where_the_manual_says() -> None:
    page = (DOCS / "explanation" / "architecture.md").read_text().split("## Where to look")[1]
    rows = re.findall(r"^\| ([^|]*) \| ([^|]*) \|$", page, re.MULTILINE)[2:]
    assert len(rows) >= 8
    for wanted, place in rows:
        files = re.findall(r"`([a-z_/-]+\.(?:py|toml))`", place)
        assert files, wanted
        for file in files:
            assert (ROOT / "cgbench" / file).exists(), f"{wanted}: {file}"


def test_every_room_has_a_sentence_and_every_protected_library_a_room() -> None:
    homes = rooms.libraries()
    assert set(homes) < set(LEVELS)
    table = rooms.table_of_rooms()
    assert all(library in table for home in homes.values() for library in home)
    assert "|  |" not in table
