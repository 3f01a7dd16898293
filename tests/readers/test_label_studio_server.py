"""A real Label Studio, on this machine, that asks our server for predictions and keeps them.

It is a large Django application, so it runs where GROUNDED_RAM_LABEL_STUDIO names the Python of an
environment in which ``pip install label-studio`` was run. It makes its own database in a temporary
folder and asks nothing of any other host.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import requests
import uvicorn

from grounded_ram import GroundedRAM
from grounded_ram.annotation import Annotation
from grounded_ram.app.server.api import create_app
from grounded_ram.app.server.label_studio import router_for
from grounded_ram.app.server.settings import Settings
from grounded_ram.export.label_studio import model_version
from grounded_ram.scenes.scene import make_scene
from tests.readers.asking import ask

VARIABLE = "GROUNDED_RAM_LABEL_STUDIO"
TOKEN = "0123456789abcdef0123456789abcdef01234567"

CONFIG = """
<View>
  <Image name="picture" value="$photo"/>
  <RectangleLabels name="box" toName="picture">{labels}</RectangleLabels>
  <BrushLabels name="brush" toName="picture">{labels}</BrushLabels>
  <PolygonLabels name="outline" toName="picture">{labels}</PolygonLabels>
  <Choices name="seen" toName="picture" choice="multiple">{choices}</Choices>
