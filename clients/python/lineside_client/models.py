"""What a line answers, with types. `raw` has every key as it came (docs/field-log.md), those of later versions too."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Mapping, NamedTuple, Optional


class Region(NamedTuple):
    """A box in a frame, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Judgement:
    """What every verdict has."""

    #: When the frame was captured; of a posted picture, when it was judged.
    time: datetime
    #: The name of the frame.
    frame: str
    #: The share of normal frames that score lower, 0 to 1.
    score: float
    #: 0 like what was taught, a defect from 1.
    severity: float
    #: The score from which on a frame counts as defect.
    threshold: float
    defect: bool
    #: Not of normal frames: the hottest first.
    regions: tuple[Region, ...]
    #: What it was recognised as, by a task that knows names.
    class_name: Optional[str]
    #: Why it counts as a defect, where that is not how it looks.
    cause: Optional[str]
    #: The fingerprint of the bundle that judged.
    bundle: str
    #: The same for the same verdict to the last bit.
    verdict_sha256: str
    pixels_sha256: str
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Verdict(Judgement):
    """The answer on a posted picture."""

    width: int
    height: int
    #: From the last byte of the picture to its verdict, and the parts of that.
    latency_ms: float
    wait_ms: float
    decode_ms: float
    judge_ms: float

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Verdict:
        names = ("width", "height", "latency_ms", "wait_ms", "decode_ms", "judge_ms")
        return cls(**_judgement(raw), **{name: raw[name] for name in names})


@dataclass(frozen=True)
class Event(Judgement):
    """A record of a frame."""

    #: "event": a defect, "normal": a good frame that was kept, "shadow": the shadow says something else.
    kind: str
    #: Unique in a fleet and over years.
    id: str
    #: Names of its pictures for `Client.picture`, by what they show: "original", "annotated", "spot".
    files: Mapping[str, str]
    #: Its place in the records.
    at: str
    #: What people say of it: "good" or "defect" with its kind.
    mark: Optional[str] = None
    mark_kind: Optional[str] = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Event:
        # A picture that could not be written has no name.
        files = {what: name for what, name in raw.get("files", {}).items() if name}
        return cls(**_judgement(raw), kind=raw["record"], id=raw["id"], files=files, at=raw["at"], mark=raw.get("mark"), mark_kind=raw.get("mark_kind"))


@dataclass(frozen=True)
class MarkOutcome:
    """What became of frames that were to be marked."""

    #: How many have the mark now.
    marked: int
    #: Names of pictures that were deleted to stay within the line's budget.
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Teaching:
    """What can be taught on a line, and how far the newest job is."""

    #: Why nothing can be taught there, and what to do; None where it can.
    problem: Optional[str]
    #: The id of the bundle's active version.
    active: Optional[str]
    #: Frames marked as good.
    marked_good: Optional[int]
    #: Of the newest job: "collecting", "running", "done", "failed", "cancelled" or "stopped"; None where there was none.
    state: Optional[str]
    #: The whole answer.
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Teaching:
        job = raw["job"]
        return cls(raw["problem"], raw["active"], raw["marked_good"], job and job["state"], raw)

    @property
    def is_running(self) -> bool:
        """Whether something is taught now."""
        return self.state in ("collecting", "running")


@dataclass(frozen=True)
class FrameScore:
    """What a version of a bundle found of a marked frame."""

    #: The picture's file on the board.
    file: str
    #: Whether it is marked as good, and else its kind of defect.
    normal: bool
    kind: Optional[str]
    score: float
    severity: float
    #: The verdict at that version's threshold.
    defect: bool
    #: Whether the part was found in it.
    found: bool

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> FrameScore:
        return cls(raw["file"], raw["normal"], raw["kind"], raw["score"], raw["severity"], raw["defect"], raw["found"])


@dataclass(frozen=True)
class EventPage:
    """Some records, the newest first."""

    events: tuple[Event, ...]
    #: `before` of the next page; None at the end.
    next: Optional[str]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> EventPage:
        return cls(tuple(Event.of(one) for one in raw["events"]), raw["next"])


def _judgement(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        # Python before 3.11 does not read the Z.
        "time": datetime.fromisoformat(raw["time"].replace("Z", "+00:00")),
        "frame": raw["frame"],
        "score": float(raw["score"]),
        "severity": float(raw["severity"]),
        "threshold": float(raw["threshold"]),
        "defect": raw["defect"],
        "regions": tuple(Region(*area) for area in raw.get("regions", ())),
        "class_name": raw.get("class"),
        "cause": raw.get("cause"),
        "bundle": raw["bundle"],
        "verdict_sha256": raw["verdict_sha256"],
        "pixels_sha256": raw["pixels_sha256"],
        "raw": raw,
    }
