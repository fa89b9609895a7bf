"""The add-on's description, as far as it can be held to the documentation without a Supervisor; that it builds and starts: image.py."""

import re
import tomllib

import yaml
from common import ROOT

FOLDER = ROOT / "home-assistant/lineside"
# Of developers.home-assistant.io, "Add-on configuration"; those that are used here, and what each may be.
DOCUMENTED = {
    "name": str, "version": str, "slug": str, "description": str, "arch": list, "startup": str, "boot": str, "init": bool, "stage": str,
    "services": list, "map": list, "backup_exclude": list, "video": bool, "usb": bool, "devices": list, "ports": dict,
    "ports_description": dict, "webui": str, "timeout": int, "options": dict, "schema": dict,
}


def read(name):
    return yaml.safe_load((FOLDER / name).read_text())


def test_the_description_has_what_is_required_and_only_what_is_documented(folder):
    config = read("config.yaml")
    for key, value in config.items():
        assert key in DOCUMENTED and isinstance(value, DOCUMENTED[key]), key
    assert {"name", "version", "slug", "description", "arch"} <= set(config)
    assert config["version"] == tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert re.fullmatch(r"[a-z0-9_]+", config["slug"])
    assert set(config["arch"]) == {"aarch64", "amd64"} == set(read("build.yaml")["build_from"])
    assert config["startup"] in ("initialize", "system", "services", "application", "once") and config["boot"] in ("auto", "manual")
    assert config["stage"] in ("stable", "experimental", "deprecated") and 10 <= config["timeout"] <= 300
    assert all(re.fullmatch(r"(mqtt|mysql):(provide|want|need)", service) for service in config["services"])
    assert re.fullmatch(r"https?://\[HOST\]:\[PORT:\d+\].*", config["webui"])
    assert set(config["options"]) == set(config["schema"])
    # What it could reach if it were taken over: nothing of Home Assistant, nothing of the host but devices.
    assert not {"full_access", "host_network", "privileged", "docker_api", "hassio_api", "homeassistant_api"} & set(config)


def test_what_is_translated_exists(folder):
    config = read("config.yaml")
    for file in (FOLDER / "translations").iterdir():
        words = yaml.safe_load(file.read_text())
        assert set(words["configuration"]) == set(config["schema"]) and set(words["network"]) == set(config["ports"]), file


def test_it_is_built_on_the_base_of_the_image(folder):
    image = (ROOT / "cross/oci/Dockerfile").read_text()
    base = re.search(r"^FROM (\S+)", image, re.M).group(1)
    assert f"ARG BUILD_FROM={base}" in (FOLDER / "Dockerfile").read_text()
    assert all(one.endswith(f"/{base}") for one in read("build.yaml")["build_from"].values())
    # The same unpacking in both.
    assert re.search(r"^ && rm -r /tmp/lineside.deb .*", image, re.M).group(0) in (FOLDER / "Dockerfile").read_text()
