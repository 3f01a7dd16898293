from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, get_args

import PIL.Image
import pytest
from fastapi.testclient import TestClient

from grounded_ram import GroundedRAM
from grounded_ram.annotation import Annotation
from grounded_ram.app.server.api import create_app
from grounded_ram.app.server.label_studio import (
    AT_ONCE,
    MAX_BODY_BYTES,
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
        self.forget()

    def forget(self) -> None:
        self.asked: list[tuple[bytes, tuple[str, ...] | None]] = []
        self.fetched: list[tuple[str, int]] = []
        self.at_once = self.most = 0
        self.go_on = threading.Event()

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
        if told == "slow":
            await asyncio.to_thread(self.go_on.wait, 5)
        if told == "lost":
            raise InputError("expected a picture, got nothing; bring one")
        return told.encode()


@pytest.fixture(scope="module")
def model() -> GroundedRAM:
    return GroundedRAM("tiny", device="cpu")


@contextmanager
def started(model: GroundedRAM, stand: Stand, **limits: Any) -> Iterator[TestClient]:
    """Ask a server whose own model answers nothing."""
    router = label_studio_router(stand.picture, model_version="us 1", annotate=stand.annotate)
    app = create_app(model, Settings(**limits), routers=[router])
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def shared(model: GroundedRAM) -> Iterator[tuple[Stand, TestClient]]:
    stand = Stand()
    with started(model, stand) as client:
        yield stand, client


@pytest.fixture
def stand(shared: tuple[Stand, TestClient]) -> Stand:
    shared[0].forget()
    return shared[0]


@pytest.fixture
def client(shared: tuple[Stand, TestClient], stand: Stand) -> TestClient:
    return shared[1]


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


def test_bodies_have_a_limit_of_their_own_whatever_a_picture_may_have(model: GroundedRAM) -> None:
    with started(model, Stand(), max_bytes=1000) as client:
        long = "a" * 300_000
        assert predict(client, "a", project=long).status_code == 200
        assert client.post("/setup", json={"schema": CONFIG, "more": long}).status_code == 200
        event = {"action": "TASKS_CREATED", "more": long}
        assert client.post("/webhook", json=event).status_code == 200
        assert client.post("/annotate", json={"image": long}).status_code == 413
        answer = predict(client, "a" * MAX_BODY_BYTES)
        assert answer.status_code == 413
        assert f"{MAX_BODY_BYTES:,} bytes" in answer.json()["error"]["message"]


def test_a_task_that_takes_too_long_does_not_stop_the_others(
    model: GroundedRAM, caplog: pytest.LogCaptureFixture
) -> None:
    stand = Stand()
    with started(model, stand, timeout_s=0.3) as client:
        slow, quick = predict(client, "slow", "a").json()["results"]
        stand.go_on.set()
    assert "in time" in slow["error"]
    assert "task 1" in caplog.text
    assert quick["score"] == 0.8


def test_bodies_are_held_only_for_as_many_as_may_wait(model: GroundedRAM) -> None:
    stand = Stand()
    with started(model, stand, max_queue=1) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(predict, client, "slow")
        end = time.monotonic() + 10
        while not stand.fetched and time.monotonic() < end:
            time.sleep(0.005)
        for path in ("/predict", "/setup", "/webhook"):
            answer = client.post(path, json={})
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), path
        assert client.get("/versions").status_code == 200
        stand.go_on.set()
        assert first.result().status_code == 200
        assert client.post("/setup", json={"schema": CONFIG}).status_code == 200


@pytest.mark.parametrize(("url", "key"), [("http://a.example", None), (None, "abc")])
def test_an_address_and_a_key_go_together(
    url: str | None, key: str | None, model: GroundedRAM
) -> None:
    got = "the address alone" if url else "the key alone"
    said = f"together, or the variables LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY; got {got}"
    with pytest.raises(InputError, match=said):
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


def test_the_servers_limits_of_tags_hold(real: TestClient) -> None:
    """More names, and longer ones, than the server looks for in one picture."""
    address = "data:image/png;base64," + base64.b64encode(b"never read").decode()
    image = '<Image name="img" value="$image"/>'
    for labels, said in (
        ("".join(f'<Label value="thing {n}"/>' for n in range(101)), "1 to 100 names, got 101"),
        (f'<Label value="{"x" * 101}"/>', "names of 1 to 100 printable"),
    ):
        config = f'<BrushLabels name="b" toName="img">{labels}</BrushLabels>'
        body = {"tasks": tasks(address), "label_config": f"<View>{image}{config}</View>"}
        (one,) = real.post("/predict", json=body).json()["results"]
        assert said in one["error"]


def test_a_name_that_no_answer_can_hold_spoils_its_own_task_alone(client: TestClient) -> None:
    config = (
        '<View><Image name="img" value="$image"/>'
        '<Choices name="what" toName="img" value="$opts"/></View>'
    )
    two = [{"id": 1, "data": {"image": "a", "opts": [{"value": "beach", "alias": "\ud800"}]}}]
    two.append({"id": 2, "data": {"image": "a", "opts": ["beach"]}})
    body = json.dumps({"tasks": two, "label_config": config})
    answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    bad, good = answer.json()["results"]
    assert "printable" in bad["error"]
    assert good["result"]
