"""What the tests of a fleet share."""

import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLEET = ROOT / "fleet"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


class Skipped(Exception):
    """A test lacks its tool or its data."""


def needs(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Skipped(f"no {tool}")


def program():
    """The built program; LINESIDE_PROGRAM names another one."""
    path = pathlib.Path(os.environ.get("LINESIDE_PROGRAM", TARGET / "release/lineside")).resolve()
    if not path.exists():
        raise Skipped(f"{path} is not built")
    return path


def package():
    """The newest package of this machine's architecture; LINESIDE_DEB names another one."""
    if "LINESIDE_DEB" in os.environ:
        return pathlib.Path(os.environ["LINESIDE_DEB"])
    needs("dpkg")
    arch = run("dpkg", "--print-architecture").strip()
    found = sorted((TARGET / "packages").glob(f"lineside_*-1_{arch}.deb"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise Skipped(f"no package for {arch} in {TARGET / 'packages'} (cross/package)")
    return found[-1]


def attempt(*command, **more):
    """Exit code and output of a command."""
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, **more)
    return done.returncode, done.stdout + done.stderr


def run(*command, **more):
    """Output of a command that must succeed."""
    code, output = attempt(*command, **more)
    assert code == 0, f"{' '.join(map(str, command))}: {code}\n{output}"
    return output


def refused(*command, because, **more):
    """A command must fail, and say why."""
    code, output = attempt(*command, **more)
    assert code != 0, f"{' '.join(map(str, command))} succeeded: {output}"
    assert because in output, f"{because!r} is not in: {output}"
    return output


def simulate():
    """fleet/simulate as a module."""
    loader = importlib.machinery.SourceFileLoader("simulate", str(FLEET / "simulate"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("simulate", loader))
    loader.exec_module(module)
    return module
