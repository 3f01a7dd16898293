import hashlib
import io
import struct
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from grounded_ram import images
from grounded_ram.errors import InputError
from grounded_ram.images import load_image


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    """A 12 x 17 picture without symmetry."""
    return np.random.default_rng(3).integers(0, 256, (12, 17, 3), np.uint8)


def encode(image: PIL.Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(pixels: NDArray[Any]) -> bytes:
    return encode(PIL.Image.fromarray(pixels))


def png_header(width: int, height: int) -> bytes:
    """A real PNG, of any size it likes to claim, with next to nothing in it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


# --- every kind of source gives the same picture --------------------------------------------------


def test_all_sources_agree(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    data = png(rgb)
    path = tmp_path / "picture of mine.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        loaded = [
            load_image(path),
            load_image(str(path)),
            load_image(data),
            load_image(file),
            load_image(PIL.Image.open(path)),
            load_image(rgb, color="rgb"),
            load_image(rgb[..., ::-1]),
            load_image(torch.from_numpy(rgb).permute(2, 0, 1)),
        ]
        assert not file.closed
    for one in loaded:
        np.testing.assert_array_equal(one.pixels, rgb)
        assert one.pixels.dtype == np.uint8
        assert one.pixels.flags.c_contiguous
        assert one.pixels.flags.writeable
        assert one.notes == ()
    assert [one.path for one in loaded[:3]] == [str(path), str(path), None]
    assert {one.sha256 for one in loaded[:4]} == {hashlib.sha256(data).hexdigest()}


def test_hash_of_an_array_knows_values_shape_and_type(rgb: NDArray[np.uint8]) -> None:
    grey = rgb[..., 0]
    others = [grey, grey.reshape(17, 12), grey.astype(np.uint16), grey ^ 1]
    assert len({load_image(one).sha256 for one in others}) == 4
    assert load_image(np.asfortranarray(rgb)).sha256 == load_image(rgb).sha256


def test_a_file_object_is_read_from_its_beginning(rgb: NDArray[np.uint8]) -> None:
    stream = io.BytesIO()
    PIL.Image.fromarray(rgb).save(stream, "PNG")  # stands at its end now
    np.testing.assert_array_equal(load_image(stream).pixels, rgb)


def test_a_pipe_can_be_read(rgb: NDArray[np.uint8]) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *args: int) -> int:
            raise io.UnsupportedOperation("seek")

    np.testing.assert_array_equal(load_image(Pipe(png(rgb))).pixels, rgb)


def test_the_callers_array_is_neither_changed_nor_kept(rgb: NDArray[np.uint8]) -> None:
    before = rgb.copy()
    for source in (rgb, rgb[::2, ::2], torch.from_numpy(rgb).permute(2, 0, 1)):
        for color in ("rgb", "bgr"):
            pixels = load_image(source, color=color).pixels
            assert not np.shares_memory(pixels, rgb)
            pixels[:] = 0
    np.testing.assert_array_equal(rgb, before)


# --- arrays and tensors ---------------------------------------------------------------------------


def test_grey_bool_and_alpha_arrays(rgb: NDArray[np.uint8]) -> None:
    grey = rgb[..., 0]
    expected = np.stack([grey] * 3, axis=-1)
    np.testing.assert_array_equal(load_image(grey).pixels, expected)
    np.testing.assert_array_equal(load_image(grey[..., None]).pixels, expected)
    np.testing.assert_array_equal(load_image(grey > 99).pixels, (expected > 99) * np.uint8(255))
    bgra = np.dstack([rgb[..., ::-1], np.full_like(grey, 7)])
    loaded = load_image(bgra)
    np.testing.assert_array_equal(loaded.pixels, rgb)
    assert "alpha channel ignored" in loaded.notes[0]
    np.testing.assert_array_equal(load_image(bgra, color="rgb").pixels, rgb[..., ::-1])
    bgra[..., 3] = 255
    assert load_image(bgra).notes == ()


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_sixteen_bits_keep_the_high_byte(rgb: NDArray[np.uint8], kind: str) -> None:
    loaded = load_image((rgb.astype(np.uint16) * 257).astype(kind), color="rgb")
    np.testing.assert_array_equal(loaded.pixels, rgb)
    assert "16-bit" in loaded.notes[0]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "longdouble"])
def test_floats_between_zero_and_one(rgb: NDArray[np.uint8], kind: str) -> None:
    np.testing.assert_array_equal(load_image((rgb / 255).astype(kind), color="rgb").pixels, rgb)


def test_tensors_of_all_sorts(rgb: NDArray[np.uint8]) -> None:
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    floats = (tensor / 255).requires_grad_()
    for source in (floats, floats.half(), floats.double(), tensor):
        np.testing.assert_array_equal(load_image(source).pixels, rgb)
    # bfloat16 has eight bits of precision, so the last one of the picture is lost
    assert np.abs(load_image(floats.bfloat16()).pixels.astype(int) - rgb).max() <= 1
    np.testing.assert_array_equal(load_image(tensor[:1]).pixels[..., 2], rgb[..., 0])
    assert "alpha" in load_image(torch.cat([tensor, tensor[:1]])).notes[0]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 5, 3), np.uint8), "empty array"),
        (np.zeros(0), "empty array"),
        (np.zeros((5, 6, 2), np.uint8), r"expected an array .* got \(5, 6, 2\)"),
        (np.zeros((3, 5, 6), np.uint8), "transpose"),
        (np.zeros((1, 5, 6, 3), np.uint8), "one image of a batch"),
        (np.zeros(7, np.uint8), r"got \(7,\)"),
        (np.array(7, np.uint8), r"got \(\)"),
        (np.zeros((5, 6, 3), np.int64), "got int64; convert to uint8"),
        (np.zeros((5, 6), complex), "got complex128"),
        (np.full((5, 6), None), "got object"),
        (np.full((5, 6), 1.5), r"floats in \[0, 1\], got 1.5 to 1.5; make black 0"),
        (np.linspace(0, 255, 30).reshape(5, 6), "got 0 to 255"),
        (np.full((5, 6, 3), -0.1, np.float32), "got -0.1"),
        (np.full((5, 6), np.nan, np.float32), "NaN"),
        (np.full((5, 6), np.inf), "infinity"),
        (torch.zeros(2, 3, 5, 6), "one image of a batch"),
        (torch.zeros(5, 6, 3), "permute"),
        (torch.zeros(5, 6), "permute"),
        (torch.zeros(3, 0, 6), "empty"),
        (torch.zeros(3, 5, 6, dtype=torch.int64), "got int64"),
        (torch.full((3, 5, 6), torch.nan), "NaN"),
        (torch.zeros(3, 5, 6, device="meta"), "tensor"),
        (None, "expected a path, .* got NoneType"),
        (3, "got int"),
        ([np.zeros((5, 6, 3), np.uint8)], "got list"),
    ],
)
def test_unusable_objects_are_refused(array: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_image(array)


def test_the_channel_order_must_be_known(rgb: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="expected 'bgr' or 'rgb', got 'RGB'"):
        load_image(rgb, color="RGB")  # type: ignore[arg-type]


# --- files of every sort --------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(
    tmp_path: Path, rgb: NDArray[np.uint8], kind: str, orientation: int
) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = encode(PIL.Image.fromarray(rgb), kind, exif=exif)
    expected = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))))
    assert expected.shape[:2] == ((17, 12) if orientation > 4 else (12, 17))
    np.testing.assert_array_equal(load_image(data).pixels, expected)
    image = PIL.Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(load_image(image).pixels, expected)
    np.testing.assert_array_equal(load_image(image).pixels, expected)
    upright = PIL.ImageOps.exif_transpose(image)
    np.testing.assert_array_equal(load_image(upright).pixels, expected)
    if kind == "JPEG" and orientation > 1:
        assert load_image(data).notes == (
            f"turned upright, as its EXIF orientation {orientation} says",
        )


def test_a_turned_picture_from_a_camera_looks_right() -> None:
    red_left = np.zeros((8, 16, 3), np.uint8)
    red_left[:, :8, 0] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the left edge is the top
    pixels = load_image(encode(PIL.Image.fromarray(red_left), "PNG", exif=exif)).pixels
    assert pixels.shape == (16, 8, 3)
    assert pixels[:8, :, 0].min() == 255
    assert pixels[8:, :, 0].max() == 0


def test_broken_exif_does_not_cost_the_picture(rgb: NDArray[np.uint8]) -> None:
    data = encode(PIL.Image.fromarray(rgb), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert load_image(data).pixels.shape == rgb.shape


def test_alpha_is_ignored_and_said(golden: Path) -> None:
    path = golden / "preprocess" / "rgba.png"
    loaded = load_image(path)
    np.testing.assert_array_equal(loaded.pixels, np.asarray(PIL.Image.open(path))[..., :3])
    assert "alpha channel ignored" in loaded.notes[0]


def test_grey_and_grey_with_alpha(rgb: NDArray[np.uint8]) -> None:
    grey = PIL.Image.fromarray(rgb[..., 0])
    expected = np.stack([rgb[..., 0]] * 3, axis=-1)
    for image in (grey, grey.convert("LA")):
        loaded = load_image(encode(image))
        np.testing.assert_array_equal(loaded.pixels, expected)
        assert loaded.notes == ()


@pytest.mark.parametrize("transparency", [None, 0, bytes([0, 128, 255])])
def test_palettes(transparency: Any) -> None:
    image = PIL.Image.new("P", (3, 2))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2, 2, 1, 0])
    options = {} if transparency is None else {"transparency": transparency}
    loaded = load_image(encode(image, **options))
    np.testing.assert_array_equal(loaded.pixels[0], [[10, 20, 30], [40, 50, 60], [70, 80, 90]])
    assert len(loaded.notes) == (transparency is not None)


def test_see_through_colour_of_an_rgb_png(rgb: NDArray[np.uint8]) -> None:
    data = encode(PIL.Image.fromarray(rgb), transparency=tuple(int(v) for v in rgb[0, 0]))
    loaded = load_image(data)
    np.testing.assert_array_equal(loaded.pixels, rgb)
    assert "alpha channel ignored" in loaded.notes[0]


def test_one_bit() -> None:
    data = encode(PIL.Image.fromarray(np.eye(5, dtype=bool)))
    np.testing.assert_array_equal(load_image(data).pixels[..., 1], np.eye(5, dtype=int) * 255)


def test_cmyk() -> None:
    colours = [(0, 255, 255, 0), (255, 0, 255, 0), (0, 0, 0, 255), (0, 0, 0, 0)]
    image = PIL.Image.new("CMYK", (64, 16))
    for i, colour in enumerate(colours):
        image.paste(colour, (16 * i, 0, 16 * i + 16, 16))
    pixels = load_image(encode(image, "JPEG", quality=95)).pixels
    expected = [[255, 0, 0], [0, 255, 0], [0, 0, 0], [255, 255, 255]]
    assert np.abs(pixels[8, 8::16].astype(int) - expected).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_files(kind: str) -> None:
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    loaded = load_image(encode(PIL.Image.fromarray(values), kind))
    np.testing.assert_array_equal(loaded.pixels[..., 1].ravel(), np.arange(256))
    assert "16-bit" in loaded.notes[0]


def test_a_turned_sixteen_bit_file() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    values = np.array([[256, 512], [768, 1024]], np.uint16)
    loaded = load_image(encode(PIL.Image.fromarray(values), exif=exif))
    np.testing.assert_array_equal(loaded.pixels[..., 0], [[3, 1], [4, 2]])


def test_float_and_32_bit_tiffs() -> None:
    floats = np.linspace(0, 1, 20, dtype=np.float32).reshape(4, 5)
    loaded = load_image(encode(PIL.Image.fromarray(floats), "TIFF"))
    np.testing.assert_array_equal(loaded.pixels[..., 0], np.rint(floats * 255))
    with pytest.raises(InputError, match="got 0 to 2"):
        load_image(encode(PIL.Image.fromarray(floats * 2), "TIFF"))
    with pytest.raises(InputError, match=r"0\.\.65535, got -1\.\.9"):
        load_image(encode(PIL.Image.fromarray(np.array([[-1, 9]], np.int32)), "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_give_their_first_frame_and_say_so(kind: str) -> None:
    frames = [PIL.Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    loaded = load_image(data)
    np.testing.assert_array_equal(loaded.pixels, np.full((6, 8, 3), [255, 0, 0]))
    assert loaded.notes[0] == "animation: frame 1 of 3 used"


def test_one_pixel_and_very_long_files() -> None:
    assert load_image(png(np.zeros((1, 1, 3), np.uint8))).pixels.shape == (1, 1, 3)
    assert load_image(png(np.zeros((50, 20000), np.uint8))).pixels.shape == (50, 20000, 3)
    assert load_image(png(np.zeros((20000, 50, 3), np.uint8))).pixels.shape == (20000, 50, 3)


# --- files that are no pictures -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_truncated_files_are_refused(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encode(PIL.Image.fromarray(noise), kind)
    path = tmp_path / "cut.bin"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.bin"):
        load_image(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>not found</html>", "begins with b'<!DOCTYPE html><'"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe0 fake", "jpg"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "expected a picture"),
    ],
)
def test_fake_images_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / ("fake." + ("jpg" if content[:1] == b"\xff" else "png"))
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_image(path)


@settings(deadline=None)
@given(st.binary(max_size=80), st.integers(0, 5))
def test_hostile_bytes_never_raise_anything_else(tail: bytes, kind: int) -> None:
    starts = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF    WEBP", b"II*\0"]
    try:
        load_image(starts[kind] + tail)
    except InputError:
        return
    raise AssertionError("eighty random bytes were taken for a picture")


@settings(deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]), st.integers(0, 2**32))
def test_damaged_files_load_or_are_refused(kind: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {}
    picture = PIL.Image.fromarray(generator.integers(0, 256, (9, 7, 3), np.uint8))
    data = np.frombuffer(encode(picture, kind, **options), np.uint8).copy()
    data[generator.integers(0, len(data), 3)] = generator.integers(0, 256, 3)
    try:
        loaded = load_image(data.tobytes(), max_pixels=10**6)
    except InputError:
        return
    assert loaded.pixels.ndim == 3


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*nowhere\.jpg"):
        load_image(tmp_path / "nowhere.jpg")
    with pytest.raises(InputError, match=r"got the folder .* name the files"):
        load_image(tmp_path)
    with pytest.raises(InputError, match="cannot open"):
        load_image("x" * 5000)
    with pytest.raises(InputError, match="cannot open"):
        load_image("null\0byte.png")
    with pytest.raises(InputError, match="open it as 'rb'"):
        load_image(io.StringIO("text"))  # type: ignore[arg-type]
    closed = io.BytesIO(b"")
    closed.close()
    with pytest.raises(InputError, match="cannot read the file object"):
        load_image(closed)


def test_an_empty_pil_image_is_refused() -> None:
    with pytest.raises(InputError, match="empty one of 0 x 5"):
        load_image(PIL.Image.new("RGB", (0, 5)))


# --- decompression bombs --------------------------------------------------------------------------


@pytest.mark.parametrize("side", [14_000, 30_000, 2**31 - 1])
def test_bombs_are_refused_before_they_go_off(side: int) -> None:
    """The sizes at which Pillow would warn, raise, and run out of memory."""
    start = time.process_time()
    with pytest.raises(InputError, match=rf"at most 178956970 pixels, got {side} x {side}"):
        load_image(png_header(side, side))
    assert time.process_time() - start < 1


def test_the_limit_can_be_moved(rgb: NDArray[np.uint8]) -> None:
    data = png(rgb)
    assert load_image(data, max_pixels=12 * 17).pixels.shape == rgb.shape
    for source in (data, PIL.Image.open(io.BytesIO(data))):
        with pytest.raises(InputError, match="raise max_pixels"):
            load_image(source, max_pixels=12 * 17 - 1)


def test_a_raised_limit_goes_past_pillows_own(
    rgb: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = png(rgb)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(PIL.Image.DecompressionBombError):
        PIL.Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(load_image(data).pixels, rgb)
    assert PIL.Image.MAX_IMAGE_PIXELS == 10


# --- warnings stay inside -------------------------------------------------------------------------


def odd_jpeg() -> bytes:
    """A sound JPEG of which Pillow warns: its EXIF block promises five entries and ends."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0"
    return encode(PIL.Image.new("RGB", (4, 4), "white"), "JPEG", exif=exif)


def test_pillows_warnings_do_not_leak() -> None:
    data = odd_jpeg()
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        PIL.Image.open(io.BytesIO(data)).getexif()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(data).pixels[0, 0].tolist() == [255, 255, 255]


def test_threads_leave_the_warning_filters_as_they_were() -> None:
    data, before = odd_jpeg(), list(warnings.filters)
    shown = warnings.showwarning
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                load_image(data)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(warnings.filters) == before
    assert warnings.showwarning is shown


# --- the network ----------------------------------------------------------------------------------


@pytest.fixture
def server(rgb: NDArray[np.uint8]) -> Iterator[str]:
    data = png(rgb)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path in ("/moved", "/ftp", "/file"):
                target = {"/moved": "/a.png", "/ftp": "ftp://x/a.png", "/file": "file:///a.png"}
                self.send_response(302)
                self.send_header("Location", target[self.path])
                self.end_headers()
                return
            if self.path == "/slow":
                time.sleep(0.6)
            self.send_response(404 if self.path == "/nothing" else 200)
            self.end_headers()
            with suppress(OSError):  # the reader may have given up
                self.wfile.write(b"<html>sorry" if self.path == "/page" else data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def test_urls(server: str, rgb: NDArray[np.uint8]) -> None:
    for page in ("/a.png", "/moved"):
        loaded = load_image(server + page)
        np.testing.assert_array_equal(loaded.pixels, rgb)
        assert loaded.path == server + page
        assert loaded.sha256 == hashlib.sha256(png(rgb)).hexdigest()


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("/nothing", "HTTP Error 404"),
        ("/page", "begins with b'<html>sorry'"),
        ("/ftp", "unknown url type: ftp"),
        ("/file", "not allowed"),
    ],
)
def test_urls_that_give_no_picture(server: str, page: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"{server}{page}.*{reason}"):
        load_image(server + page)


def test_a_silent_server_is_given_up(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "DOWNLOAD_TIMEOUT_S", 0.1)
    with pytest.raises(InputError, match="timed out"):
        load_image(server + "/slow")


def test_a_huge_download_is_given_up(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_DOWNLOAD_BYTES", 100)
    with pytest.raises(InputError, match="expected at most 100 bytes"):
        load_image(server + "/a.png")


@pytest.mark.parametrize("url", ["ftp://host/a.png", "file:///etc/hosts", "data://x"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"expected a path or an http\(s\):// URL"):
        load_image(url)


def test_an_unreachable_host_is_an_input_error() -> None:
    with pytest.raises(InputError, match="cannot download"):
        load_image("http://127.0.0.1:1/a.png")
