"""The image without a container engine: the instructions of cross/oci/Dockerfile are carried out in a root of Debian 12 (what the base
image is made of) by chroot, without a network, and the container's command, user, read-only root and health check are tried there."""

import json
import os
import pathlib
import shlex
import shutil

from common import ROOT, TARGET, Skipped, attempt, needs, package, run

TOKEN = "0123456789abcdef0123456789abcdef"
# A network of its own that has nothing but loopback, its own mounts and processes.
ALONE = ["unshare", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"]


# Left out of the slim base image, too.
UNUSED = ["doc", "locale", "man", "info"]


def base(folder):
    """A root of Debian 12, as small as the base image."""
    needs("mmdebstrap", "unshare", "chroot", "tar")
    if os.geteuid() != 0:
        raise Skipped("needs root, for chroot")
    if attempt("unshare", "--net", "--mount", "true")[0] != 0:
        raise Skipped("this machine allows no namespaces")
    kept = TARGET / "oci-base.tar"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        code, output = attempt("mmdebstrap", "--quiet", "--variant=minbase", *(f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in UNUSED),
                               "bookworm", folder / "base.tar")
        if code != 0:
            raise Skipped(f"mmdebstrap cannot make a Debian 12: {output[-300:]}")
        shutil.copy(folder / "base.tar", f"{kept}.new")
        os.replace(f"{kept}.new", kept)
    root = folder / "root"
    root.mkdir()
    run("tar", "-C", root, "-xf", kept)
    return root


def instructions(path):
    """(instruction, rest) of each line of a Dockerfile."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, rest = line.strip().split(None, 1)
            yield word, rest


class Image:
    """What a build leaves: the root and the settings."""

    def __init__(self, root, dockerfile, arguments, files):
        self.root, self.user, self.folder, self.environment = root, "root", "/", {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
        self.command = self.health = None
        for word, rest in instructions(dockerfile):
            for name, value in arguments.items():
                rest = rest.replace(f"${{{name}}}", value).replace(f"${name}", value)
            if word == "FROM":
                assert rest.endswith("debian:12-slim"), rest
            elif word == "COPY":
                source, target = rest.split()
                shutil.copy(files[source], f"{root}{target}")
            elif word == "RUN":
                run(*ALONE, "chroot", root, "sh", "-c", rest, env=self.environment)
            elif word == "USER":
                self.user = rest
            elif word == "WORKDIR":
                self.folder = rest
                pathlib.Path(f"{root}{rest}").mkdir(parents=True, exist_ok=True)
            elif word == "ENV":
                name, value = rest.split("=", 1)
                self.environment[name] = value
            elif word == "CMD":
                self.command = json.loads(rest)
            elif word == "HEALTHCHECK":
                self.health = json.loads(rest.split("CMD ", 1)[1])
            else:
                assert word in ("VOLUME", "EXPOSE", "STOPSIGNAL", "ARG"), word

    def script(self, body, read_only=True):
        """A shell script in the container: `run COMMAND…` is a process of the image's user in its root."""
        user = [] if self.user == "root" else [f"--userspec={self.user}:{self.user}"]
        inside = shlex.join(["chroot", *user, str(self.root), "env", "-i", *(f"{n}={v}" for n, v in self.environment.items())])
        lines = [
            "ip link set lo up 2>/dev/null || ifconfig lo up",
            f"mount --bind {self.root} {self.root}",
            f"mount --bind {self.root}/var/lib/lineside {self.root}/var/lib/lineside",
            f"mount -o remount,ro,bind {self.root}" if read_only else ":",
            f"mount -t proc proc {self.root}/proc",
            f'run() {{ {inside} sh -c "cd {self.folder} && exec \\"\\$@\\"" sh "$@"; }}',
            body,
        ]
        return [*ALONE, "bash", "-euc", "\n".join(lines)]


def build(folder):
    files = {"lineside.deb": package(), "healthy": ROOT / "cross/oci/healthy"}
    return Image(base(folder), ROOT / "cross/oci/Dockerfile", {}, files)


def configure(image, more=""):
    (image.root / "etc/lineside/lineside.toml").write_text(
        '[source.pattern]\nfps = 5.0\n[anomaly]\nbundle = "inspect-pattern"\n[output]\nfolder = "/var/lib/lineside/records"\n' + more)


def test_the_image_inspects_as_nobody_special_on_a_read_only_root_and_its_health_check_knows(folder):
    image = build(folder)
    assert image.user == "lineside" and image.health == ["healthy"]
    token = image.root / "etc/lineside/token"
    token.write_text(TOKEN)
    os.chmod(token, 0o640)
    os.chown(token, 0, 6180)
    configure(image, '[status_page]\nlisten = "0.0.0.0:8080"\ntoken_file = "/etc/lineside/token"\n')
    body = f"""
        run healthy && {{ echo healthy before the start; exit 1; }}
        run {shlex.join(image.command)} 2>{folder}/log & line=$!
        for try in $(seq 100); do
            if run env LINESIDE_TOKEN_FILE=/etc/lineside/token healthy; then break; fi
            [ "$try" != 100 ] || {{ echo never healthy; cat {folder}/log; exit 1; }}
            sleep 0.3
        done
        # Without the token it is not let in.
        run healthy >{folder}/without && {{ echo healthy without the token; exit 1; }}
        run id -u >{folder}/user
        run touch /usr/nothing 2>/dev/null && {{ echo the root can be written to; exit 1; }}
        ip -o link | grep -v ' lo:' && {{ echo there is a network; exit 1; }}
        # What docker stop does: the signal goes to the process of CMD itself.
        for pid in $(pgrep -x lineside); do kill -TERM "$pid"; done
        code=0; wait $line || code=$?
        echo "ended with $code"
        [ "$code" = 0 ]
    """
    output = run(*image.script(body))
    assert "ended with 0" in output
    assert (folder / "user").read_text() == "6180\n" and (folder / "without").read_text().startswith("401")
    records = [json.loads(line) for line in (image.root / "var/lib/lineside/records/events.jsonl").read_text().splitlines()]
    assert records[0]["record"] == "start" and records[-1]["record"] == "stop" and records[-1]["inspected"] > 0
    # The log is JSON, and has no line for each frame.
    kinds = [json.loads(line)["record"] for line in (folder / "log").read_text().splitlines()]
    assert "start" in kinds and kinds[-1] == "stop", kinds


    # Without a page there is nothing to ask.
    configure(image)
    assert "nothing to ask" in run(*image.script("run healthy"))
    configure(image, "nonsense = 1\n")
    code, output = attempt(*image.script(f"run {shlex.join(image.command)}"))
    assert code == 78 and "nonsense" in output, f"{code} {output}"


def test_the_add_on_writes_its_first_configuration_and_inspects(folder):
    place = ROOT / "home-assistant/lineside"
    arch = "amd64" if run("dpkg", "--print-architecture").strip() == "amd64" else "aarch64"
    files = {f"lineside_{arch}.deb": package(), "run": place / "run"}
    image = Image(base(folder), place / "Dockerfile", {"BUILD_FROM": "debian:12-slim", "BUILD_ARCH": arch}, files)
    (image.root / "config").mkdir()
    (image.root / "var/lib/lineside").mkdir(parents=True, exist_ok=True)
    body = f"""
        run {shlex.join(image.command)} & line=$!
        for try in $(seq 100); do
            if grep -q '"record":"start"' {image.root}/data/records/events.jsonl 2>/dev/null; then break; fi
            [ "$try" != 100 ] || {{ echo no record; exit 1; }}
            sleep 0.3
        done
        for pid in $(pgrep -x lineside); do kill -TERM "$pid"; done
        wait $line
    """
    output = run(*image.script(body, read_only=False))
    assert "wrote /config/lineside.toml" in output
    assert 'folder = "/data/records"' in (image.root / "config/lineside.toml").read_text()
