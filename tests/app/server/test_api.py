import base64
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
from fastapi import APIRouter, Request

from grounded_ram.app.server.api import create_app
from grounded_ram.app.server.bodies import FORMATS
from grounded_ram.app.server.settings import Settings
from grounded_ram.cli.results import record
from grounded_ram.pipeline import GroundedRAM
from tests.app.server.live import Live, encoded, png, serving

SCENE = png(5)


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live.url, timeout=60, trust_env=False) as client:
        yield client


def sent(client: httpx.Client, data: bytes = SCENE, **fields: Any) -> httpx.Response:
    return client.post("/annotate", files={"file": ("a/b.png", data)}, data=fields)


def wrong(answer: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and message of an error, which holds nothing else."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    message = body["error"]["message"]
    assert "Traceback" not in message
    assert "/grounded_ram/" not in message
    return answer.status_code, body["error"]["code"], message


def test_json_is_what_annotate_json_says_of_a_picture(
    client: httpx.Client, model: GroundedRAM
) -> None:
    expected = record(model.annotate(SCENE), "b.png", None)  # type: ignore[arg-type]
    for place in ("input", "overlay"):  # the server knows no files
        del expected[place]
    answer = sent(client)
    assert answer.json() == expected
    assert len(expected["objects"]) > 1


def test_base64_is_the_same_picture_as_a_file(client: httpx.Client) -> None:
    text = base64.b64encode(SCENE).decode()
    expected = {**sent(client).json(), "name": None}
    for image in (text, f"data:image/png;base64,{text}"):
        assert client.post("/annotate", json={"image": image}).json() == expected


def test_tags_and_thresholds_are_those_of_the_request(
    client: httpx.Client, model: GroundedRAM
) -> None:
    names = ["mushroom", "carrot", "book", "lamp"]
    every = model.annotate(SCENE, tags=names).detections
    assert len(every) > 1
    share = float(np.sort(every.data["box_score"])[-1]) - 1e-4
    answer = sent(client, tags="mushroom, carrot,book,lamp,Lamp", box_threshold=str(share)).json()
    strict = GroundedRAM("tiny", device="cpu", box_threshold=share).annotate(SCENE, tags=names)
    assert [one["name"] for one in answer["objects"]] == list(strict.detections.data["class_name"])
    assert len(answer["objects"]) == 1
    as_json = {"image": base64.b64encode(SCENE).decode(), "tags": names, "box_threshold": share}
    assert client.post("/annotate", json=as_json).json() == {**answer, "name": None}


def test_coco_is_what_the_package_writes(client: httpx.Client, model: GroundedRAM) -> None:
    found = model.annotate(SCENE)
    for masks in ("rle", "polygon"):
        expected = replace(found, image=replace(found.image, file_name="b.png"))
        answer = sent(client, format="coco", masks=masks)
        assert answer.json() == json.loads(json.dumps(expected.to_coco(masks=masks)))


def test_an_overlay_is_a_jpeg_of_the_pictures_size(client: httpx.Client) -> None:
    answer = sent(client, format="overlay")
    assert answer.headers["content-type"] == "image/jpeg"
    with PIL.Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (96, 96))


def test_masks_are_pictures_with_the_pixels_of_each_object(
    client: httpx.Client, model: GroundedRAM
) -> None:
    masks = model.annotate(SCENE).masks
    with zipfile.ZipFile(io.BytesIO(sent(client, format="masks").content)) as archive:
        rows = json.loads(archive.read("masks.json"))
        assert len(rows) == len(masks) > 1
        for row, about in enumerate(rows):
            with PIL.Image.open(io.BytesIO(archive.read(about["file"]))) as picture:
                np.testing.assert_array_equal(np.asarray(picture) == 255, masks[row])


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("yolo", {"data.yaml", "labels/train/picture.txt"}),
        ("yolo-detect", {"data.yaml", "labels/train/picture.txt"}),
        ("voc", {"Annotations/picture.xml"}),
        ("labelme", {"picture.json"}),
    ],
)
def test_files_of_a_format_come_in_a_zip_under_names_of_our_own(
    client: httpx.Client, form: str, files: set[str]
) -> None:
    answer = client.post(
        "/annotate", files={"file": ("../../etc/passwd", SCENE)}, data={"format": form}
    )
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert files <= set(archive.namelist())
        assert b"passwd" not in b"".join(archive.read(name) for name in archive.namelist())


