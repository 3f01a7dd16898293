from __future__ import annotations

import asyncio
import base64
import io
import logging
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import PIL.Image
import pytest
from fastapi.testclient import TestClient

from grounded_ram import GroundedRAM
from grounded_ram.annotation import Annotation
from grounded_ram.app.server import label_studio
from grounded_ram.app.server.api import create_app
from grounded_ram.app.server.label_studio import (
    AT_ONCE,
    Event,
    label_studio_router,
    router_for,
)
from grounded_ram.app.server.settings import Settings
from grounded_ram.errors import InputError
from grounded_ram.scenes.scene import make_scene
from tests.hand_annotation import annotate, rectangle

CONFIG = (
    '<View><Image name="img" value="$image"/><RectangleLabels name="box" toName="img">'
    '<Label value="car"/></RectangleLabels>'
    '<Choices name="what" toName="img"><Choice value="beach"/></Choices></View>'
)


class Stand:
    """Answers for the model and for the places of pictures; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, tuple[str, ...] | None]] = []
        self.fetched: list[tuple[str, int]] = []
        self.at_once = self.most = 0

    async def annotate(self, data: bytes, tags: Sequence[str] | None) -> Annotation:
        self.asked.append((data, None if tags is None else tuple(tags)))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        if data == b"fault":
            raise ZeroDivisionError("inner secret")
        if tags is None:
            return annotate(ungrounded=("beach",))
        return annotate([("car", rectangle((40, 60), 1, 1, 9, 9))])

    async def picture(self, told: str, task: int) -> bytes:
        self.fetched.append((told, task))
        if told == "lost":
            raise InputError("expected a picture, got nothing; bring one")
        return told.encode()


@pytest.fixture(scope="module")
def model() -> GroundedRAM:
    return GroundedRAM("tiny", device="cpu")


@pytest.fixture
def stand() -> Stand:
    return Stand()


@pytest.fixture
def client(model: GroundedRAM, stand: Stand) -> TestClient:
    """Ask a server that is not started: its own model answers nothing here."""
    router = label_studio_router(stand.picture, model_version="us 1", annotate=stand.annotate)
    app = create_app(model, routers=[router])
    return TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)


def tasks(*told: str) -> list[dict[str, Any]]:
    return [{"id": n, "data": {"image": one}, "more": 1} for n, one in enumerate(told, 1)]


def predict(client: TestClient, *told: str, **more: Any) -> Any:
    body = {"tasks": tasks(*told), "label_config": CONFIG, "project": "1.2", **more}
    return client.post("/predict", json=body)


def test_setup_names_the_version_and_believes_nothing_else(client: TestClient) -> None:
    told = {"hostname": "http://evil.example", "access_token": "t", "extra_params": None}
    answer = client.post("/setup", json={"project": "1.2", "schema": CONFIG, **told})
    assert (answer.status_code, answer.json()) == (200, {"model_version": "us 1"})
    assert client.post("/setup", json={"schema": "<View></View>"}).status_code == 200
    assert client.get("/versions").json() == {"versions": ["us 1"]}
    assert client.get("/health").status_code == 200


def test_a_config_that_cannot_be_filled_in_is_refused_and_logged(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = '<View><Image name="i" value="$i"/><Ellipse name="e" toName="i"/></View>'
    for path, body in (
        ("/setup", {"schema": wrong}),
        ("/predict", {"label_config": wrong, "tasks": []}),
    ):
        caplog.clear()
        answer = client.post(path, json=body)
        assert answer.status_code == 422
        assert "got Ellipse" in answer.json()["error"]["message"]
        assert "got Ellipse" in caplog.text


def test_every_task_is_answered_in_its_place(client: TestClient, stand: Stand) -> None:
    results = predict(client, "a", "b").json()["results"]
    assert stand.fetched == [("a", 1), ("b", 2)]  # once, for both questions
    assert sorted(stand.asked, key=str) == sorted(
        [(name, tags) for name in (b"a", b"b") for tags in (("car",), None)], key=str
    )
    for number, one in enumerate(results, 1):
        assert one["model_version"] == "us 1"
        assert one["score"] == 0.8
        assert [item["type"] for item in one["result"]] == ["rectanglelabels", "choices"]
        assert [item["id"] for item in one["result"]] == [f"{number}-0", f"{number}-1"]
    assert predict(client).json() == {"results": []}


def test_one_task_that_fails_does_not_stop_the_others(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        results = predict(client, "a", "lost", "fault", "b").json()["results"]
    assert [sorted(one) for one in results] == [
        ["model_version", "result", "score"],
        ["error"],
        ["error"],
        ["model_version", "result", "score"],
    ]
    assert results[1]["error"] == "expected a picture, got nothing; bring one"
    assert "secret" not in results[2]["error"]
    assert "task 2: expected a picture" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_task_without_its_picture_says_so(client: TestClient) -> None:
    body = {"tasks": [{"id": 5, "data": {"photo": "a"}}], "label_config": CONFIG}
    (one,) = client.post("/predict", json=body).json()["results"]
    assert "'image'" in one["error"]


def test_few_tasks_are_worked_on_at_a_time(client: TestClient, stand: Stand) -> None:
    predict(client, *map(str, range(12)))
    assert stand.most == AT_ONCE


def test_what_somebody_draws_is_not_completed(client: TestClient, stand: Stand) -> None:
    drawn = {"result": [{"type": "keypointlabels"}]}
    answer = predict(client, "a", params={"context": drawn})
    assert answer.status_code == 422
    assert "interactive" in answer.json()["error"]["message"]
    assert stand.asked == []
    for context in (None, {}, {"result": []}):
        assert predict(client, "a", params={"login": None, "context": context}).status_code == 200


@pytest.mark.parametrize("event", [one for one in get_args(Event) if one != "START_TRAINING"])
def test_events_are_heard(event: str, client: TestClient) -> None:
    answer = client.post("/webhook", json={"action": event, "project": {"id": 1}, "task": {}})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_training_and_unknown_events_are_refused(client: TestClient) -> None:
    answer = client.post("/webhook", json={"action": "START_TRAINING"})
    assert answer.status_code == 422
    assert "grounded-ram train" in answer.json()["error"]["message"]
    answer = client.post("/webhook", json={"action": "COFFEE"})
    assert answer.status_code == 422
    assert "action: Input should be 'START_TRAINING'" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "JSON"),
        (b"[]", "the body"),
        (b"{}", "tasks"),
        (b'{"tasks": [{"data": {}}], "label_config": ""}', "tasks.0.id"),
    ],
)
def test_bodies_that_are_none_say_which_field(body: bytes, named: str, client: TestClient) -> None:
    answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert named in answer.json()["error"]["message"]


def test_bodies_over_the_limit_are_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_studio, "MAX_BODY_BYTES", 400)
    assert predict(client, "a" * 1000).status_code == 413
    assert client.post("/webhook", json={"action": "TASKS_CREATED"}).status_code == 200


@pytest.mark.parametrize(("url", "key"), [("http://a.example", None), (None, "abc")])
def test_an_address_and_a_key_go_together(
    url: str | None, key: str | None, model: GroundedRAM
) -> None:
    with pytest.raises(InputError, match="together"):
        router_for(model, Settings(), url=url, key=key)


@pytest.fixture(scope="module")
def real(model: GroundedRAM) -> Iterator[TestClient]:
    router = router_for(model, Settings(), url=None, key=None)
    with TestClient(create_app(model, routers=[router]), base_url="http://127.0.0.1") as client:
        yield client


def test_the_servers_own_model_answers_as_annotate_does(
    real: TestClient, model: GroundedRAM
) -> None:
    file = io.BytesIO()
    PIL.Image.fromarray(make_scene(0).image).save(file, "PNG")
    names = sorted({one.name for one in make_scene(0).objects})
    labels = "".join(f'<Label value="{name}"/>' for name in names)
    config = (
        '<View><Image name="img" value="$image"/><PolygonLabels name="p" toName="img">'
        f"{labels}</PolygonLabels></View>"
    )
    address = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    body = {"tasks": tasks(address, "data:image/png;base64,AAAA"), "label_config": config}
    good, bad = real.post("/predict", json=body).json()["results"]
    found = model.annotate(file.getvalue(), tags=names)
    assert len(found.detections)
    told = [item["value"]["polygonlabels"][0] for item in good["result"]]
    assert sorted(set(told)) == sorted(set(found.detections.data["class_name"].tolist()))
    assert good["model_version"] == f"grounded-ram {model.record()['version']} tiny"
    assert "picture" in bad["error"] or "image" in bad["error"]
