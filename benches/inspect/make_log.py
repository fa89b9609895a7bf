#!/usr/bin/env python3
"""Writes a log of a board's months, to measure `lineside inspect`: status every ten seconds, events, outages, restarts.

  make_log.py text|json|export|short MEGABYTES > FILE

The same arguments give the same bytes.
"""
import json
import random
import sys
from datetime import datetime, timedelta, timezone

STAGES = ("verdict", "wait", "judge", "write")


def stage_fields(rng, hour, fields):
    slow = 2.2 if 12 <= hour < 15 else 1.0
    for stage, base in zip(STAGES, (22.0, 3.0, 18.0, 6.0)):
        p50 = base * slow * rng.uniform(0.95, 1.05)
        for name, factor in (("p50", 1.0), ("p95", 1.4), ("p99", 1.8), ("max", 2.6)):
            fields[f"{stage}_{name}_ms"] = round(p50 * factor, 2)


def records(rng):
    """Records without end: (time, level, fields)."""
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    number = 0
    while True:
        number += 1
        run = f"{rng.getrandbits(32):08x}"
        start = now
        yield now, "info", {
            "record": "start", "run": run, "host": "line3", "version": "0.1.0", "source": "camera /dev/video0 640x480",
            "config": "/etc/lineside/lineside.toml", "bundles": "inspect-demo 3 1a2b3c4d", "output": "/var/lib/lineside",
            "budget_bytes": 134217728, "bill_bytes": 96000000, "bill": "engine 30000000; frames 4000000",
            "cpu": "Cortex-A72", "cores": 4, "kernel": "neon", "boot": f"{number // 4:032x}", "pid": 700 + number,
            "os": "6.6.31+rpt-rpi-v8", "previous": "clean" if number > 1 else "none",
        }
        captured = inspected = dropped = failed = defects = 0
        for tick in range(rng.randrange(8640, 8640 * 5)):
            now += timedelta(seconds=10)
            frames = 100
            lost = rng.randrange(20) if 12 <= now.hour < 15 else 0
            bad = rng.random() < 0.02
            captured, inspected, dropped, failed = captured + frames, inspected + frames - lost - bad, dropped + lost, failed + bad
            if rng.random() < 0.3:
                defects += 1
                yield now - timedelta(seconds=3), "info", {
                    "record": "event", "run": run, "frame": f"{captured}", "score": round(rng.uniform(0.99, 1.0), 6), "threshold": 0.99,
                    "regions": "120,88,40,32;200,10,12,12", "latency_ms": round(rng.uniform(20, 60), 2),
                    "annotated": f"{now:%Y%m%dT%H%M%S}123Z-{captured}.png", "spot": "",
                }
            if rng.random() < 0.0005:
                cause = "camera /dev/video0: no such camera: plug it in; `lineside devices` shows what is there"
                yield now, "warn", {"record": "fault", "run": run, "fault": "camera", "state": "begin", "cause": cause}
                yield now + timedelta(seconds=4), "info", {"record": "fault", "run": run, "fault": "camera", "state": "end", "cause": cause, "seconds": 4.0, "count": 5}
            bins = [0] * 20
            for _ in range(20):
                bins[min(19, int(rng.betavariate(2, 6) * 20))] += 5
            fields = {
                "record": "status", "run": run, "uptime_s": round((now - start).total_seconds(), 1), "seconds": 10.0,
                "captured": captured, "inspected": inspected, "skipped_similar": 0, "dropped_stale": dropped, "failed": failed,
                "defects": defects, "fps": 10.0, "score": round(rng.betavariate(2, 6), 6),
            }
            stage_fields(rng, now.hour, fields)
            fields |= {
                "scores": ",".join(map(str, bins)), "brightness": 118, "sharpness": 41, "source": "flowing", "restarts": 0,
                "enlarged": defects, "enlarged_late": 0, "rss_bytes": 88_000_000 + rng.randrange(200_000),
                "allocs_since_sealed": 6, "temperature_c": round(78.0 if 12 <= now.hour < 15 else 61.0 + rng.random(), 1),
                "throttled": "0x80008" if 12 <= now.hour < 15 else "0x80000", "heat": 0, "held_back": 0,
            }
            yield now, "info", fields
        stop = {"record": "stop", "run": run, "reason": "stop asked for", "captured": captured, "inspected": inspected, "skipped_similar": 0,
                "dropped_stale": dropped, "failed": failed, "defects": defects, "peak_rss_bytes": 88_400_000, "uptime_s": (now - start).total_seconds()}
        yield now, "info", stop
        now += timedelta(seconds=rng.randrange(5, 600))


def pairs(fields):
    def value(value):
        text = str(value)
        bare = text and all(33 <= ord(c) < 127 and c not in '"=\\' for c in text)
        return text if bare else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return " ".join(f"{key}={value(of)}" for key, of in fields.items())


def line(form, time, level, fields):
    stamp = f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"
    if form == "json":
        return json.dumps({"time": stamp, "level": level} | fields, separators=(",", ":")) + "\n"
    if form == "text":
        return f"time={stamp} level={level} {pairs(fields)}\n"
    if form == "short":
        return f"{time:%b %d %H:%M:%S} line3 lineside[812]: {pairs(fields)}\n"
    micros = int(time.timestamp() * 1e6)
    native = "".join(f"LINESIDE_{key.upper()}={value}\n" for key, value in fields.items())
    return (f"__CURSOR=s=0;i={micros:x}\n__REALTIME_TIMESTAMP={micros}\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID=0\n_TRANSPORT=journal\n"
            f"PRIORITY=6\n_HOSTNAME=line3\n_PID=812\n_COMM=lineside\n_SYSTEMD_UNIT=lineside.service\nSYSLOG_IDENTIFIER=lineside\n"
            f"MESSAGE={pairs(fields)}\n{native}\n")


def main():
    form, left = sys.argv[1], int(sys.argv[2]) * 1_000_000
    out = sys.stdout
    for time, level, fields in records(random.Random(6)):
        text = line(form, time, level, fields)
        out.write(text)
        left -= len(text)
        if left <= 0:
            break


main()
