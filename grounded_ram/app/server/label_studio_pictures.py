"""The pictures of Label Studio's tasks, from where each lies, and from nowhere else.

    data:image/png;base64,...                   in the task itself
    /data/upload/..., /data/local-files/?d=...  in Label Studio, asked with its key
    s3://..., gs://..., azure-blob://...        in a storage that Label Studio signs addresses of
    https://...                                 on the internet, where that is allowed

No path of this machine is ever opened. The key goes to Label Studio's own address and to no other.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from grounded_ram.app.server.fetching import FetchError, FetchLimits, Network, Target, fetch
from grounded_ram.errors import InputError

WITH_KEY = ("/data/upload/", "/data/local-files/", "/storage-data/uploaded/")
"""Where Label Studio keeps pictures that only its users may see."""

OPEN = "/static/"
"""Where it keeps those of its samples."""

STORAGES = ("s3:", "gs:", "azure-blob:")

_FETCHERS = 8
_EARLY_S = 30.0  # an access token is renewed before it ends


@dataclass(frozen=True)
class Place:
    """Where a picture is to be fetched.

    Args:
        url: its address.
        of_studio: it lies on Label Studio.
        with_key: it is asked for with the key.
    """

    url: str
    of_studio: bool = False
    with_key: bool = False


@dataclass(frozen=True)
class Studio:
    """One Label Studio.

    Args:
        url: where it is, such as "http://localhost:8080".
        key: a user's: a legacy token, or a personal access token.

    Raises:
        InputError: the address is none, or the key is empty or no plain text.
    """

    url: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _is_base(self.url):
            got = "one with a user's name in it" if "@" in self.url else repr(self.url[:200])
            raise InputError(
                "--label-studio (LABEL_STUDIO_URL): expected an address like "
                f"http://localhost:8080, got {got}"
            )
        if not (self.key and self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise InputError(
                "--label-studio-key (LABEL_STUDIO_API_KEY): expected the token from Label Studio's "
                "page Account & Settings, got none or one with spaces"
            )

    @property
    def has_personal_token(self) -> bool:
        """Tell whether the key must be exchanged for another that ends soon."""
        return _claims(self.key) is not None

    def address(self, path: str) -> str:
        """Return the address of a path, which may repeat the folder that Label Studio lies in."""
        base = self.url.rstrip("/")
        folder = urlsplit(base).path
        return base + (path.removeprefix(folder) if folder else path)


def _is_base(url: str) -> bool:
    """Tell whether paths may follow an address."""
    try:
        return not urlsplit(Target.parse(url).url).query
    except FetchError:
        return False


def place_of(told: str, studio: Studio | None, task: int | None = None) -> Place:
    """Decide where a picture is fetched.

    Args:
        told: what the task says.
        studio: where paths lead; None where nobody named one.
        task: the task's number; storages are asked through it.

    Raises:
        InputError: there is no such place, or Label Studio is not known.
    """
    scheme = told.partition(":")[0].lower()
    if scheme in ("http", "https"):
        target = Target.parse(told)
        if studio is None or target.origin != Target.parse(studio.url).origin:
            return Place(told)
        return _in_studio(studio, told.partition("://")[2].partition("/")[2], told)
    if told.startswith(STORAGES) and task is not None:
        uri = base64.urlsafe_b64encode(told.encode()).decode()
        return Place(
            _known(studio, told).address(f"/tasks/{task}/presign/?fileuri={uri}"), True, True
        )
    if told.startswith("/") and not told.startswith("//"):
        return _in_studio(_known(studio, told), told[1:], told)
    raise InputError(
        "a task's picture: expected an https address, a data: address or one of Label Studio's "
        f"own, such as /data/upload/1/a.jpg, got {told[:100]!r}"
    )


def _known(studio: Studio | None, told: str) -> Studio:
    if studio is None:
        raise InputError(
            f"{told[:100]!r} lies in Label Studio; start the server with --label-studio URL "
            "--label-studio-key TOKEN"
        )
    return studio


def _in_studio(studio: Studio, path: str, told: str) -> Place:
    """Return the place of a path on Label Studio, one of those where pictures lie."""
    address = studio.address(f"/{path}")
    inside = urlsplit(address).path.removeprefix(urlsplit(studio.url.rstrip("/")).path)
    plain = unquote(inside)
    if ".." in plain.split("/") or "\\" in plain or "%" in plain:
        raise InputError(f"{told[:100]!r}: expected a path without '..' or '%' in it")
    if plain.startswith(WITH_KEY):
        return Place(address, True, True)
    if plain.startswith(OPEN):
        return Place(address, True)
    places = ", ".join((*WITH_KEY, OPEN))
    raise InputError(f"{told[:100]!r}: expected a path of Label Studio below {places}")


class Pictures:
    """Gets the pictures of tasks.

    Args:
        studio: whose paths may be asked; None for nobody's.
        public: ask hosts on the public internet too.
        limits: how much one picture may take.
        network: see ``fetching.fetch``.
    """

    def __init__(
        self,
        studio: Studio | None = None,
        *,
        public: bool = False,
        limits: FetchLimits | None = None,
        network: Network | None = None,
    ) -> None:
        self._studio, self._public = studio, public
        self._limits, self._network = limits or FetchLimits(), network
        self._access = _Access()
        # Its own, so that a host that is slow to answer keeps no other work from its threads.
        self._fetchers = ThreadPoolExecutor(_FETCHERS, "grounded-ram-studio")

    async def __call__(self, told: str, task: int | None = None) -> bytes:
        """Return a picture's file.

        Args:
            told: what the task says of where it lies.
            task: the task's number.

        Raises:
            InputError: it may not be fetched from there, or cannot.
        """
        if told[:5].lower() == "data:":
            return _inline(told, self._limits.max_bytes)
        work = partial(self._fetch, place_of(told, self._studio, task))
        return await asyncio.get_running_loop().run_in_executor(self._fetchers, work)

    def _fetch(self, place: Place) -> bytes:
        studio = self._studio
        if not place.of_studio or studio is None:
            if not self._public:
                raise InputError(
                    f"{place.url[:100]!r} may not be fetched; start the server with --allow-urls"
                )
            return fetch(place.url, self._limits, network=self._network)
        headers = {}
        if place.with_key:
            headers["Authorization"] = self._access.header(studio, self._limits.timeout_s)
        try:
            return fetch(
                place.url,
                self._limits,
                allowed_origin=studio.url,
                public=self._public,
                headers=headers,
                network=self._network,
            )
        except FetchError as error:
            self._access.forget()
            raise FetchError(f"{error}; Label Studio was asked with --label-studio-key") from error


class _Access:
    """Says who asks; exchanges a personal access token, and keeps what it got until it ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token, self._ends = "", 0.0

    def header(self, studio: Studio, timeout_s: float) -> str:
        if not studio.has_personal_token:
            return f"Token {studio.key}"
        with self._lock:
            if time.time() >= self._ends - _EARLY_S:
                self._token = _exchange(studio, timeout_s)
                self._ends = float((_claims(self._token) or {}).get("exp", 0.0))
            return f"Bearer {self._token}"

    def forget(self) -> None:
        self._ends = 0.0


