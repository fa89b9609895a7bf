"""The snippets for Telegraf and Vector name topics, files and fields that exist. Neither program is in Debian: where one is in PATH,
it checks its file itself."""

import re
import shutil
import tomllib

import yaml
from common import FLEET, ROOT, run

LOG = (ROOT / "docs/field-log.md").read_text()


def fields():
    return set(re.findall(r"^\| `([a-z_0-9]+)`", LOG, re.M)) | set(re.findall(r"^\| (?:`[a-z_0-9]+`, )+`([a-z_0-9]+)`", LOG, re.M))


def topics():
    line = next(line for line in LOG.splitlines() if line.startswith("| `T/start`"))
    return set(re.findall(r"`T/(\w+)`", line)) | {"status", "online"}


def test_telegraf_reads_topics_and_fields_that_exist(folder):
    path = FLEET / "telegraf/telegraf.conf"
    text = path.read_text()
    config = tomllib.loads(text)
    # The inputs that are commented out are valid, too.
    more = tomllib.loads(re.sub(r"^#(?=( {2})*(\[|\w+ = ))", "", text, flags=re.M))["inputs"]
    assert set(more) == {"mqtt_consumer", "tail", "execd"}
    for name in more["execd"][0]["json_v2"][0]["object"][0]["included_keys"]:
        assert name.startswith("LINESIDE_") and name[9:].lower() in fields() | {"record", "run"}, name
    read = {topic.split("/")[2] for one in config["inputs"]["mqtt_consumer"] for topic in one["topics"] if topic[0] != "$"}
    kinds = set(re.findall(r"^### (\w+)$", LOG, re.M))
    assert topics() <= read and read - topics() <= kinds, read ^ topics()
    for one in config["inputs"]["mqtt_consumer"]:
        for parser in one.get("json_v2", []):
            for names in parser["object"]:
                unknown = set(names["tags"]) - fields() - {"run"}
                assert not unknown, unknown
    if shutil.which("telegraf"):
        run("telegraf", "config", "check", "--config", path)


def test_vector_reads_files_that_exist_and_every_transform_is_used(folder):
    path = FLEET / "vector/vector.yaml"
    config = yaml.safe_load(path.read_text())
    known = set(config["sources"]) | set(config["transforms"])
    used = {name for one in [*config["transforms"].values(), *config["sinks"].values()] for name in one["inputs"]}
    assert used == known, used ^ known
    packaged = (ROOT / "debian/lineside.toml").read_text()
    folder_of_records = re.search(r'^folder = "(.*)"', packaged, re.M).group(1)
    assert config["sources"]["records"]["include"] == [f"{folder_of_records}/events*.jsonl"]
    if shutil.which("vector"):
        run("vector", "validate", "--no-environment", path)


def test_the_broker_lets_the_readers_read_and_the_boards_write(folder):
    acl = (FLEET / "mosquitto/acl").read_text()
    telegraf = tomllib.loads((FLEET / "telegraf/telegraf.conf").read_text())["inputs"]["mqtt_consumer"]
    vector = yaml.safe_load((FLEET / "vector/vector.yaml").read_text())["sources"]["broker"]
    users = {one["username"] for one in telegraf} | {vector["user"]}
    assert all(f"user {user}\n" in acl for user in users)
