"""Five real lines, a real mosquitto with the fleet's configuration, a real Prometheus with the fleet's configuration and rules: what
dashboards and rules name exists, every panel shows something, and nothing is lost while broker and boards come and go."""

import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from common import ROOT, attempt, needs, program, run, simulate
from dashboards import expressions

BOARDS = 5
# Scrapes and rules, once a second instead of once in 15 s.
INTERVAL = "1s"
# What a line has only after 48 minutes (docs/field-log.md, "Drift"); that the program knows the name is checked in its source.
LATER = {"lineside_drift"}
shared = {}


def fleet():
    """All of it, started once."""
    if "fleet" in shared:
        return shared["fleet"]
    needs("mosquitto", "mosquitto_passwd", "mosquitto_sub", "prometheus", "promtool")
    binary, code = program(), simulate()
    shared["folder"] = folder = pathlib.Path(tempfile.mkdtemp(prefix="lineside-fleet-"))
    shared["fleet"] = one = code.Fleet(binary, folder, BOARDS, fps=1, defect_every=1)
    # The last board tries another version of its bundle beside the active one.
    store = folder / "bundles"
    other = shutil.copytree(ROOT / "models/inspect-pattern", folder / "other")
    manifest = (other / "bundle.toml").read_text()
    (other / "bundle.toml").write_text(re.sub(r'^version = ".*"', 'version = "99.0.0"', manifest, count=1, flags=re.M))
    models = {"LINESIDE_BUNDLES": str(ROOT / "models"), "PATH": "/usr/bin:/bin"}
    run(binary, "bundle", "install", ROOT / "models/inspect-pattern", "--store", store, env=models)
    run(binary, "bundle", "install", "--shadow", other, "--as", "inspect-pattern", "--store", store, env=models)
    one.lines[-1].environment["LINESIDE_BUNDLES"] = f"{store}:{ROOT / 'models'}"
    one.start()
    one.prometheus = code.Prometheus(one, INTERVAL)
    backfill(one)
    one.prometheus.process.start()
    code.wait_until("Prometheus", one.prometheus.is_ready)
    code.wait_until("all boards", lambda: one.prometheus.value('count(up{job="lineside"} == 1)') == BOARDS)
    # Times by stage come with the first status record, after ten seconds.
    code.wait_until("times", lambda: one.prometheus.value("count(rate(lineside_stage_seconds_count[20s]) > 0)") > 0)
    code.wait_until("rules", lambda: one.prometheus.value("count(lineside:judged:increase1h > 0)") == BOARDS)
    return one


def backfill(one):
    """A week of the boards' own past, so that what compares with it has something to compare with."""
    now = int(time.time())
    lines = []
    for name, value in (("lineside:judged:increase1h", 600), ("lineside:defects:increase1h", 6)):
        lines.append(f"# TYPE {name} gauge")
        for i, line in enumerate(one.lines):
            labels = f'{{board="{line.name}",hall="hall-{i // 50}"}}'
            lines += [f"{name}{labels} {value} {at}" for at in range(now - 4 * 3600, now - 3600)]
    text = one.work / "past"
    text.write_text("\n".join(lines) + "\n# EOF\n")
    run("promtool", "tsdb", "create-blocks-from", "openmetrics", text, one.prometheus.data)


def tear_down():
    if "fleet" in shared:
        shared["fleet"].stop()
    if "folder" in shared:
        shutil.rmtree(shared["folder"], ignore_errors=True)


def alerts(one, states=frozenset({"pending", "firing"})):
    """The names of those in one of the states."""
    return {alert["labels"]["alertname"] for alert in one.prometheus.api("alerts")["alerts"] if alert["state"] in states}


def errors(one):
    """Why boards could not be scraped last."""
    targets = one.prometheus.api("targets")["activeTargets"]
    return {target["lastError"] for target in targets if target["labels"]["job"] == "lineside"}


def names(expression):
    return set(re.findall(r"\blineside_[a-z_]+", expression))


def test_every_metric_of_dashboards_and_rules_is_one_of_the_program(folder):
    one = fleet()
    groups = one.prometheus.api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    broken = [rule["name"] for rule in rules if rule["health"] == "err"]
    assert len(rules) > 25 and not broken, broken
    asked = set().union(*(names(rule["query"]) for rule in rules), *(names(expression) for _, expression in expressions()))
    scraped = {labels["__name__"] for labels, _ in one.prometheus.query('count by (__name__) ({job="lineside"})')}
    unknown = asked - scraped - LATER
    assert len(asked) > 20 and not unknown, f"not in /metrics: {sorted(unknown)}"
    source = (ROOT / "src/status_page/metrics.rs").read_text()
    assert all(f'"{name}"' in source for name in LATER)
    # And the other way round: what the program measures is shown somewhere.
    unseen = {name for name in scraped if name.startswith("lineside_")} - asked
    assert not unseen, f"in no dashboard and no rule: {sorted(unseen)}"


def test_every_query_of_every_panel_has_data(folder):
    one, code = fleet(), simulate()
    for title, expression in expressions():
        if not names(expression) & LATER:
            asked = expression.replace("$__rate_interval", "20s").replace("$hall", ".*").replace("$board", ".*")
            code.wait_until(f"data for {title}: {asked}", lambda: one.prometheus.query(asked))
    # What the dashboards offer to choose from.
    boards = {labels["board"] for labels, _ in one.prometheus.query('up{job="lineside"}')}
    assert boards == {line.name for line in one.lines}


