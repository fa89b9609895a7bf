"""Against a running line: LINESIDE_URL, LINESIDE_TOKEN, LINESIDE_TEACH_TOKEN, and LINESIDE_FRAMES, a folder of its frames.

    python3 -m unittest discover -s tests -t .
"""

import os
import threading
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

from lineside_client import Busy, Client, LinesideError, Verdict

URL = os.environ["LINESIDE_URL"]
TOKEN = os.environ["LINESIDE_TOKEN"]
FRAMES = sorted(Path(os.environ["LINESIDE_FRAMES"]).rglob("*.jpg"))


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        self.line = Client(URL, TOKEN)

    def test_a_picture_is_judged_by_path_and_by_bytes(self) -> None:
        by_path = self.line.judge(FRAMES[0])
        self.assertEqual(by_path.frame, FRAMES[0].name)
        self.assertEqual((by_path.width, by_path.height), (320, 240))
        by_bytes = self.line.judge(FRAMES[0].read_bytes(), name="Teil ü & 1")
        self.assertEqual(by_bytes.frame, "Teil ü & 1")
        self.assertEqual(by_bytes.verdict_sha256, by_path.verdict_sha256)
        self.assertGreaterEqual(by_path.latency_ms, by_path.judge_ms)
        self.assertLess(abs(datetime.now(timezone.utc) - by_path.time), timedelta(hours=1))

    def test_defects_have_boxes_and_an_annotated_picture(self) -> None:
        verdicts = [self.line.judge(frame) for frame in FRAMES]
        defects = [verdict for verdict in verdicts if verdict.defect]
        self.assertTrue(defects and len(defects) < len(verdicts))
        for verdict in verdicts:
            self.assertEqual(verdict.defect, verdict.severity >= 1.0)
            self.assertEqual(bool(verdict.regions), verdict.defect)
        verdict, picture = self.line.judge_annotated(FRAMES[0])
        self.assertIsInstance(verdict, Verdict)
        self.assertTrue(picture.startswith(b"\xff\xd8"))
        _, picture = self.line.judge_annotated(FRAMES[0], kind="png")
        self.assertTrue(picture.startswith(b"\x89PNG"))

    def test_refusals_have_the_lines_own_words(self) -> None:
        for body, status, words in (
            (b"GIF89a", 415, "it is a GIF"),
            (FRAMES[0].read_bytes()[:500], 422, "broken"),
            (bytes(30 << 20), 413, "longer than"),
        ):
            with self.assertRaises(LinesideError) as refused:
                self.line.judge(body)
            self.assertEqual(refused.exception.status, status)
            self.assertIn(words, refused.exception.text)
        with self.assertRaises(LinesideError) as refused:
            Client(URL, "0123456789abcdeX").status()
        self.assertEqual(refused.exception.status, 401)

    def test_many_at_once_are_all_judged_in_the_end(self) -> None:
        patient = Client(URL, TOKEN, retries=100)
        expected = self.line.judge(FRAMES[0]).verdict_sha256
        found: list[str] = []

        def ask() -> None:
            found.append(patient.judge(FRAMES[0]).verdict_sha256)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [expected] * 6)

    def test_records_come_over_pages_once_each(self) -> None:
        events = []
        for event in self.line.events(limit=3, kinds=["event"]):
            events.append(event)
            if len(events) == 10:
                break
        self.assertEqual(len({event.id for event in events}), 10)
        self.assertEqual([event.time for event in events], sorted((event.time for event in events), reverse=True))
        self.assertTrue(all(event.defect and event.kind == "event" and event.regions for event in events))
        self.assertTrue(self.line.picture(events[0].files["original"]).startswith(b"\x89PNG"))
        # One moment, by time and by score.
        one = events[5]
        page = self.line.event_page(since=one.time, until=one.time + timedelta(milliseconds=1), kinds=["event"])
        self.assertIn(one.id, [event.id for event in page.events])
        self.assertEqual(self.line.event_page(min_score=2.0).events, ())
        with self.assertRaises(LinesideError):
            self.line.event_page(limit=0)

    def test_frames_are_marked_by_who_may_teach(self) -> None:
        events = self.line.event_page(kinds=["event"], limit=3).events
        with self.assertRaises(LinesideError) as refused:
            self.line.mark(events, "good")
        self.assertEqual(refused.exception.status, 403)
        teacher = Client(URL, os.environ["LINESIDE_TEACH_TOKEN"])
        outcome = teacher.mark([*events, "gone.png"], "defect", "scratch")
        self.assertEqual((outcome.marked, outcome.missing), (3, ("gone.png",)))
        before = events[0].time + timedelta(milliseconds=1)
        marked = self.line.event_page(kinds=["event"], limit=3, until=before).events
        self.assertEqual({(event.mark, event.mark_kind) for event in marked}, {("defect", "scratch")})
        self.assertEqual(teacher.mark(events, "none").marked, 3)

    def test_what_the_line_does_not_have_is_not_chosen(self) -> None:
        with self.assertRaises(LinesideError) as refused:
            self.line.select_product("lid")
        self.assertEqual(refused.exception.status, 403)
        teacher = Client(URL, os.environ["LINESIDE_TEACH_TOKEN"])
        for ask, words in (
            (lambda: teacher.select_product("lid"), "has no [[product]]"),
            (lambda: teacher.select_product(7), "has no [[product]]"),
            (teacher.acknowledge, "alarm.latch is not set"),
        ):
            with self.assertRaises(LinesideError) as refused:
                ask()
            self.assertEqual(refused.exception.status, 404)
            self.assertIn(words, refused.exception.text)

    def test_what_cannot_be_taught_is_refused_in_the_lines_words(self) -> None:
        self.assertEqual(self.line.teaching().state, None)
        with self.assertRaises(LinesideError) as refused:
            self.line.teach("recalibrate", "marks")
        self.assertEqual(refused.exception.status, 403)
        teacher = Client(URL, os.environ["LINESIDE_TEACH_TOKEN"])
        with self.assertRaises(LinesideError) as refused:
            teacher.teach("teach", "camera", count=20)
        self.assertEqual(refused.exception.status, 404)
        self.assertIn("status_page.teach_memory", refused.exception.text)
        with self.assertRaises(LinesideError) as refused:
            teacher.cancel_teaching()
        self.assertEqual(refused.exception.status, 404)
        self.assertIn("status_page.teach_memory", teacher.teaching().problem or "")
        with self.assertRaises(LinesideError) as refused:
            teacher.judge_marks("0123456789abcdef")
        self.assertEqual(refused.exception.status, 404)
        with self.assertRaises(LinesideError) as refused:
            teacher.scores("0123456789abcdef")
        self.assertIn(refused.exception.status, (404, 409))
        self.assertFalse(teacher.teaching().is_running)

    def test_the_line_is_seen(self) -> None:
        self.assertTrue(self.line.is_healthy())
        self.assertIn("version", self.line.status())
        self.assertTrue(self.line.frame().startswith(b"\xff\xd8"))
        self.assertTrue(issubclass(Busy, LinesideError))
        for wrong in ("127.0.0.1:8080", "ftp://x", "http://", "http://x/?token=y"):
            with self.assertRaises(ValueError):
                Client(wrong)


if __name__ == "__main__":
    unittest.main()
