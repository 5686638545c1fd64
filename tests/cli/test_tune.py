"""`cgbench tune`: what cannot be searched is one line before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.made.command import cgbench

GOOD = 'image = "shop"\nload = { url = "http://127.0.0.1:8080/", rate = 100 }\n'


def program(folder: Path, text: str = GOOD) -> Path:
    path = folder / "shop.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Missing option '--target'"),
        (("--target", "p99<20ms"), "no metric, <= or >=, and a value"),
        (("--target", "p98<=20ms"), "unknown metric p98"),
        (("--target", "p99<=20ms", "--limit", "blkio"), "--limit blkio: cannot be searched"),
        (("--target", "p99<=20ms", "--from", "half"), "--from half"),
        (("--target", "p99<=20ms", "--from", "0.001"), "Docker takes no less than 0.01 CPUs"),
        (("--target", "p99<=20ms", "--to", "4096"), "--to 4096: this host has"),
        (("--target", "p99<=20ms", "--budget", "0s"), "no time to measure in"),
        (("--target", "p99<=20ms", "--hold", "soon"), "soon"),
    ],
)
def test_what_cannot_be_searched_is_one_line_with_the_next_move(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = cgbench("tune", program(tmp_path), *words, "--results", tmp_path / "results")
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no image is named"),
        ('image = "shop"', "no load is put on it"),
        ('image = "shop"\nload = 5', "load:"),
    ],
)
def test_a_file_that_is_no_driven_program_is_named(tmp_path: Path, text: str, said: str) -> None:
    done = cgbench("tune", program(tmp_path, text), "--target", "p99<=20ms")
    assert done.returncode == 2
    assert said in done.stderr
