"""The base image where no registry answers: made by debootstrap, and nothing left behind.

debootstrap, unshare and apt-get are shell scripts here, so that neither root nor a network is
needed; the rest is real: processes, pipes, trees, tar files.
"""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cgbench import programs
from cgbench.engine import base_image, image
from cgbench.errors import ImageError
from tests.engine.conftest import Script
from tests.made.images import MAKE_A_SYSTEM, Notes


def running_commands() -> Iterator[bytes]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield file.read_bytes()


def test_without_a_registry_debootstrap_makes_the_base(
    context: Path, script: Script, trees: Path
) -> None:
    script("debootstrap", MAKE_A_SYSTEM)
    engine, said = Notes(), list[str]()
    tag = image.build(engine, context, said.append, "4711-5")
    base = "debian:bookworm-slim"
    assert engine.done == [f"pull {base}", f"import {base}", f"build {tag}"]
    assert "I: Base system bookworm installed successfully." in said
    assert list(trees.iterdir()) == []


def test_the_base_holds_the_system_and_nothing_of_the_host(
    context: Path, script: Script, trees: Path
) -> None:
    script("debootstrap", MAKE_A_SYSTEM)
    engine = Notes()
    image.build(engine, context, print, "4711-5")
    with tarfile.open(fileobj=io.BytesIO(engine.tar)) as tar:
        names = {member.name.removeprefix("./") for member in tar}
        assert stat.S_IMODE(tar.getmember(".").mode) == 0o755
    assert {"etc/passwd", "bin", "var/lib/apt/lists", "var/cache/apt/archives"} <= names
    assert not any(name.endswith((".conf", ".deb", "Packages")) for name in names)


@pytest.mark.parametrize(
    ("apt_says", "mirror"),
    [
        ("Debian|main|bookworm|http://near.example/debian/", "http://near.example/debian/"),
        (
            "Debian|main|bookworm-security|http://near.example/debian-security/\n"
            "Docker|stable|bookworm|https://docker.example/linux/debian/\n"
            "Debian|main|trixie|http://near.example/debian/",
            "http://near.example/debian/",
        ),
        (
            "Debian|main|trixie|http://new.example/debian/\n"
            "Debian|main|bookworm|http://old.example/debian/",
            "http://old.example/debian/",
        ),
        ("Ubuntu|main|noble|http://near.example/ubuntu/", ""),
        ("Debian|main|bookworm|http://user:secret@near.example/debian/", ""),
        ("Debian|main|bookworm|file:/srv/debian/", ""),
        ("|main|bookworm|http://never-updated.example/debian/", ""),
    ],
)
def test_the_mirror_is_the_hosts_own_if_it_is_debians(
    context: Path, script: Script, trees: Path, apt_says: str, mirror: str
) -> None:
    script("apt-get", f'printf "%s\\n" "{apt_says}"')
    script("debootstrap", f'{MAKE_A_SYSTEM}\necho "mirror=$5"')
    said = list[str]()
    image.build(Notes(), context, said.append, "4711-5")
    assert f"mirror={mirror}" in said


def test_unsigned_packages_are_refused(context: Path, script: Script, trees: Path) -> None:
    script("debootstrap", f'{MAKE_A_SYSTEM}\necho "options=$1 $2"')
    said = list[str]()
    image.build(Notes(), context, said.append, "4711-5")
    assert "options=--variant=minbase --force-check-gpg" in said


def test_a_missing_debootstrap_is_named_with_the_command_that_installs_it(
    context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "find", lambda name: None)
    with pytest.raises(ImageError, match="needs debootstrap") as caught:
        image.build(Notes(), context, print, "4711-5")
    assert "apt-get install debootstrap debian-archive-keyring" in str(caught.value)


def test_without_root_debootstrap_is_not_even_tried(
    context: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script("debootstrap", "echo must not run; exit 1")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ImageError, match="needs root"):
        image.build(Notes(), context, print, "4711-5")


def test_a_base_that_is_not_debians_cannot_be_made_here(context: Path) -> None:
    (context / "Dockerfile").write_text("FROM alpine:3.20\nCOPY probe.py /opt/\n")
    with pytest.raises(ImageError, match=r"alpine:3\.20 cannot be made without one"):
        image.build(Notes(), context, print, "4711-5")


