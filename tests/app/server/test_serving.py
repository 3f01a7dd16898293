import http.client
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from grounded_ram.app.hosts import is_loopback
from grounded_ram.app.server.api import create_app
from grounded_ram.app.server.guard import host_of
from grounded_ram.app.server.serving import StoppableServer, hosts_of, open_socket, url_of
from grounded_ram.app.server.settings import Settings
from grounded_ram.errors import InputError
from grounded_ram.pipeline import GroundedRAM
from tests.app.server.live import Gate, Live, png, serving

SCENE = png(5)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


@contextmanager
def gated(model: GroundedRAM, **limits: Any) -> Iterator[tuple[Live, Gate, httpx.Client]]:
    """Run a server whose tagger can be held up."""
    gate = Gate(model.tagger)
    own = GroundedRAM(
        "tiny", tagger=gate, detector=model.detector, segmenter=model.segmenter, device="cpu"
    )
    with (
        serving(create_app(own, Settings(**limits))) as live,
        httpx.Client(base_url=live.url, timeout=60, trust_env=False) as client,
    ):
        until(lambda: live.service.ready)
        try:
            yield live, gate, client
        finally:
            gate.open.set()


def ask(client: httpx.Client) -> httpx.Response:
    return client.post("/tags", files={"file": SCENE})


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_full_queue_is_told_before_the_picture_is_sent(model: GroundedRAM) -> None:
    with gated(model, max_queue=1) as (live, gate, client), ThreadPoolExecutor(2) as pool:
        gate.open.clear()
        first = pool.submit(ask, client)
        until(gate.entered.is_set)
        second = pool.submit(ask, client)
        until(lambda: live.service.waiting == 1)
        head = (
            b"POST /tags HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", httpx.URL(live.url).port)) as sock:
            sock.sendall(head)
            with sock.makefile("rb") as told:
                answer = b"".join(told.readline() for _ in range(6)) + told.read(50)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in answer.lower()
        assert b"queue_full" in answer
        gate.open.set()
        assert [first.result().status_code, second.result().status_code] == [200, 200]
        assert ask(client).status_code == 200


def test_a_request_that_is_late_leaves_the_queue(model: GroundedRAM) -> None:
    with gated(model, timeout_s=0.5) as (live, gate, client), ThreadPoolExecutor(2) as pool:
        gate.open.clear()
        both = [pool.submit(ask, client) for _ in range(2)]
        assert [code(one.result()) for one in both] == [(504, "timed_out")] * 2
        assert live.service.waiting == 0
        sizes = list(gate.sizes)
        gate.open.set()
        assert ask(client).status_code == 200
        assert gate.sizes == [*sizes, 1]  # the one that waited was never looked at


def test_whoever_hangs_up_leaves_the_queue(model: GroundedRAM) -> None:
    with gated(model) as (live, gate, client), ThreadPoolExecutor(1) as pool:
        gate.open.clear()
        first = pool.submit(ask, client)
        until(gate.entered.is_set)
        body = client.build_request("POST", "/tags", files={"file": SCENE})
        gone = http.client.HTTPConnection("127.0.0.1", httpx.URL(live.url).port, timeout=30)
        gone.request("POST", "/tags", body.read(), dict(body.headers))
        until(lambda: live.service.waiting == 1)
        gone.close()
        until(lambda: live.service.waiting == 0)
        gate.open.set()
        assert first.result().status_code == 200
        until(lambda: live.service.in_flight == 0)
        count = live.service.metrics.registry.get_sample_value
        assert count("grounded_ram_rejected_total", {"reason": "client_gone"}) == 1


def test_a_body_that_comes_too_slowly_is_given_up(model: GroundedRAM) -> None:
    with gated(model, timeout_s=0.4) as (live, _, _client):
        sending = http.client.HTTPConnection("127.0.0.1", httpx.URL(live.url).port, timeout=30)
        sending.putrequest("POST", "/tags")
        sending.putheader("Content-Type", "application/json")
        sending.putheader("Content-Length", "100")
        sending.endheaders(b"{")
        answer = sending.getresponse()
        assert answer.status == 408
        assert b"timed_out_reading" in answer.read()
        sending.close()