def _exchange(studio: Studio, timeout_s: float) -> str:
    """Return an access token for a personal one."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy learns the key
        try:
            answer = session.post(
                studio.address("/api/token/refresh/"),
                json={"refresh": studio.key},
                timeout=timeout_s,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise FetchError(f"Label Studio does not answer at {studio.url}") from error
        if answer.status_code != 200:
            raise FetchError(
                f"Label Studio at {studio.url} refuses --label-studio-key "
                f"(status {answer.status_code}); make a new token on its page Account & Settings"
            )
        try:
            return str(answer.json()["access"])
        except (ValueError, LookupError, TypeError) as error:
            raise FetchError(f"{studio.url} does not answer as Label Studio does") from error


def _claims(token: str) -> dict[str, Any] | None:
    """Return what a JSON web token says of itself; None where it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        body = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _inline(told: str, max_bytes: int) -> bytes:
    """Return the bytes that an address holds itself."""
    head, comma, body = told.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise InputError(f"expected data:image/png;base64,..., got {told[:40]!r}")
    if len(body) > max_bytes * 4 // 3 + 4:
        raise InputError(f"a data: address: expected a picture of at most {max_bytes:,} bytes")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:  # no binascii.Error where it is not ASCII
        raise InputError(f"a data: address: expected base64; {error}") from error
