"""Speaks HTTP with the status page of a line (docs/http.md)."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.parse
from datetime import datetime, timezone
from typing import Any, Iterable, Iterator, Literal, Mapping, Optional, Union

from .models import Event, EventPage, FrameScore, MarkOutcome, Teaching, Verdict

#: A file's path, or its bytes.
Picture = Union[bytes, bytearray, str, "os.PathLike[str]"]


class LinesideError(Exception):
    """The line refuses; the text is its own line."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        #: The HTTP status.
        self.status = status
        #: What the line says.
        self.text = text


class Busy(LinesideError):
    """Too much is asked at once, or nothing is there yet."""

    def __init__(self, status: int, text: str, retry_after: float) -> None:
        super().__init__(status, text)
        #: Seconds until it makes sense to ask again.
        self.retry_after = retry_after


class Client:
    """One line. Each request has a connection of its own, so that a client may be used by several threads."""

    def __init__(self, url: str, token: Optional[str] = None, timeout: float = 90.0, retries: int = 3) -> None:
        """`url` is that of the page, with a path behind a proxy; `timeout` in seconds; `retries`: how often a busy line is
        asked again."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"not the address of a page: {url}")
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._token, self._timeout, self._retries = token, timeout, retries

    def judge(self, picture: Picture, name: Optional[str] = None) -> Verdict:
        """The line's verdict on a picture. Raises LinesideError 413, 415 or 422 where it is none of this line."""
        body, query = _picture(picture, name)
        _, answer = self._patiently("POST", "/judge", query, body, "application/json")
        return Verdict.of(json.loads(answer))

    def judge_annotated(
        self, picture: Picture, name: Optional[str] = None, kind: Literal["jpeg", "png"] = "jpeg"
    ) -> tuple[Verdict, bytes]:
        """The verdict, and a picture file with heat and boxes."""
        body, query = _picture(picture, name)
        headers, answer = self._patiently("POST", "/judge", query, body, f"image/{kind}")
        return Verdict.of(json.loads(headers["Lineside-Verdict"])), answer

    def event_page(
        self,
        *,
        limit: int = 50,
        before: Optional[str] = None,
        since: Optional[datetime] = None,
        until: Optional[datetime] = None,
        kinds: Optional[Iterable[str]] = None,
        defect: Optional[bool] = None,
        min_score: Optional[float] = None,
        max_score: Optional[float] = None,
        class_name: Optional[str] = None,
    ) -> EventPage:
        """One page of records, the newest first. Times without a zone are local."""
        query: dict[str, str] = {"limit": str(limit)}
        times = {"from": since, "to": until}
        query.update({key: _time(value) for key, value in times.items() if value is not None})
        texts = {"before": before, "class": class_name, "kind": None if kinds is None else ",".join(kinds)}
        query.update({key: text for key, text in texts.items() if text is not None})
        scores = {"min_score": min_score, "max_score": max_score}
        query.update({key: repr(float(score)) for key, score in scores.items() if score is not None})
        if defect is not None:
            query["defect"] = "true" if defect else "false"
        _, answer = self._patiently("GET", "/events", query)
        return EventPage.of(json.loads(answer))

    def events(self, **filters: Any) -> Iterator[Event]:
        """All records that the filters of `event_page` let through, the newest first, page by page as they are taken."""
        while True:
            page = self.event_page(**filters)
            yield from page.events
            if page.next is None:
                return
            filters["before"] = page.next

    def mark(
        self,
        frames: Iterable[Union[Event, str]],
        mark: Literal["good", "defect", "none"],
        kind: Optional[str] = None,
    ) -> MarkOutcome:
        """Marks frames, by their records or by `files["original"]`; "defect" with a kind. Needs `status_page.control` and its token.
        Events without a picture are passed over."""
        names = [one if isinstance(one, str) else one.files.get("original") for one in frames]
        body: dict[str, Any] = {"files": [name for name in names if name], "mark": mark}
        if kind is not None:
            body["kind"] = kind
        _, answer = self._patiently("POST", "/marks", {}, json.dumps(body).encode(), kind_of_body="application/json")
        outcome = json.loads(answer)
        return MarkOutcome(outcome["marked"], tuple(outcome["missing"]))

    def teaching(self) -> Teaching:
        """What can be taught on this line, and how far the newest job is."""
        return Teaching.of(json.loads(self._patiently("GET", "/teaching")[1]))

    def teach(
        self,
        what: Literal["teach", "recalibrate"],
        frames: Literal["marks", "camera"],
        role: Literal["shadow", "active"] = "shadow",
        *,
        count: int = 100,
        every_s: float = 1.0,
    ) -> Teaching:
        """Begins to teach or recalibrate the line's bundle; `teaching` says how far it is. Of the camera `count` frames are taken. Needs
        `status_page.teach_memory` and the token to teach. Raises LinesideError 409 while something is taught, and 422 where too few frames are
        marked."""
        body: dict[str, Any] = {"do": "start", "of": self.teaching().active or "", "what": what, "frames": frames, "role": role}
        if frames == "camera":
            body.update(count=count, every_s=every_s)
        return self._teaching(body)

    def judge_marks(self, version: str) -> Teaching:
        """Has a version of the line's bundle, by its id, judge all marked frames; `teaching` says how far it is, and `scores` what came of it.
        Needs `status_page.teach_memory` and the token to teach."""
        return self._teaching({"do": "judge", "version": version})

    def scores(self, version: str) -> tuple[FrameScore, ...]:
        """What a version found of the marked frames. Raises LinesideError 404 where it has not judged them."""
        text = self._patiently("GET", "/scores", {"version": version})[1].decode()
        return tuple(FrameScore.of(json.loads(line)) for line in text.split("\n") if line)

    def cancel_teaching(self) -> Teaching:
        """Cancels what is taught. Raises LinesideError 409 where nothing is."""
        return self._teaching({"do": "cancel"})

    def _teaching(self, body: Mapping[str, Any]) -> Teaching:
        _, answer = self._patiently("POST", "/teaching", {}, json.dumps(body).encode(), kind_of_body="application/json")
        return Teaching.of(json.loads(answer))

    def select_product(self, product: Union[str, int]) -> None:
        """Has another product inspected from the next frame on, by its name or its code. Needs `status_page.control` and its token.
        Raises LinesideError 404 where the line has no products, and 422 for one that it does not know: every part is NOK then."""
        body = {"code": product} if isinstance(product, int) else {"product": product}
        self._patiently("POST", "/product", {}, json.dumps(body).encode(), kind_of_body="application/json")

    def acknowledge(self) -> bool:
        """Acknowledges the alarm; returns whether it waited for that. Needs `status_page.control` and its token. Raises LinesideError 404
        where the alarm never waits."""
        _, answer = self._patiently("POST", "/acknowledge", {}, b"", kind_of_body="application/json")
        return bool(json.loads(answer)["acknowledged"])

    def picture(self, name: str) -> bytes:
        """A picture of a record: a PNG. Raises LinesideError 404 where it was deleted to stay within the budget."""
        return self._patiently("GET", "/events/" + urllib.parse.quote(name))[1]

    def frame(self) -> bytes:
        """The newest frame, annotated: a JPEG."""
        return self._patiently("GET", "/frame.jpg")[1]

    def status(self) -> Mapping[str, Any]:
        """What the page shows."""
        status: Mapping[str, Any] = json.loads(self._patiently("GET", "/status.json")[1])
        return status

    def is_healthy(self) -> bool:
        """Whether inspection makes progress."""
        try:
            self._ask("GET", "/healthz", {}, None, "*/*")
        except Busy:
            return False
        return True

    def _patiently(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] = {},
        body: Optional[bytes] = None,
        accept: str = "*/*",
        kind_of_body: str = "application/octet-stream",
    ) -> tuple[http.client.HTTPMessage, bytes]:
        for _ in range(self._retries):
            try:
                return self._ask(method, path, query, body, accept, kind_of_body)
            except Busy as busy:
                time.sleep(busy.retry_after)
        return self._ask(method, path, query, body, accept, kind_of_body)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Optional[bytes],
        accept: str,
        kind_of_body: str = "application/octet-stream",
    ) -> tuple[http.client.HTTPMessage, bytes]:
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout)
        headers = {"Accept": accept}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = kind_of_body
        target = self._base + path + ("?" + urllib.parse.urlencode(query) if query else "")
        try:
            try:
                connection.request(method, target, body, headers)
            except (BrokenPipeError, ConnectionResetError):
                # Refused before the whole body was sent: the answer says why.
                pass
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status == 200:
            return response.headers, answer
        text = answer.decode(errors="replace").strip()
        if response.status == 503:
            after = response.headers.get("Retry-After", "")
            raise Busy(503, text, float(after) if after.isdigit() else 5.0)
        raise LinesideError(response.status, text)


def _picture(picture: Picture, name: Optional[str]) -> tuple[bytes, dict[str, str]]:
    if isinstance(picture, (bytes, bytearray)):
        return bytes(picture), {} if name is None else {"name": name}
    with open(picture, "rb") as file:
        return file.read(), {"name": os.path.basename(picture)[-120:] if name is None else name}


def _time(value: datetime) -> str:
    return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
