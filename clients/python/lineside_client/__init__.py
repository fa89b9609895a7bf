"""Asks a Lineside line for verdicts, records and pictures. Only the standard library is needed.

>>> from lineside_client import Client
>>> line = Client("http://127.0.0.1:8080", token="...")
>>> verdict = line.judge("part.png")
>>> verdict.defect, verdict.severity
"""

from .client import Busy, Client, LinesideError
from .models import Event, EventPage, FrameScore, MarkOutcome, Region, Teaching, Verdict

__all__ = ["Busy", "Client", "Event", "EventPage", "FrameScore", "LinesideError", "MarkOutcome", "Region", "Teaching", "Verdict"]
