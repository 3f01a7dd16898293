"""``grounded-ram serve``: annotation over HTTP, until it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.options import (
    BoxThreshold,
    Compile,
    Device,
    OwnVocabulary,
    OwnWeights,
    Precision,
    PresetName,
    RuleSettings,
    TagThreshold,
    adjusted,
    own_weights,
)
from grounded_ram.errors import MissingDependencyError
from grounded_ram.presets import Preset, resolve_preset

if TYPE_CHECKING:
    from grounded_ram.pipeline import GroundedRAM

GPU_BATCH = 8
"""Pictures that a GPU annotates together, unless something else is said."""

Host = Annotated[str, typer.Option(help="The interface to listen on; 0.0.0.0 for all.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")]
MaxQueue = Annotated[
    int, typer.Option(min=1, help="Pictures that wait; more are refused with status 503.")
]
ServedTogether = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        min=1,
        help="Pictures that are annotated together, at the most.",
        show_default="8 on a GPU, else 1",
    ),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds until a request is given up.")]
MaxBytes = Annotated[int, typer.Option(min=1, help="Of one picture's file.")]
MaxPixels = Annotated[int, typer.Option(min=1, help="Of one picture.")]
MaxTags = Annotated[
    int, typer.Option(min=1, help="Names to look for in one picture, as a request lists them.")
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="GROUNDED_RAM_API_KEY",
        help="Answer only those who send this key; better set as the variable, which others on "
        "this machine cannot read.",
        show_default=False,
    ),
]
AllowUrls = Annotated[
    bool, typer.Option("--allow-urls", help="Fetch pictures from public addresses, too.")
]
CalledBy = Annotated[
    list[str] | None,
    typer.Option(
        "--called",
        metavar="NAME",
        help="A further name by which callers know this machine, as containers call it "
        "host.docker.internal; may be repeated.",
        show_default=False,
    ),
]
LabelStudio = Annotated[
    str | None,
    typer.Option(
        "--label-studio",
        metavar="URL",
        envvar="LABEL_STUDIO_URL",
        help="Where the Label Studio is whose tasks are predicted; their pictures are fetched "
        "from there.",
        show_default=False,
    ),
]
LabelStudioKey = Annotated[
    str | None,
    typer.Option(envvar="LABEL_STUDIO_API_KEY", help="An access token of it.", show_default=False),
]


def serve(
    *,
    preset: PresetName = None,
    tag_threshold: TagThreshold = None,
    box_threshold: BoxThreshold = None,
    rules: RuleSettings = None,
    vocabulary: OwnVocabulary = None,
    weights: OwnWeights = None,
    device: Device = "auto",
    dtype: Precision = "auto",
    compile: Compile = False,  # torch's word for it
    host: Host = "127.0.0.1",
    port: Port = 8000,
    max_queue: MaxQueue = 64,
    batch_size: ServedTogether = None,
    timeout: Timeout = 60.0,
    max_bytes: MaxBytes = 20 * 2**20,
    max_pixels: MaxPixels = 50_000_000,
    max_tags: MaxTags = 100,
    api_key: ApiKey = None,
    allow_urls: AllowUrls = False,
    called: CalledBy = None,
    label_studio: LabelStudio = None,
    label_studio_key: LabelStudioKey = None,
) -> None:
    """Answer requests for tags, boxes and masks over HTTP, until Ctrl-C.

    Exit code 0: stopped, all that was accepted is answered; 1: some was not; 2: wrong usage.
    """
    row = adjusted(resolve_preset(preset), tag_threshold, box_threshold, rules)
    with missing_extra_told():
        from grounded_ram.app.server.api import create_app
        from grounded_ram.app.server.label_studio import router_for
        from grounded_ram.app.server.serving import hosts_of, open_socket
        from grounded_ram.app.server.serving import serve as run_until_stopped
        from grounded_ram.app.server.settings import Settings

    settings = Settings(
        max_queue=max_queue,
        timeout_s=timeout,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
        max_tags=max_tags,
        api_key=api_key,
        allow_urls=allow_urls,
        allowed_hosts=hosts_of(host, *(called or ())),
    )
    options = {"vocabulary": vocabulary, "device": device, "dtype": dtype, "compile": compile}
    model = _model(row, batch_size, weights=own_weights(weights), **options)
    studio = router_for(model, settings, url=label_studio, key=label_studio_key)
    with open_socket(host, port) as sock, terminal.clean_stdout():
        _warn_if_open(host, api_key)
        terminal.caution(row)
        with terminal.downloading() as on_progress:
            model.fetch_weights(on_progress=on_progress)
        done = run_until_stopped(create_app(model, settings, [studio]), sock, _tell)
    if not done:
        terminal.say("stopped; some requests were not answered in time")
        raise typer.Exit(1)
    terminal.say("stopped; all that was accepted is answered")


@contextmanager
def missing_extra_told() -> Iterator[None]:
    """Say what to install where a library of the server is missing.

    Raises:
        MissingDependencyError: one is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the server needs {error.name}; type: pip install 'grounded-ram[serve]'"
        ) from error


def _warn_if_open(host: str, api_key: str | None) -> None:
    from grounded_ram.app.hosts import is_loopback

    if api_key is None and not is_loopback(host):
        terminal.say(
            "note: anybody who reaches this machine may ask this server; set "
            "GROUNDED_RAM_API_KEY to a key, or listen on 127.0.0.1"
        )


def _model(preset: Preset, batch_size: int | None, **options: Any) -> GroundedRAM:
    """Make the model, with as large batches as its device is good for."""
    from grounded_ram.pipeline import GroundedRAM
    from grounded_ram.runtime import pick_device

    if batch_size is None:
        batch_size = GPU_BATCH if pick_device(options["device"]).type == "cuda" else 1
    return GroundedRAM(preset, batch_size=batch_size, **options)


def _tell(url: str) -> None:
    terminal.say(f"listening on {url}; {url}/docs says what to ask; stop with Ctrl-C")
