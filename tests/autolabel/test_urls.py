"""Pictures at addresses: what they are called, and how they come, from a real server."""

import errno
import io
import re
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import pytest

from grounded_ram.autolabel import urls
from grounded_ram.autolabel.items import Item, Naming
from grounded_ram.autolabel.urls import Url, fault_of_url, fetch, name_of_url
from grounded_ram.errors import InputError
from grounded_ram.transfer import Patience
from tests.file_host import Answer, Host, serve


def picture() -> bytes:
    file = io.BytesIO()
    PIL.Image.effect_noise((300, 300), 90).save(file, "PNG")
    return file.getvalue()


PICTURE = picture()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(urls, "PATIENCE", Patience(silence=5, attempts=2, first_wait=0.01))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve(Host({"/a.png": PICTURE, "/page.png": b"<!doctype html>", "/cut": PICTURE})) as host:
        yield host


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/a.jpg", "host/a.jpg"),
        ("http://www.host.org/deep/er/a-b_1.x.png", "www.host.org/deep/er/a-b_1.x.png"),
        ("https://host/a.jpg?", "host/a.jpg"),
    ],
)
def test_plain_addresses_are_their_own_names(url: str, name: str) -> None:
    assert name_of_url(url) == name


@pytest.mark.parametrize(
    ("url", "pattern"),
    [
        ("https://host/a.jpg?size=2", r"host/a-H\.jpg"),
        ("https://host/A.JPG", r"host/A-H\.JPG"),
        ("https://host/photo/17", r"host/photo/17-H\.jpg"),
        ("https://host/get.php?id=3", r"host/get\.php-H\.jpg"),
        ("https://host", r"host/_-H\.jpg"),
        ("https://host/my%20cat.jpg", r"host/my cat-H\.jpg"),
        ("https://host/%E2%98%83/%c3%bc.png", r"host/_/ü-H\.png"),
        ("https://host/..%2f..%2fa.jpg", r"host/_/?.*a-H\.jpg"),
        ("https://host/../.././a.jpg", r"host/_/_/_/a-H\.jpg"),
        ("https://host//a.jpg", r"host/a\.jpg"),
        ("https://host:8080/a.jpg", r"host_8080/a-H\.jpg"),
        ("https://me:secret@host/a.jpg", r"host/a\.jpg"),
        ("https://host/con:a*b|c.jpg", r"host/con_a_b_c-H\.jpg"),
        ("https://host/.hidden.jpg", r"host/_hidden-H\.jpg"),
        ("https://host/d/" + "x" * 400 + ".jpg", "host/d/x{50}-H\\.jpg"),
        ("https://host/%00.jpg", r"host/_-H\.jpg"),
    ],
)
def test_other_addresses_are_made_safe_and_unlike(url: str, pattern: str) -> None:
    name = name_of_url(url)
    assert re.fullmatch(pattern.replace("H", "[0-9a-f]{12}"), name)
    for part in name.split("/"):
        assert 0 < len(part.encode()) <= 255
        assert not part.startswith(".")


def test_addresses_that_differ_have_names_that_differ_on_any_disk() -> None:
    same = [
        "a.jpg",
        "A.jpg",
        "a.jpg?1",
        "a.jpg?2",
        "%61.jpg",
        "a.JPG",
        "a",
        "A",
        "a.jpg/",
        "a%2ejpg",
    ]
    names = [name_of_url(f"https://host/{path}").casefold() for path in same if path != "a.jpg/"]
    assert len(set(names)) == len(names)
    long = [name_of_url(f"https://host/{'☃' * 300}{end}.jpg") for end in "ab"]
    assert len(set(long)) == 2


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/a.jpg", "expected an address"),
        ("file:///etc/passwd", "expected an address"),
        ("https:///a.jpg", "expected an address"),
        ("http://[::1/a.jpg", "no address"),
        ("https://host/a.tar.gz?x=1", "download it first: .tar.gz"),
    ],
)
def test_addresses_of_no_pictures(url: str, words: str) -> None:
    fault = fault_of_url(url)
    assert fault
    assert words in fault
    with pytest.raises(InputError, match=words):
        Url(url)


def item_at(host: Host, path: str, folder: Path) -> Item:
    (item,) = Url(host.address + path).items(Naming(None, folder, unique=False))
    assert isinstance(item, Item)
    return item


def rest_of(item: Item) -> list[Path]:
    """Return what lies about beside an item's file."""
    return [path for path in Path(item.path).parent.iterdir() if path != Path(item.path)]


def test_a_picture_is_fetched_once(host: Host, tmp_path: Path) -> None:
    item = item_at(host, "/a.png", tmp_path)
    assert Path(item.path).is_relative_to(tmp_path)
    fetch(item)
    fetch(item)
    assert Path(item.path).read_bytes() == PICTURE
    assert len(host.asked) == 1
    assert rest_of(item) == []


def test_an_item_without_an_address_is_left_alone(tmp_path: Path) -> None:
    fetch(Item("a.jpg", str(tmp_path / "a.jpg")))
    assert list(tmp_path.iterdir()) == []


def test_a_broken_connection_is_gone_on_with(host: Host, tmp_path: Path) -> None:
    host.answers = [Answer(cut=5000), Answer(status=503)]
    item = item_at(host, "/a.png", tmp_path)
    with pytest.raises(InputError, match="503"):
        fetch(item)
    assert not Path(item.path).exists()
    fetch(item)
    assert Path(item.path).read_bytes() == PICTURE


@pytest.mark.parametrize(
    ("path", "message"), [("/nix.png", "404"), ("/page.png", "expected a picture such as JPEG")]
)
def test_what_is_no_picture_is_not_kept(
    host: Host, tmp_path: Path, path: str, message: str
) -> None:
    item = item_at(host, path, tmp_path)
    with pytest.raises(InputError, match=message):
        fetch(item)
    assert not Path(item.path).exists()
    assert rest_of(item) == []


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "identity"}])  # length not believed
def test_too_much_is_not_kept(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(urls, "MAX_DOWNLOAD_BYTES", 1000)
    host.answers = [Answer(headers=headers)]
    item = item_at(host, "/a.png", tmp_path)
    with pytest.raises(InputError, match="expected at most 1,000 bytes"):
        fetch(item)
    assert not Path(item.path).exists()
    assert rest_of(item) == []


def test_a_file_where_the_folder_should_be_is_said(host: Host, tmp_path: Path) -> None:
    item = item_at(host, "/a.png", tmp_path)
    Path(item.path).parent.write_bytes(b"")
    with pytest.raises(InputError, match="cannot keep"):
        fetch(item)


def test_too_little_room_stops_the_run(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grounded_ram.disk.SPARE", 10**18)
    with pytest.raises(urls.DiskFullError):
        fetch(item_at(host, "/a.png", tmp_path))


def test_a_full_disk_stops_the_run(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(urls.DiskFullError):
        fetch(item_at(host, "/a.png", tmp_path))