@pytest.mark.parametrize(
    ("complaint", "advice"),
    [
        ("E: Release signed by unknown key (key id 4D64FEC119C2029)", "debian-archive-keyring"),
        ("E: gpgv not installed, but required for Release verification", "gpgv"),
        ("E: Failed getting release file http://x.example/Release", "apt-get update"),
        ("E: Cannot install into target mounted with noexec or nodev", "TMPDIR"),
        ("dpkg: write error: No space left on device", "Free 500 MB"),
        ("E: something new", "Correct what it complains about"),
    ],
)
def test_when_debootstrap_fails_its_last_lines_and_a_next_move_are_told(
    context: Path, script: Script, trees: Path, complaint: str, advice: str
) -> None:
    script("debootstrap", f'mkdir -p $4/etc; seq 30; echo "{complaint}" >&2; exit 3')
    engine = Notes()
    with pytest.raises(ImageError, match=r"could not make debian:bookworm-slim") as caught:
        image.build(engine, context, print, "4711-5")
    assert "exit status 3" in caught.value.message
    assert caught.value.advice is not None
    assert advice in caught.value.advice.splitlines()[0]
    assert f"  30\n  {complaint}" in caught.value.advice
    assert "  20\n" not in caught.value.advice
    assert engine.done == ["pull debian:bookworm-slim"]
    assert list(trees.iterdir()) == []


def test_what_debootstrap_wrote_to_its_own_log_is_told_too(
    context: Path, script: Script, trees: Path
) -> None:
    script(
        "debootstrap", "mkdir $4/debootstrap; echo tar: oops >$4/debootstrap/debootstrap.log; false"
    )
    with pytest.raises(ImageError, match="tar: oops"):
        image.build(Notes(), context, print, "4711-5")


def test_an_interruption_ends_debootstrap_and_removes_its_tree(
    context: Path, script: Script, trees: Path
) -> None:
    script("debootstrap", "touch $4/half; sleep 98765 & echo begun; wait")

    def interrupt(line: str) -> None:
        if line == "begun":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        image.build(Notes(), context, interrupt, "4711-5")
    assert list(trees.iterdir()) == []
    assert not any(b"98765" in command for command in running_commands())


def test_a_debootstrap_that_hangs_is_ended(
    context: Path, script: Script, trees: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_image, "DEBOOTSTRAP_TIMEOUT_S", 0.5)
    script("debootstrap", "echo waiting; sleep 98765")
    begin = time.monotonic()
    with pytest.raises(ImageError, match="exit status -9"):
        image.build(Notes(), context, print, "4711-5")
    assert time.monotonic() - begin < 30
    assert list(trees.iterdir()) == []


def test_trees_of_owners_that_are_dead_are_swept_and_others_are_kept(trees: Path) -> None:
    gone, own, foreign = (
        trees / name for name in ("cgbench-base-77-5-abc", "cgbench-base-78-5-abc", "something")
    )
    for directory in (gone, own, foreign):
        (directory / "root").mkdir(parents=True)
    (trees / "cgbench-base-77-5-link").symlink_to(foreign)
    assert base_image.sweep(lambda owner: owner == "77-5") == [gone]
    assert sorted(trees.iterdir()) == sorted([own, foreign, trees / "cgbench-base-77-5-link"])
    assert (foreign / "root").is_dir()


def test_a_tree_carries_its_owner(context: Path, script: Script, trees: Path) -> None:
    script("debootstrap", f"ls {trees}; exit 3")
    said: list[str] = []
    with pytest.raises(ImageError):
        image.build(Notes(), context, said.append, "4711-5")
    assert any(line.startswith("cgbench-base-4711-5-") for line in said)


def test_debootstrap_dies_with_a_build_that_is_killed(
    context: Path, script: Script, trees: Path
) -> None:
    """Second rank (1): it went on in a tree that was being removed."""
    script("debootstrap", "echo waiting; exec sleep 98764")
    program = (
        "import pathlib; from cgbench import programs; from cgbench.engine import image\n"
        f"from tests.made.images import Notes; programs.SYSTEM = {programs.SYSTEM!r}\n"
        f"image.build(Notes(), pathlib.Path({str(context)!r}), "
        "lambda line: print(line, flush=True), '4711-5')"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as build:
        assert build.stdout is not None
        while "waiting" not in build.stdout.readline():
            assert build.poll() is None
        build.kill()
    limit = time.monotonic() + 20
    while any(b"98764" in command for command in running_commands()):
        assert time.monotonic() < limit, "debootstrap lives on"
        time.sleep(0.05)
