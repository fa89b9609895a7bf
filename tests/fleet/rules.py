"""Configuration and alert rules, by the tools of Prometheus and Alertmanager."""

import shutil

import yaml
from common import FLEET, needs, run


TESTS = sorted((FLEET / "prometheus").glob("*_test.yml"))


def rules():
    return [rule for group in yaml.safe_load((FLEET / "prometheus/rules.yml").read_text())["groups"] for rule in group["rules"]]


def test_the_configuration_of_prometheus_is_valid(folder):
    needs("promtool")
    copy = shutil.copytree(FLEET / "prometheus", folder / "prometheus", ignore=shutil.ignore_patterns("token"))
    (copy / "token").write_text("token")
    assert "SUCCESS" in run("promtool", "check", "config", copy / "prometheus.yml")


def test_the_rules_do_what_their_tests_say(folder):
    needs("promtool")
    run("promtool", "test", "rules", *TESTS)


def test_every_alert_says_what_to_do_and_is_tested_to_fire(folder):
    tests = "".join(path.read_text() for path in TESTS)
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) > 20
    for alert in alerts:
        name = alert["alert"]
        assert alert["labels"]["severity"] in ("critical", "warning", "info", "none"), name
        assert alert["annotations"]["summary"].endswith("."), name
        assert "action" in alert["annotations"] or name == "LinesideMonitoringAlive", name
        # As one that is expected, not only as one that must be silent.
        fires = [f'alertname="{name}"', f"alertname: {name}\n"]
        assert any(text in tests for text in fires), f"{name} has no test"


def test_the_configuration_of_alertmanager_is_valid_and_names_alerts_that_exist(folder):
    needs("amtool")
    path = FLEET / "alertmanager/alertmanager.yml"
    assert "SUCCESS" in run("amtool", "check-config", path)
    for labels, receiver in ((["alertname=LinesideMonitoringAlive", "severity=none"], "dead-mans-switch"),
                             (["alertname=LinesideVersionSkew", "severity=info"], "people"),
                             (["alertname=LinesideFault", "severity=critical", "board=line-7"], "people")):
        assert run("amtool", "config", "routes", "test", f"--config.file={path}", *labels).startswith(f"{receiver}\n"), labels
    names = {rule["alert"] for rule in rules() if "alert" in rule}
    for rule in yaml.safe_load(path.read_text())["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            label, value = matcher.replace("=~", "=").split("=", 1)
            assert label != "alertname" or set(value.strip('"').split("|")) <= names, matcher
