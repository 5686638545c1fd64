"""cgbench's own images: which are built and listed, and which is in a file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from cgbench.commands import image as images
from cgbench.engine import image
from cgbench.errors import ImageError
from cgbench.spec import workload
from tests.made.images import Notes

FOLDER = workload.directory()
NGINX = image.current("nginx", FOLDER)
REDIS = image.current("redis", FOLDER)


class Daemon:
    """One that has a base image, and is asked for no more than cgbench's own images."""

    def __init__(self) -> None:
        self.images = Kept("debian:bookworm-slim")
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Kept(Notes):
    """As its base, with a size for each image, and files of them."""

    def size(self, reference: str) -> int | None:
        return 1000 if self.has_image(reference) else None

    def saved(self, reference: str) -> Iterator[bytes]:
        if not self.has_image(reference):
            raise image.missing(reference)
        yield b"tar of "
        yield reference.encode()

    def load(self, tar: BinaryIO, reference: str) -> None:
        self.images.add(tar.read().decode().removeprefix("tar of "))
        if not self.has_image(reference):
            raise ImageError(f"{reference} was not in what was loaded")


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    daemon = Daemon()
    monkeypatch.setattr(images, "Engine", lambda: daemon)
    return daemon


def test_without_a_name_the_image_of_the_workloads_is_built(daemon: Daemon) -> None:
    tag = image.tag(FOLDER)
    assert images.build(print) == [tag]
    assert daemon.images.done == [f"build {tag}"]
    assert daemon.closed == 1


def test_with_names_those_are_built_once_and_in_order(daemon: Daemon) -> None:
    assert images.build(print, ["redis", "nginx", "redis"]) == [REDIS, NGINX]
    assert images.build(print, ["nginx"]) == [NGINX]
    assert daemon.images.done == [f"build {REDIS}", f"build {NGINX}"]


def test_a_name_that_is_none_is_refused_before_any_is_built(daemon: Daemon) -> None:
    with pytest.raises(ImageError, match="no image ngin") as caught:
        images.build(print, ["redis", "ngin"])
    assert caught.value.advice == "Did you mean nginx?"
    assert daemon.images.done == []
    assert daemon.closed == 0


def test_all_are_listed_and_what_is_not_built_has_no_size(daemon: Daemon) -> None:
    images.build(print, ["redis"])
    listed = {one.name: one for one in images.listed()}
    assert list(listed) == image.names(FOLDER)
    assert listed["redis"].to_json() == {
        "name": "redis", "tag": REDIS, "size_bytes": 1000, "built": True,
    }  # fmt: skip
    assert listed["nginx"].to_json() == {
        "name": "nginx", "tag": NGINX, "size_bytes": None, "built": False,
    }  # fmt: skip


def test_a_named_image_goes_into_a_file_and_comes_out_of_it(daemon: Daemon, tmp_path: Path) -> None:
    images.build(print, ["redis"])
    file = tmp_path / "redis.tar"
    assert images.save(file, "redis") == REDIS
    daemon.images.images.clear()
    assert images.load(file, "redis") == REDIS
    assert daemon.images.has_image(REDIS)
    with pytest.raises(ImageError, match=r"cgbench/nginx:.* was not in what was loaded"):
        images.load(file, "nginx")
    with pytest.raises(ImageError, match=r"cannot read .*/none\.tar: No such file"):
        images.load(tmp_path / "none.tar", "redis")


def test_an_image_that_is_not_built_is_not_saved_and_leaves_no_file(
    daemon: Daemon, tmp_path: Path
) -> None:
    with pytest.raises(ImageError) as caught:
        images.save(tmp_path / "nginx.tar", "nginx")
    assert caught.value.advice == "Build it: cgbench image build nginx."
    assert list(tmp_path.iterdir()) == []


def test_standard_streams_carry_an_image_too(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    images.build(print)
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdout", out)
    tag = images.save(None)
    written = out.buffer
    assert isinstance(written, io.BytesIO)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(written.getvalue())))
    daemon.images.images.clear()
    assert images.load(None) == tag
    assert daemon.images.has_image(tag)