def test_a_healthy_fleet_alerts_nobody(folder):
    one = fleet()
    # The synthetic line has a scratch on each part, a hundred times as many as the past that was written for it.
    firing = alerts(one, {"firing"})
    assert firing <= {"LinesideMonitoringAlive", "LinesideDefectRateJump"}, firing


def test_without_the_token_nothing_is_scraped(folder):
    one, code = fleet(), simulate()
    line = one.lines[0]
    assert line.get("/metrics", token=None)[0] == 401 and line.get("/metrics", token="0" * 32)[0] == 401
    assert line.get("/metrics")[0] == 200
    token = one.prometheus.folder / "token"
    right = token.read_text()
    token.write_text("0" * 32)
    code.wait_until("refused scrapes", lambda: one.prometheus.value('count(up{job="lineside"} == 0)') == BOARDS)
    code.wait_until("the reason", lambda: errors(one) == {"server returned HTTP status 401 Unauthorized"})
    code.wait_until("the alert", lambda: "LinesideBoardAway" in alerts(one))
    token.write_text(right)
    code.wait_until("all boards again", lambda: one.prometheus.value('count(up{job="lineside"} == 1)') == BOARDS)


def test_a_broker_that_is_away_a_while_shows_and_costs_nothing(folder):
    one, code = fleet(), simulate()
    one.broker.stop()
    try:
        code.wait_until("a queue", lambda: one.prometheus.value("min(lineside_mqtt_waiting_records)") > 3)
        code.wait_until("a fault", lambda: one.prometheus.value('sum(lineside_fault_active{fault="mqtt"})') == BOARDS)
    finally:
        one.broker.start()
    code.wait_until("empty queues", lambda: one.prometheus.value("max(lineside_mqtt_waiting_records)") <= 1)
    code.wait_until("no fault", lambda: one.prometheus.value('sum(lineside_fault_active{fault="mqtt"})') == 0)
    code.wait_until("the rest", lambda: not one.missing())


def test_a_user_of_the_broker_reaches_no_more_than_its_own(folder):
    one, port = fleet(), str(fleet().broker.port)

    def publish(user, topic, password="fleet"):
        """Publishes with QoS 1; the broker acknowledges what it then drops, so what counts is whether it arrives."""
        return attempt("mosquitto_pub", "-h", "127.0.0.1", "-p", port, "-u", user, "-P", password, "-q", "1", "-i", f"probe-{user}",
                       "-t", topic, "-m", f"probe of {user}")[0]

    assert publish("board-000", "lineside/board-000/probe") == 0
    for user, topic in (("board-000", "lineside/board-001/event"), ("reader", "lineside/board-001/event"),
                        ("board-000", "lineside/board-001/set"), ("operator", "lineside/board-001/event")):
        publish(user, topic)
    assert publish("board-000", "lineside/board-000/probe", "wrong") != 0
    simulate().wait_until("the one that is allowed", lambda: any(kind == "probe" for _, _, kind, _ in one.reader.messages()))
    probes = [(board, kind) for _, board, kind, payload in one.reader.messages() if payload.startswith("probe of")]
    assert probes == [("board-000", "probe")], probes


def test_two_boards_with_one_client_id_name_it_and_lose_nothing(folder):
    one, code = fleet(), simulate()
    first = one.lines[0]
    output, twin = folder / "out", folder / "twin.toml"
    text = first.config.read_text().replace(str(first.output), str(output)).replace(first.address, "127.1.9.9:8080")
    twin.write_text(text)
    double = code.Process([one.program, "run", twin], folder / "log", stdout=subprocess.DEVNULL, env=first.environment).start()
    try:
        code.wait_until("the reason", lambda: "client_id" in first.folder.joinpath("log").read_text())
    finally:
        double.stop()
    code.wait_until("no fault", lambda: one.prometheus.value(f'sum(lineside_fault_active{{fault="mqtt",board="{first.name}"}})') == 0)
    # Its own records came under the same topic: those are not the first board's.
    code.wait_until("all of the first board", lambda: first.name not in one.missing())


def test_a_board_that_is_killed_and_one_that_restarts_lose_nothing(folder):
    one, code = fleet(), simulate()
    for line, how in ((one.lines[1], signal.SIGKILL), (one.lines[2], signal.SIGTERM)):
        line.process.stop(how)
        code.wait_until("a board that is away", lambda: one.prometheus.value(f'up{{board="{line.name}"}} == bool 0') == 1)
        line.process.start()
        code.wait_until("its page", lambda: one.is_up(line))
    code.wait_until("all boards", lambda: one.prometheus.value('count(up{job="lineside"} == 1)') == BOARDS)
    changed = one.prometheus.value(f'changes(lineside_start_time_seconds{{board="{one.lines[1].name}"}}[5m])')
    assert changed >= 1, changed


def test_in_the_end_each_record_was_received(folder):
    one = fleet()
    one.stop_lines()
    ledger = one.ledger()
    assert ledger["written"] > 100 and ledger["missing"] == 0, ledger
    assert ledger["boards out of order"] == 0 and ledger["runs with a gap"] == 0, ledger
    # What a mistake in the counting would hide: a record that nobody sent is missed.
    line = one.lines[3]
    with open(line.output / "events.jsonl", "a", encoding="utf-8") as records:
        records.write('{"time":"2026-01-01T00:00:00.000Z","record":"fault","run":"00000000"}\n')
    assert one.ledger()["missing"] == 1
