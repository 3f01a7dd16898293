"""Pictures in archives, some of them made by people who mean no good."""

import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from grounded_ram.autolabel import archives
from grounded_ram.autolabel.archives import Archive, spread
from grounded_ram.autolabel.items import Item, Naming, Skipped
from grounded_ram.autolabel.sources import open_sources
from grounded_ram.errors import InputError

PICTURES = {"b.jpg": b"bb", "deep/a.PNG": b"a" * 70_000, "n.txt": b"n", "in.zip": b"z"}


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            add(tar, name, content)
    return path


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **facts: object) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for fact, value in facts.items():
        setattr(entry, fact, value)
    tar.addfile(entry, io.BytesIO(content))


def write_zip(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def naming(folder: Path) -> Naming:
    return Naming(str(folder), folder / "keep", unique=False)


def take(archive: Archive, folder: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the items and what is in their files, and what was skipped and why."""
    contents, skips = {}, {}
    for item in archive.items(naming(folder)):
        if isinstance(item, Item):
            assert item.path == str(folder / "keep" / item.name)
            contents[item.name] = Path(item.path).read_bytes()
        else:
            skips[item.name] = item.reason
    kept = {path for path in (folder / "keep").rglob("*") if path.is_file()}
    assert kept == {folder / "keep" / name for name in contents}  # and nothing half written
    return contents, skips


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "ZIP", "TAR"])
def test_pictures_are_taken_out_of_every_kind(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"set.1.{kind}"
    if kind == "ZIP":
        write_zip(path, list(PICTURES.items()))
    else:
        how = {"tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}
        write_tar(path, PICTURES, how.get(kind, "w"))
    contents, skips = take(Archive(path), tmp_path)
    assert list(contents) == ["set.1/b.jpg", "set.1/deep/a.PNG"]
    assert contents["set.1/deep/a.PNG"] == PICTURES["deep/a.PNG"]
    assert skips == {
        "set.1/n.txt": "no picture ending: .txt",
        "set.1/in.zip": "not opened, since only those named by themselves are: .zip",
    }


def test_items_say_where_they_come_from(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", {"./deep/a.jpg": b"1"})
    (item,) = Archive(path).items(naming(tmp_path))
    assert item == Item(
        "set/deep/a.jpg", str(tmp_path / "keep/set/deep/a.jpg"), origin="set.tar: deep/a.jpg"
    )


def test_members_are_taken_out_as_they_are_reached(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", {"a.jpg": b"1", "b.jpg": b"2"})
    items = Archive(path).items(naming(tmp_path))
    next(items)
    assert [file.name for file in (tmp_path / "keep/set").iterdir()] == ["a.jpg"]
    next(items)
    assert len(list((tmp_path / "keep/set").iterdir())) == 2


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_second_time_only_what_is_not_whole_is_taken_out(tmp_path: Path, kind: str) -> None:
    members = {"a.jpg": b"11", "b.jpg": b"22", "c.jpg": b"33"}
    path = tmp_path / f"set.{kind}"
    if kind == "zip":
        write_zip(path, list(members.items()))
    else:
        write_tar(path, members)
    take(Archive(path), tmp_path)
    (tmp_path / "keep/set/a.jpg").write_bytes(b"xx")  # of the size that it should have
    (tmp_path / "keep/set/b.jpg").write_bytes(b"2")
    (tmp_path / "keep/set/c.jpg").unlink()
    contents, _ = take(Archive(path), tmp_path)
    assert list(contents.values()) == [b"xx", b"22", b"33"]


def test_hostile_members_of_a_tar_stay_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 2 * 2**20)
    work = tmp_path / "work"
    work.mkdir()
    with tarfile.open(work / "set.tar", "w") as tar:
        for name in ("../up.jpg", "/root.jpg", "a/../../up.jpg", "C:\\win.jpg", "..\\up.jpg", ".."):
            add(tar, name, b"x")
        add(tar, "sym.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(tar, "hard.jpg", type=tarfile.LNKTYPE, linkname="set.tar")
        add(tar, "folder.jpg", type=tarfile.SYMTYPE, linkname="..")
        add(tar, "folder.jpg/through.jpg", b"x")
        add(tar, "pipe.jpg", type=tarfile.FIFOTYPE)
        add(tar, "device.jpg", type=tarfile.CHRTYPE, devmajor=1, devminor=5)
        add(tar, "big.jpg", b"\0" * (2 * 2**20 + 1))
        add(tar, "bad\udcff.jpg", b"x")
        add(tar, "__MACOSX/._a.jpg", b"x")
        add(tar, "dir", type=tarfile.DIRTYPE)
        add(tar, "good.jpg", b"good")
    contents, skips = take(Archive(work / "set.tar"), work)
    assert contents == {"set/folder.jpg/through.jpg": b"x", "set/good.jpg": b"good"}
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    outside = "a name that leads out of it"
    assert list(skips.values()) == [
        *[outside] * 6,
        *["a link in an archive"] * 3,
        *["no ordinary file"] * 2,
        "larger than 2 MiB",
        "its name is no valid text; rename it",
        "hidden",
    ]
    "".join(skips).encode()


def test_hostile_members_of_a_zip_stay_in_it(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(work / "set.zip", "w") as archive:
        for name in ("../up.jpg", "/root.jpg", "a\\..\\..\\up.jpg", "c:/win.jpg"):
            archive.writestr(name, b"x")
        archive.writestr(link, b"/etc/passwd")
        archive.mkdir("dir") if hasattr(archive, "mkdir") else archive.writestr("dir/", b"")
        archive.writestr("deep\\a.jpg", b"backslash")
    contents, skips = take(Archive(work / "set.zip"), work)
    assert contents == {"set/deep/a.jpg": b"backslash"}
    assert list(skips.values()) == ["a name that leads out of it"] * 4 + ["a link in an archive"]
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_of_one_name_the_first_member_is_taken(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", [("a.jpg", b"first"), ("a.jpg", b"second")])
    assert take(Archive(path), tmp_path) == (
        {"set/a.jpg": b"first"},
        {"set/a.jpg": "an earlier picture has this name"},
    )


def test_a_file_where_a_folder_should_be_is_said(tmp_path: Path) -> None:
    members = {"a.jpg": b"1", "a.jpg/b.jpg": b"2", "x" * 252 + ".jpg": b"3", "z.jpg": b"4"}
    contents, skips = take(Archive(write_tar(tmp_path / "set.tar", members)), tmp_path)
    assert list(contents) == ["set/a.jpg", "set/z.jpg"]
    assert all(reason.startswith("cannot be kept: ") for reason in skips.values())
    assert len(skips) == 2


def test_a_full_disk_is_no_reason_to_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "set.tar", {"a.jpg": b"1"})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        list(Archive(path).items(naming(tmp_path)))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_cut_short_gives_what_it_has(tmp_path: Path, mode: str) -> None:
    noise = random.Random(0).randbytes(2_000_000)
    path = write_tar(tmp_path / "set.tar", {"a.jpg": b"1", "b.jpg": noise, "c.jpg": b"3"}, mode)
    path.write_bytes(path.read_bytes()[:1_000_000])
    contents, skips = take(Archive(path), tmp_path)
    assert contents == {"set/a.jpg": b"1"}
    assert list(skips) == ["set.tar"]
    assert skips["set.tar"].startswith("damaged, the rest cannot be read: ")


def test_a_damaged_header_is_no_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "set.tar", {"a.jpg": b"1", "b.jpg": b"2"})
    data = bytearray(path.read_bytes())
    data[1024:1034] = b"?" * 10
    path.write_bytes(data)
    contents, skips = take(Archive(path), tmp_path)
    assert list(contents) == ["set/a.jpg"]
    assert "damaged" in skips["set.tar"]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as tar:
        add(tar, "a.jpg", b"1")
        add(tar, "header", b"\0" * (2**20 + 1), type=kind)
        add(tar, "b.jpg", b"2")
    contents, skips = take(Archive(tmp_path / "set.tar.gz"), tmp_path)
    assert list(contents) == ["set/a.jpg"]
    assert "a header of 1,048,577 bytes" in skips["set.tar.gz"]


def test_long_names_are_names(tmp_path: Path) -> None:
    name = "/".join(["deep" * 30] * 5) + "/ü.jpg"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / f"{form}.tar"
        with tarfile.open(path, "w", format=form) as tar:
            add(tar, name, b"1")
        found = Archive(path).items(naming(tmp_path))
        assert [item.name for item in found] == [f"{form}/{name}"]


def test_a_damaged_member_of_a_zip_is_the_only_one_lost(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in "abc":
            archive.writestr(f"{name}.jpg", name.encode() * 100)
    path.write_bytes(path.read_bytes().replace(b"bbbb", b"bxbb", 1))
    contents, skips = take(Archive(path), tmp_path)
    assert list(contents) == ["set/a.jpg", "set/c.jpg"]
    assert skips["set/b.jpg"].startswith("damaged: ")


def test_an_encrypted_member_is_said(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", [("a.jpg", b"1")])
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag, in the member's header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(data)
    _, skips = take(Archive(path), tmp_path)
    assert "encrypted" in skips["set/a.jpg"]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xd8\xff" * 1000)
    with pytest.raises(InputError, match="cannot read the archive"):
        Archive(tmp_path / name)


def test_an_archive_without_pictures_is_one(tmp_path: Path) -> None:
    assert take(Archive(write_tar(tmp_path / "a.tar", {})), tmp_path) == ({}, {})
    assert take(Archive(write_zip(tmp_path / "a.zip", [])), tmp_path) == ({}, {})


SHARD = {
    "x/001.jpg": b"1",
    "x/001.cls": b"7",
    "x/001.seg.png": b"mask",
    "y/001.jpg": b"2",
    "y/002.txt": b"two",
    "y/002.left.jpg": b"3",
    "y/002.right.jpg": b"4",
}


def test_of_a_sample_the_first_picture_is_taken(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s-0.tar", SHARD)
    contents, skips = take(Archive(path, samples=True), tmp_path)
    assert list(contents) == ["s-0/x/001.jpg", "s-0/y/001.jpg", "s-0/y/002.left.jpg"]
    further = "a further picture of a sample"
    assert skips["s-0/x/001.seg.png"] == skips["s-0/y/002.right.jpg"] == further
    assert len(take(Archive(path), tmp_path)[0]) == 5


@pytest.mark.parametrize("given", ["s-{0..1}.tar", "wds:s-0.tar wds:s-1.tar", "wds:s-*.tar"])
def test_shards_are_opened_by_braces_and_by_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tar(tmp_path / "s-0.tar", SHARD)
    write_tar(tmp_path / "s-1.tar", {"001.jpg": b"1", "001.depth.png": b"d"})
    sources = open_sources(given.split(), keep_in=tmp_path / "keep")
    names = [item.name for item in sources.items() if isinstance(item, Item)]
    assert names == ["s-0/x/001.jpg", "s-0/y/001.jpg", "s-0/y/002.left.jpg", "s-1/001.jpg"]
    assert sources.count() is None


def test_plain_archives_are_opened_by_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tar(tmp_path / "a.tar", {"001.jpg": b"1", "001.seg.png": b"m"})
    (tmp_path / "b.tar").write_bytes(b"no archive")
    items = list(open_sources(["*.tar"], keep_in=tmp_path / "keep").items())
    assert [item.name for item in items] == ["a/001.jpg", "a/001.seg.png", "b.tar"]
    assert isinstance(items[2], Skipped)
    assert "cannot read the archive" in items[2].reason


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("s.tar", ["s.tar"]),
        ("s-{008..011}.tar", ["s-008.tar", "s-009.tar", "s-010.tar", "s-011.tar"]),
        ("{8..10}", ["8", "9", "10"]),
        ("{a,b}/{0..1}", ["a/0", "a/1", "b/0", "b/1"]),
        ("x{}y{z}", ["x{}y{z}"]),
        ("{3..3}{,.x}", ["3", "3.x"]),
    ],
)
def test_braces(pattern: str, expected: list[str]) -> None:
    assert spread(pattern) == expected


@pytest.mark.parametrize("pattern", ["{5..2}", "{0..999999999999}"])
def test_braces_that_are_none(pattern: str) -> None:
    with pytest.raises(InputError, match="expected at most 100,000 numbers"):
        spread(pattern)
