"""The daemon's images: what they are made of, and which network they are built on."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import docker.errors
import pytest

from cgbench.engine import image, images
from cgbench.engine.connection import Connection
from cgbench.engine.engine import Engine
from cgbench.engine.images import Contents, Images
from cgbench.errors import ImageError
from cgbench.spec import workload

STATUS = """\
Package: fio
Status: install ok installed
Version: 3.33-3
Description: flexible I/O tester
 Version: of the description, indented

Package: gone
Status: deinstall ok config-files
Version: 1

Package: libc6
Status: install ok installed
Version: 2.36-9
"""


def archive(content: str) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo("status")
        member.size = len(content.encode())
        tar.addfile(member, io.BytesIO(content.encode()))
    return raw.getvalue()


class Api:
    """A client of a daemon with one image; builds fail on the networks that are named."""

    def __init__(self, status: str | None = STATUS, fails: tuple[str | None, ...] = ()) -> None:
        self.status = status
        self.fails = fails
        self.done: list[str] = []
        self.driver: object = None

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference == "absent":
            raise docker.errors.ImageNotFound("no such image")
        more = {} if self.driver is None else {"GraphDriver": self.driver}
        return {**more, "Size": 402, "RootFS": {"Layers": ["sha256:base", "sha256:more"]}}

    def create_container(self, reference: str, _command: list[str], **named: Any) -> dict[str, str]:
        assert named["labels"], "`cgbench clean` finds it by its label"
        self.done.append(f"create {reference}")
        return {"Id": "id"}

    def get_archive(self, _container: str, path: str) -> tuple[Iterator[bytes], object]:
        if self.status is None:
            raise docker.errors.NotFound("no such file")
        whole = archive(self.status)
        return iter([whole[:700], whole[700:]]), {}

    def remove_container(self, container: str, **_: Any) -> None:
        self.done.append(f"remove {container}")

    def build(self, network_mode: str | None, **_: Any) -> Iterator[dict[str, str]]:
        self.done.append(f"build on {network_mode}")
        yield {"stream": "Step 1"}
        if network_mode in self.fails:
            yield {"error": "cannot resolve"}


class Client:
    """A connection to such a daemon."""

    def __init__(self, api: Api) -> None:
        self.api, self.client = api, self

    def part(self, answer: Any, key: str) -> Any:
        return answer[key]

    def send(self, path: str, *_: Any) -> SimpleNamespace:
        assert path.startswith("/images/load")
        return SimpleNamespace(
            status_code=200,
            text='{"stream":"Loaded image: cgbench/redis:0123456789ab\\n"}',
            json=dict,
        )


def of(api: Api) -> Images:
    return Images(cast(Connection, Client(api)))


@pytest.mark.parametrize(
    ("driver", "folders"),
    [
        ({"Data": {"UpperDir": "/u", "LowerDir": "/a:/b"}}, ("/u", "/a", "/b")),
        ({"Data": {"UpperDir": "/u"}}, ("/u",)),
        ({"Data": {"UpperDir": "/u", "LowerDir": ""}}, ("/u",)),
        # A part of the folders would look like all of them.
        ({"Data": {"UpperDir": "/u", "LowerDir": "/a:b"}}, None),
        ({"Data": {"LowerDir": "/a"}}, None),
        ({"Data": None}, None),
        ("overlay2", None),
        (None, None),
    ],
)
def test_an_images_folders_are_all_that_the_daemon_names_or_none(
    driver: object, folders: tuple[str, ...] | None
) -> None:
    api = Api()
    api.driver = driver
    found = of(api).layers("x")
    assert found == (None if folders is None else tuple(map(Path, folders)))


def test_an_absent_image_has_no_folders() -> None:
    with pytest.raises(ImageError):
        of(Api()).layers("absent")


def test_an_images_contents_are_its_base_and_its_packages_and_nothing_is_started() -> None:
    api = Api()
    found = of(api).contents("x")
    assert found.base == "sha256:base"
    assert found.packages is not None
    assert found.packages.startswith("fio 3.33-3, all 2 packages ")
    assert api.done == ["create x", "remove id"]


def test_one_package_of_another_version_makes_other_contents() -> None:
    """Supply chain: the tag of two images is one where their Dockerfiles are."""
    assert images.packages(STATUS) == images.packages(STATUS.replace("flexible", "other"))
    assert images.packages(STATUS) != images.packages(STATUS.replace("2.36-9", "2.36-10"))


def test_an_image_without_debian_packages_has_none_to_show() -> None:
    assert of(Api(None)).contents("x") == Contents("sha256:base", None)
    assert of(Api("")).contents("x") == Contents("sha256:base", None)


def test_an_image_that_is_missing_is_named() -> None:
    with pytest.raises(ImageError, match="the image absent is missing"):
        of(Api()).contents("absent")


def test_a_list_of_packages_without_end_is_refused_and_its_container_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "_MOST_STATUS_BYTES", 1000)
    api = Api()
    with pytest.raises(ImageError, match="longer than 1000 bytes"):
        of(api).contents("x")
    assert api.done[-1] == "remove id"


def test_an_image_is_built_on_the_hosts_network_only_if_the_default_one_failed() -> None:
    """Supply chain: on the host's network a package's scripts reach services of its loopback."""
    api, shown = Api(), list[str]()
    of(api).build(Path(), "x", shown.append)
    assert api.done == ["build on None"]
    api = Api(fails=(None,))
    of(api).build(Path(), "x", shown.append)
    assert api.done == ["build on None", "build on host"]
    assert "cannot resolve" in shown[-2]
    assert "trying again on the host's network" in shown[-2]
    with pytest.raises(ImageError, match="cannot resolve"):
        of(Api(fails=(None, "host"))).build(Path(), "x", shown.append)


def test_what_was_loaded_is_what_the_answer_names_and_not_what_was_there_before() -> None:
    of(Api()).load(io.BytesIO(), "cgbench/redis:0123456789ab")
    assert of(Api()).has_image("cgbench/nginx:0123456789ab")
    with pytest.raises(ImageError, match=r"nginx:\w+ was not in .*: cgbench/redis:\w+\n") as caught:
        of(Api()).load(io.BytesIO(), "cgbench/nginx:0123456789ab")
    assert "cgbench image load FILE NAME" in (caught.value.advice or "")


def test_an_image_has_a_size_and_an_absent_one_none() -> None:
    assert of(Api()).size("x") == 402
    assert of(Api()).size("absent") is None
    assert not of(Api()).has_image("absent")


@pytest.mark.docker
def test_the_image_of_the_workloads_shows_their_programs() -> None:
    engine = Engine()
    try:
        found = engine.images.contents(image.tag(workload.directory()))
        assert found.base is not None
        assert found.packages is not None
        assert {"stress-ng", "fio", "python3-minimal"} <= set(found.packages.split())
        assert engine.leftovers() == []
    finally:
        engine.close()
