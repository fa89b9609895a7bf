"""The dashboards' structure, as Grafana documents it (JSON model, schema version 39). What their queries return: live.py."""

import json
import re

import yaml
from common import FLEET, ROOT

KINDS = {"row", "stat", "table", "timeseries", "state-timeline"}
FILES = sorted((FLEET / "grafana/dashboards").glob("*.json"))


def dashboards():
    return [json.loads(file.read_text()) for file in FILES]


def panels():
    return [panel for one in dashboards() for panel in one["panels"] if panel["type"] != "row"]


def expressions():
    return [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]


def test_grafana_finds_what_it_needs(folder):
    assert len(FILES) == 2 and len({one["uid"] for one in dashboards()}) == 2
    for one in dashboards():
        assert one["schemaVersion"] == 39 and one["title"] and one["tags"] == ["lineside"] and "id" not in one
        variables = [variable["name"] for variable in one["templating"]["list"]]
        assert variables[0] == "datasource"
        ids = [panel["id"] for panel in one["panels"]]
        assert len(ids) == len(set(ids))
        taken = set()
        for panel in one["panels"]:
            at = panel["gridPos"]
            assert panel["type"] in KINDS and at["x"] + at["w"] <= 24 and at["w"] > 0 and at["h"] > 0, panel["title"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, f"{panel['title']} lies over another panel"
            taken |= cells
            if panel["type"] == "row":
                continue
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"} and panel["targets"], panel["title"]
            refs = [target["refId"] for target in panel["targets"]]
            assert len(refs) == len(set(refs)), panel["title"]
        used = set(re.findall(r"\$\{?(\w+)", json.dumps([one["panels"], one["templating"], one["annotations"]])))
        unknown = {name for name in used if not name.startswith("__")} - set(variables)
        assert not unknown, unknown


def test_each_dashboard_shows_the_boards_that_are_chosen(folder):
    for title, expression in expressions():
        selectors = re.findall(r"(?:lineside_\w+|lineside:[\w:]+|up)(\{[^}]*\})?", expression)
        assert selectors and all('board=~"$board"' in selector for selector in selectors), f"{title}: {expression}"


def test_a_link_leads_to_a_dashboard_that_exists(folder):
    uids = {one["uid"] for one in dashboards()}
    links = set(re.findall(r"/d/([\w-]+)", "".join(file.read_text() for file in FILES)))
    assert links and links <= uids, links


def test_compose_and_provisioning_mount_files_that_exist(folder):
    compose = yaml.safe_load((FLEET / "compose.yaml").read_text())
    secrets = {"mosquitto/passwd", "grafana/admin-password"}
    for name, service in compose["services"].items():
        tag = service["image"].rsplit(":", 1)[1]
        assert tag != "latest", name
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("./"):
                path = source[2:]
                assert path in secrets or (FLEET / path).exists(), f"{name}: {path}"
            else:
                assert source in compose["volumes"], f"{name}: {source}"
        # What has no login is not offered to a network.
        if name in ("prometheus", "alertmanager"):
            assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
    ignored = (FLEET / ".gitignore").read_text()
    assert all(f"/{secret}\n" in ignored for secret in secrets | {"prometheus/token"})
    provider = yaml.safe_load((FLEET / "grafana/provisioning/dashboards/lineside.yml").read_text())["providers"][0]
    mounts = [volume.split(":")[1] for volume in compose["services"]["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounts
    assert (ROOT / "docs/fleet.md").exists()