@pytest.mark.parametrize("form", FORMATS)
def test_a_picture_of_nothing_is_answered_in_every_format(client: httpx.Client, form: str) -> None:
    grey = encoded(np.full((40, 60, 3), 127, np.uint8))
    assert sent(client, grey, format=form, tags="book").status_code == 200


def test_tags_are_those_of_tag_batch(client: httpx.Client, model: GroundedRAM) -> None:
    (expected,) = model.adjusted(tag_threshold=0.999).tag_batch([SCENE])
    answer = client.post("/tags", files={"file": SCENE}, data={"tag_threshold": "0.999"}).json()
    assert tuple(tag["name"] for tag in answer["tags"]) == expected.names
    assert (answer["height"], answer["width"]) == (96, 96)
    assert "objects" not in answer


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tag_threshold": "1.5"}, "tag_threshold"),
        ({"tag_threshold": "nan"}, "tag_threshold"),
        ({"box_threshold": "much"}, "box_threshold"),
        ({"format": "gif"}, "'yolo'"),
        ({"masks": "png"}, "polygon"),
        ({"colour": "rgb"}, "known: tag_threshold, tags"),
        ({"tags": "a,,b"}, "1 to 20 printable"),
        ({"tags": "x" * 21}, "1 to 20 printable"),
        ({"tags": "a\nb"}, "1 to 20 printable"),
        ({"tags": "a,b,c,d,e,f"}, "1 to 5 names, got 6"),
        ({"path": "/etc/passwd"}, "unknown field 'path'"),
    ],
)
def test_a_field_that_cannot_be_is_told_by_its_name(
    client: httpx.Client, fields: dict[str, str], said: str
) -> None:
    status, code, message = wrong(sent(client, **fields))
    assert (status, code) == (422, "invalid")
    assert said in message


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"image": None},
        {"image": "/etc/passwd"},
        {"image": "https://host.example/picture.jpg"},
        {"image": "file:///etc/passwd"},
        {"image": 7},
        {"image": "aGk=", "url": "https://host.example/a.jpg"},
        {"image": "aGk=", "tags": "book"},
        {"image": "aGk=", "tags": ["book", 3]},
        {"image": "aGk=", "tag_threshold": "0.5"},
        [1],
    ],
)
def test_json_that_cannot_be_is_refused(client: httpx.Client, body: Any) -> None:
    assert wrong(client.post("/annotate", json=body))[:2] == (422, "invalid")


def test_half_a_character_is_no_name(client: httpx.Client) -> None:
    body = b'{"image": "aGk=", "tags": ["\\ud800"]}'
    answer = client.post("/annotate", content=body, headers={"Content-Type": "application/json"})
    assert wrong(answer)[:2] == (422, "invalid")


@pytest.mark.parametrize("text", [b"{", b"\xff", b"[" * 60_000, b'{"image": NaN'])
def test_what_is_no_json_is_malformed(client: httpx.Client, text: bytes) -> None:
    answer = client.post("/annotate", content=text, headers={"Content-Type": "application/json"})
    assert wrong(answer)[:2] == (400, "malformed")


