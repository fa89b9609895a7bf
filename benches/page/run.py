#!/usr/bin/env python3
"""What the status page costs inspection: its rate and the 99th percentile of its times, with two browsers and a job of teaching beside it, as
ratios to the same line alone.

    cargo build --release
    python3 benches/page/run.py target/release/lineside [ROUNDS] [FPS]

Each browser shows the live view, asks for the status twice a second, and pages through kept frames with their pictures. Phases alternate, alone
and beside them, each of as many whole intervals of the status as INTERVALS says. Only the standard library is needed.
"""

import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

INTERVALS = 3
TEACH_FRAMES = 200


def main() -> None:
    lineside = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    fps = float(sys.argv[3]) if len(sys.argv) > 3 else 1000.0
    root = pathlib.Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        home = make_home(lineside, folder, root)
        config = folder / "line.toml"
        config.write_text(
            f"[budget]\nmemory = \"2 GiB\"\n[source.pattern]\nwidth = 640\nheight = 480\nfps = {fps}\n"
            f"[anomaly]\nbundle = \"{home}\"\n[output]\nfolder = \"{folder}/results\"\nnormal_every = 20\npictures = \"200 MiB\"\n"
            "[status_page]\nlisten = \"127.0.0.1:0\"\ncontrol = true\nteach_memory = \"400 MiB\"\n"
        )
        log = open(folder / "log", "w+b")
        line = subprocess.Popen([lineside, "run", config, "--log-format", "json"], stdout=subprocess.DEVNULL, stderr=log, cwd=root)
        try:
            measure(Line(port_of(folder / "log", line)), rounds)
        finally:
            line.terminate()
            line.wait()


def make_home(lineside: pathlib.Path, folder: pathlib.Path, root: pathlib.Path) -> pathlib.Path:
    camera, taught, store = folder / "camera.toml", folder / "taught", folder / "store"
    camera.write_text("[source.pattern]\nwidth = 640\nheight = 480\nfps = 200.0\n")
    for command in (
        ["teach", "--camera", camera, "--every", "0", "--frames", "60", "--out", taught],
        ["bundle", "install", taught, "--store", store, "--as", "parts", "--confirm-within", "0s"],
        ["bundle", "confirm", "parts", "--store", store],
    ):
        subprocess.run([lineside, *command], check=True, cwd=root, capture_output=True)
    return store / "parts"


def port_of(log: pathlib.Path, line: subprocess.Popen) -> int:
    while line.poll() is None:
        for text in log.read_text(errors="replace").splitlines():
            if "http://127.0.0.1:" in text:
                return int(text.split("http://127.0.0.1:", 1)[1].split("/")[0].split('"')[0])
        time.sleep(0.1)
    sys.exit(log.read_text(errors="replace"))


class Line:
    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, body: object = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json", "Lineside-Version": self.version} if body is not None else {}
        method = "GET" if body is None else "POST"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.status >= 400 and answer.status != 503:
            raise RuntimeError(f"{path}: {answer.status} {content.decode()}")
        return content

    def json(self, path: str) -> dict:
        while True:
            try:
                return json.loads(self.ask(path))
            except ValueError:
                time.sleep(0.2)

    @property
    def version(self) -> str:
        return self.json("/status.json")["version"]


def browse(line: Line, stop: threading.Event) -> None:
    """What a browser asks for: the live view, the status, kept frames."""

    def live() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", line.port, timeout=60)
        connection.request("GET", "/live.mjpeg")
        answer = connection.getresponse()
        while not stop.is_set() and answer.read1(1 << 16):
            pass
        connection.close()

    def review() -> None:
        before = ""
        while not stop.is_set():
            page = line.json("/events?kind=event,normal&limit=50" + before)
            for event in page["events"]:
                if stop.is_set():
                    return
                if original := event["files"].get("original"):
                    try:
                        line.ask("/events/" + original)
                    except RuntimeError:
                        pass  # Deleted meanwhile to stay within output.pictures.
                line.json("/status.json")
                time.sleep(0.05)
            before = f"&before={page['next']}" if page["next"] else ""

    threads = [threading.Thread(target=live), threading.Thread(target=review)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def phase(line: Line) -> tuple[float, float]:
    """Frames a second over whole intervals, and the median of the 99th percentiles from capture to verdict, in milliseconds."""
    seen, tails = interval(line), []
    begun, first = time.monotonic(), line.json("/status.json")["verdicts"]
    while len(tails) < INTERVALS:
        now = interval(line)
        if now != seen:
            seen = now
            tails.append(next(stage["p99"] for stage in now if stage["stage"] == "verdict"))
        time.sleep(0.2)
    last = line.json("/status.json")["verdicts"]
    return (last - first) / (time.monotonic() - begun), statistics.median(tails)


def interval(line: Line) -> list:
    return line.json("/status.json")["latency_ms"]["stages"]


def teach(line: Line) -> None:
    state = line.json("/teaching")
    if state["job"] and state["job"]["state"] in ("collecting", "running"):
        return
    line.ask("/teaching", {"do": "start", "of": state["active"], "what": "teach", "frames": "camera", "role": "shadow", "count": TEACH_FRAMES, "every_s": 0})


def measure(line: Line, rounds: int) -> None:
    phase(line)
    rates, tails = [], []
    for number in range(rounds):
        alone = phase(line)
        stop = threading.Event()
        browsers = [threading.Thread(target=browse, args=(line, stop)) for _ in range(2)]
        for browser in browsers:
            browser.start()
        teach(line)
        beside = phase(line)
        state = line.json("/teaching")["job"]["state"]
        stop.set()
        for browser in browsers:
            browser.join()
        if state in ("collecting", "running"):
            line.ask("/teaching", {"do": "cancel"})
            while line.json("/teaching")["job"]["state"] in ("collecting", "running"):
                time.sleep(0.1)
        rates.append(beside[0] / alone[0])
        tails.append(beside[1] / alone[1])
        print(
            f"round {number + 1}: alone {alone[0]:.1f}/s, p99 {alone[1]:.2f} ms; beside {beside[0]:.1f}/s, p99 {beside[1]:.2f} ms; "
            f"rate x {rates[-1]:.3f}, p99 x {tails[-1]:.2f}; teaching {state}",
            flush=True,
        )
    print(f"median: rate x {statistics.median(rates):.3f}, p99 x {statistics.median(tails):.2f}")


if __name__ == "__main__":
    main()