</View>
"""

READ = """
from label_studio_sdk.converter import brush
from label_studio_sdk.label_interface import LabelInterface
config, predictions = json.loads(Path(sys.argv[1]).read_text("utf-8"))
interface = LabelInterface(config)
errors = [interface.validate_prediction(one, return_errors=True) for one in predictions]
items = [item for one in predictions for item in one["result"] if item["type"] == "brushlabels"]
answer([errors, [brush.decode_rle(item["value"]["rle"]).tolist() for item in items]])
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def wait_for(
    url: str, process: subprocess.Popen[bytes] | None = None, seconds: float = 600
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process is None or process.poll() is None, "it ended"
        try:
            if requests.get(url, timeout=5).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")


@pytest.fixture(scope="module")
def python() -> Path:
    named = os.environ.get(VARIABLE)
    if not named:
        pytest.skip(f"needs {VARIABLE}: the Python of an environment that has label-studio")
    return Path(named)


@dataclass(frozen=True)
class Host:
    """A running Label Studio."""

    url: str

    def call(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Token {TOKEN}"}
        done = requests.request(method, self.url + path, headers=headers, timeout=120, **options)
        assert done.status_code < 300, f"{path}: {done.status_code} {done.text[:2000]}"
        return done.json() if done.content else None


@pytest.fixture(scope="module")
def host(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder, port = tmp_path_factory.mktemp("label-studio"), free_port()
    alone = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    quiet = {"COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false"}
    silent = {"SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "", "HOME": str(folder)}
    near = {"ML_BLOCK_LOCAL_IP": "false", "SSRF_PROTECTION_ENABLED": "false"}
    patient = dict.fromkeys(
        ("ML_CONNECTION_TIMEOUT", "ML_TIMEOUT_HEALTH", "ML_TIMEOUT_SETUP"), "60"
    )
    user = ("--username", "a@example.com", "--password", "a-long-password", "--user-token", TOKEN)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [
                *(python, "-m", "label_studio.server", "start", "--no-browser"),
                *("--internal-host", "127.0.0.1", "--port", str(port), "--log-level", "WARNING"),
                *("--data-dir", folder, *user, "--enable-legacy-api-token"),
            ],
            cwd=folder,
            env={**alone, **quiet, **silent, **near, **patient},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            yield Host(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def model() -> GroundedRAM:
    return GroundedRAM("tiny", device="cpu")


@pytest.fixture
def serve(model: GroundedRAM) -> Iterator[Callable[[str, str], str]]:
    """Start our server; returns its address."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(url: str, key: str) -> str:
        port, settings = free_port(), Settings()
        router = router_for(model, settings, url=url, key=key)
        app = create_app(model, settings, [router])
        server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        wait_for(f"http://127.0.0.1:{port}/health/ready", seconds=60)
        return f"http://127.0.0.1:{port}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(30)


@dataclass(frozen=True)
class Shown:
    """A picture and what we say of it."""

    png: bytes
    annotation: Annotation
    seen: Annotation


def show(model: GroundedRAM, seed: int, names: list[str]) -> Shown:
    file = io.BytesIO()
    PIL.Image.fromarray(make_scene(seed).image).save(file, "PNG")
    data = file.getvalue()
    return Shown(data, model.annotate(data, tags=names), model.annotate(data))


def import_pictures(host: Host, project: int, shown: list[Shown]) -> dict[int, Shown]:
    """Upload pictures, as their names dropped on the page are; returns them by their tasks."""
    for number, one in enumerate(shown):
        files = {"file": (f"scene {number}.png", one.png, "image/png")}
        done = host.call("POST", f"/api/projects/{project}/import", files=files)
        assert done["task_count"] == 1
    tasks = host.call("GET", f"/api/tasks?project={project}")["tasks"]
    numbers = sorted(task["id"] for task in tasks)
    assert all(task["data"]["photo"].startswith("/data/upload/") for task in tasks)
    return dict(zip(numbers, shown, strict=True))


def personal_token(host: Host) -> str:
    token: str = host.call("POST", "/api/token/")["token"]
    return token


@pytest.mark.parametrize("kind", ["legacy token", "personal access token"])
def test_label_studio_keeps_what_annotate_says(
    kind: str,
    host: Host,
    python: Path,
    model: GroundedRAM,
    serve: Callable[[str, str], str],
    tmp_path: Path,
) -> None:
    names = sorted({one.name for seed in (0, 1) for one in make_scene(seed).objects})
    shown = [show(model, seed, names) for seed in (0, 1)]
    assert sum(len(one.annotation.detections) for one in shown) >= 4
    labels = "".join(f'<Label value="{n.upper()}" alias="L {n}"/>' for n in names)
    told = sorted({name for one in shown for name in one.seen.tags.names})
    choices = "".join(f'<Choice value="{name}"/>' for name in told)
    config = CONFIG.format(labels=labels, choices=choices)
    project = host.call("POST", "/api/projects", json={"title": kind, "label_config": config})["id"]
    key = TOKEN if kind == "legacy token" else personal_token(host)
    address = serve(host.url, key)
    backend = host.call("POST", "/api/ml", json={"url": address, "project": project, "title": "us"})
    assert backend["readable_state"] == "Connected"
    version = model_version(model.record())
    assert backend["model_version"] == version
    assert host.call("GET", f"/api/ml/{backend['id']}/versions")["versions"] == [version]

    tasks = import_pictures(host, project, shown)
    lost = {"project": project, "data": {"photo": "/data/upload/1/absent.png"}}
    lost_id = host.call("POST", "/api/tasks", json=lost)["id"]
    action = f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}"
    asked = {"selectedItems": {"all": True, "excluded": []}, "filters": None, "ordering": []}
    host.call("POST", action, json=asked)

    assert host.call("GET", f"/api/predictions?task={lost_id}") == []
    predictions, masks = [], []
    for task, one in tasks.items():
        (prediction,) = host.call("GET", f"/api/predictions?task={task}")
        assert prediction["model_version"] == version
        found, scores = one.annotation, one.annotation.detections.data["label_score"]
        assert prediction["score"] == pytest.approx(float(np.mean(scores)), abs=1e-5)
        items = prediction["result"]
        check_boxes([item for item in items if item["from_name"] == "box"], found)
        mine = [item for item in items if item["from_name"] == "brush"]
        assert [item["value"]["brushlabels"] for item in mine] == written(found)
        predictions.append({key: prediction[key] for key in ("result", "score", "model_version")})
        masks += list(np.asarray(found.masks))
        assert {item["from_name"] for item in items} == {"box", "brush", "outline", "seen"}
        (choice,) = [item for item in items if item["from_name"] == "seen"]
        assert set(one.seen.tags.names) <= set(choice["value"]["choices"])
    (tmp_path / "told.json").write_text(json.dumps([config, predictions]))
    errors, brushes = ask(python, READ, tmp_path / "told.json")
    assert errors == [[], []]
    for rgba, mask in zip(brushes, masks, strict=True):
        assert mask.any()
        np.testing.assert_array_equal(np.reshape(rgba, (*mask.shape, 4))[..., 3] == 255, mask)


def written(annotation: Annotation) -> list[list[str]]:
    return [[f"L {name}"] for name in annotation.detections.data["class_name"]]


def check_boxes(items: list[Any], annotation: Annotation) -> None:
    """Compare percents with the tight boxes of masks."""
    height, width = annotation.image.size_hw
    assert [item["value"]["rectanglelabels"] for item in items] == written(annotation)
    for item, mask, score in zip(
        items, annotation.masks, annotation.detections.data["label_score"], strict=True
    ):
        rows, columns = np.nonzero(mask)
        value, expected = item["value"], (columns.min(), rows.min(), np.ptp(columns) + 1)
        assert value["x"] * width / 100 == pytest.approx(expected[0])
        assert value["y"] * height / 100 == pytest.approx(expected[1])
        assert value["width"] * width / 100 == pytest.approx(expected[2])
        assert value["height"] * height / 100 == pytest.approx(np.ptp(rows) + 1)
        assert item["score"] == pytest.approx(float(score), abs=1e-5)
        assert (item["original_width"], item["original_height"]) == (width, height)