@pytest.mark.parametrize(
    "media",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=x; charset=none",
        "multipart/form-data;",
    ],
)
def test_a_broken_form_is_malformed(client: httpx.Client, media: str) -> None:
    body = b"--y\r\nContent-Disposition: form-data\r\n\r\nz"
    answer = client.post("/annotate", content=body, headers={"Content-Type": media})
    assert wrong(answer)[:2] == (400, "malformed")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"no picture", (415, "unsupported_media_type")),
        (b"", (415, "unsupported_media_type")),
        (SCENE[: len(SCENE) // 2], (422, "invalid")),
        (encoded(np.zeros((201, 200, 3), np.uint8)), (413, "too_large")),
        (SCENE + b"\0" * 100_000, (413, "too_large")),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    client: httpx.Client, data: bytes, expected: tuple[int, str]
) -> None:
    assert wrong(sent(client, data))[:2] == expected
    text = base64.b64encode(data).decode()
    answer = client.post("/tags", json={"image": text})
    assert wrong(answer)[:2] == expected


def test_pixels_are_counted_before_any_is_decoded(client: httpx.Client) -> None:
    bomb = encoded(np.zeros((8, 8, 3), np.uint8)).replace(
        b"\0\0\0\x08\0\0\0\x08", b"\0\0\xff\xff\0\0\xff\xff"
    )
    bomb = bomb[:29] + __import__("zlib").crc32(bomb[12:29]).to_bytes(4, "big") + bomb[33:]
    status, code, message = wrong(sent(client, bomb))
    assert (status, code) == (413, "too_large")
    assert "65535 x 65535" in message


def test_addresses_are_off_unless_the_owner_says_otherwise(client: httpx.Client) -> None:
    answer = client.post("/annotate", json={"url": "http://127.0.0.1:1/a.png"})
    assert wrong(answer)[:2] == (403, "urls_not_allowed")


def test_another_type_of_body_is_refused(client: httpx.Client) -> None:
    answer = client.post("/annotate", content=SCENE, headers={"Content-Type": "image/png"})
    assert wrong(answer)[:2] == (415, "unsupported_media_type")


def test_what_is_not_there_is_told_in_the_same_shape(client: httpx.Client) -> None:
    assert wrong(client.get("/nothing"))[:2] == (404, "not_found")
    answer = client.get("/annotate")
    assert wrong(answer)[:2] == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_the_root_leads_to_the_page_that_says_what_to_ask(client: httpx.Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_models_tell_names_and_limits_and_no_places(client: httpx.Client) -> None:
    (row,) = client.get("/models").json()["models"]
    assert (row["preset"], row["tagger"], row["limits"]["max_pixels"]) == (
        "tiny",
        "ram:tiny",
        40000,
    )
    assert not any("/" in str(value) for key, value in row.items() if key != "formats")


def test_metrics_count_requests_and_refusals(client: httpx.Client) -> None:
    def value(line: str) -> float:
        text = client.get("/metrics").text
        return float(next((x for x in text.splitlines() if x.startswith(line)), "0 0").split()[-1])

    lines = [
        'grounded_ram_requests_total{route="/tags",status="200"}',
        'grounded_ram_requests_total{route="other",status="404"}',
        'grounded_ram_rejected_total{reason="unsupported_media_type"}',
        "grounded_ram_pictures_total",
        "grounded_ram_batch_size_count",
    ]
    before = [value(line) for line in lines]
    client.post("/tags", files={"file": SCENE})
    client.get("/some/new/path")
    sent(client, b"no picture")
    assert [value(line) for line in lines] == [count + 1 for count in before]
    assert value("grounded_ram_queue_length") == 0
    assert value("grounded_ram_ready") == 1


def test_a_fault_of_ours_says_nothing_of_its_inside(model: GroundedRAM) -> None:
    class Broken:
        def tag(self, images: Any, *, threshold: float | None = None) -> Any:
            if images[0].shape[0] == 32:  # the picture that loads the weights
                return model.tagger.tag(images)
            raise RuntimeError("/secret/place")

    broken = GroundedRAM("tiny", tagger=Broken(), device="cpu")
    with serving(create_app(broken)) as live:
        answer = httpx.post(f"{live.url}/tags", files={"file": SCENE}, trust_env=False, timeout=60)
        assert wrong(answer)[:2] == (500, "internal")
        assert "secret" not in answer.text


def test_the_key_is_asked_for_everywhere_but_for_health(model: GroundedRAM) -> None:
    router = APIRouter()

    @router.get("/more")
    async def more(request: Request) -> str:
        return str(request.app.state.service.model.preset.name)

    app = create_app(model, Settings(api_key="s3cret"), [router])
    with (
        serving(app) as live,
        httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client,
    ):
        assert client.get("/health").status_code == 200
        for path in ("/models", "/metrics", "/more", "/docs", "/openapi.json", "/nothing"):
            answer = client.get(path)
            assert wrong(answer)[:2] == (401, "unauthorized"), path
            assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/more", headers={"X-API-Key": "s3cret"}).json() == "tiny"
        good = {"Authorization": "Bearer s3cret"}
        assert client.post("/tags", files={"file": SCENE}, headers=good).status_code == 200
        basic = base64.b64encode(b"anybody:s3cret").decode()
        assert client.get("/more", headers={"Authorization": f"Basic {basic}"}).json() == "tiny"
        wrong_basic = base64.b64encode(b"s3cret:").decode()
        for bad in (
            {"X-API-Key": "s3cre"},
            {"Authorization": "Basic s3cret"},
            {"Authorization": f"Basic {wrong_basic}"},
        ):
            assert client.get("/models", headers=bad).status_code == 401


def test_a_server_on_loopback_answers_to_no_other_name(client: httpx.Client) -> None:
    answer = client.get("/health", headers={"Host": "evil.example"})
    assert wrong(answer)[:2] == (421, "wrong_host")
    assert client.get("/health", headers={"Host": "localhost:99"}).status_code == 200