@pytest.mark.parametrize("media", ["multipart/form-data; boundary=x", "application/json"])
def test_bodies_of_no_told_length_are_counted(live: Live, media: str) -> None:
    sent: queue.SimpleQueue[int] = queue.SimpleQueue()

    def parts(size: int) -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(size // 10_000):
            sent.put(10_000)
            yield b"x" * 10_000

    with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client:
        headers = {"Content-Type": media}
        answer = client.post("/annotate", content=parts(250_000), headers=headers)
        assert code(answer) == (413, "too_large")
        with suppress(httpx.HTTPError):  # cut off, or told in time
            answer = client.post("/annotate", content=parts(2**30), headers=headers)
            assert code(answer) == (413, "too_large")
    assert sent.qsize() * 10_000 < 2**28


def test_a_length_that_is_far_too_large_is_refused_at_once(live: Live) -> None:
    for length in ("999999999", "9" * 400):
        sending = http.client.HTTPConnection("127.0.0.1", httpx.URL(live.url).port, timeout=30)
        sending.putrequest("POST", "/annotate")
        sending.putheader("Content-Type", "application/json")
        sending.putheader("Content-Length", length)
        sending.endheaders()
        assert sending.getresponse().status in (400, 413)
        sending.close()


def test_a_server_that_stops_finishes_what_it_accepted_and_refuses_the_rest(
    model: GroundedRAM,
) -> None:
    with gated(model) as (live, gate, client), ThreadPoolExecutor(3) as pool:
        gate.open.clear()
        accepted = [pool.submit(ask, client) for _ in range(3)]
        until(lambda: live.service.waiting == 2)
        live.stop()
        assert code(ask(client)) == (503, "stopping")
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health").json()["status"] == "stopping"
        gate.open.set()
        assert [one.result().status_code for one in accepted] == [200] * 3
        live.thread.join(20)
        assert not live.thread.is_alive()
        assert live.server.drained


def test_stopping_takes_no_longer_than_it_may(model: GroundedRAM) -> None:
    with gated(model, stop_s=0.2) as (live, gate, client), ThreadPoolExecutor(1) as pool:
        gate.open.clear()
        accepted = pool.submit(ask, client)
        until(gate.entered.is_set)
        live.stop()
        live.thread.join(10)
        assert not live.thread.is_alive()
        assert not live.server.drained
        with suppress(httpx.HTTPError):  # cut off, or told in time
            assert accepted.result().status_code >= 500


def test_a_signal_while_it_starts_ends_it_in_peace(
    model: GroundedRAM, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(model)
    told: list[str] = []
    server = StoppableServer(app, lambda: told.append("listening"))
    start = app.state.service.start

    async def interrupted() -> None:
        server.handle_exit(signal.SIGTERM, None)
        await start()

    monkeypatch.setattr(app.state.service, "start", interrupted)
    with open_socket("127.0.0.1", 0) as sock:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        thread.join(20)
    assert not thread.is_alive()
    assert (told, server.drained) == (["listening"], True)


def test_a_taken_port_is_told() -> None:
    with open_socket("127.0.0.1", 0) as sock:
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} .* is taken .* --port"):
            open_socket("127.0.0.1", port)


def test_a_host_that_is_not_here_is_told() -> None:
    for host in ("no such host", "a" * 70, "a..b", "a\0b"):
        with pytest.raises(InputError, match="--host"):
            open_socket(host, 0)
    with pytest.raises(InputError, match="cannot be opened"):
        open_socket("203.0.113.1", 0)


def test_the_address_is_one_that_a_browser_here_can_open() -> None:
    with open_socket("127.0.0.1", 0) as sock:
        assert url_of(sock) == f"http://127.0.0.1:{sock.getsockname()[1]}"
    with open_socket("0.0.0.0", 0) as sock:
        assert url_of(sock) == f"http://localhost:{sock.getsockname()[1]}"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("LocalHost", True),
        ("0.0.0.0", False),
        ("box", False),
    ],
)
def test_only_loopback_is_held_to_its_names(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
    assert (hosts_of(host) is not None) is expected
    assert host.lower() in (hosts_of(host) or (host.lower(),))


def test_names_of_this_machine_match_however_they_are_spelt() -> None:
    assert host_of(b"HOST.Docker.Internal:8000") in (hosts_of("::1", "Host.Docker.INTERNAL") or ())


def test_ctrl_c_lets_the_command_end_in_peace() -> None:
    command = [sys.executable, "-m", "grounded_ram", "serve", "--preset", "tiny", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        killer = threading.Timer(120, process.kill)
        killer.start()
        try:
            assert process.stderr is not None
            url = next(line for line in process.stderr if "listening" in line).split()[2][:-1]
            with ThreadPoolExecutor(3) as pool:
                calls = [
                    pool.submit(
                        httpx.post,
                        f"{url}/annotate",
                        files={"file": SCENE},
                        timeout=100,
                        trust_env=False,
                    )
                    for _ in range(3)
                ]
                until(lambda: "in_flight 3.0" in httpx.get(f"{url}/metrics", trust_env=False).text)
                process.send_signal(signal.SIGINT)
                answers = [call.result() for call in calls]
            assert [one.status_code for one in answers] == [200] * 3
            assert len({one.text for one in answers}) == 1
            out, rest = process.communicate()
            assert process.returncode == 0
            assert out == ""
            assert rest.splitlines() == ["stopped; all that was accepted is answered"]
        finally:
            killer.cancel()
            process.kill()
