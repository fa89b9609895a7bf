"""cross/repository against a real apt with a root and a configuration of its own: what is right is verified and fetched by file://,
what was changed, is signed by others or has expired is refused. Nothing of this machine's apt is read or written."""

import os
import shutil

from common import ROOT, attempt, needs, refused, run

TOOLS = ("apt-get", "apt-ftparchive", "gpg", "dpkg-deb", "xz")


class Keys:
    """A keyring of gpg with keys without a passphrase."""

    def __init__(self, folder):
        self.home = folder / "gnupg"
        self.home.mkdir(mode=0o700)
        self.environment = {**os.environ, "GNUPGHOME": str(self.home), "LC_ALL": "C"}

    def new(self, name, expires="never", at=None):
        clock = ["--faked-system-time", at] if at else []
        run("gpg", *clock, "--batch", "--quiet", "--passphrase", "", "--quick-generate-key",
            f"{name} <{name}@lineside.example>", "ed25519", "sign", expires, env=self.environment)
        keys = run("gpg", "--list-secret-keys", "--with-colons", name, env=self.environment).splitlines()
        return next(line.split(":")[9] for line in keys if line.startswith("fpr"))

    def end(self):
        run("gpgconf", "--kill", "all", env=self.environment)


class Apt:
    """apt with everything that it reads and writes below a folder."""

    def __init__(self, folder, repository, arch="amd64", suite="stable"):
        self.root = folder / "apt"
        for path in ("etc/apt.conf.d", "etc/preferences.d", "lists/partial", "cache/archives/partial", "state", "log"):
            (self.root / path).mkdir(parents=True, exist_ok=True)
        (self.root / "status").write_text("")
        (self.root / "sources.list").write_text(
            f"deb [arch={arch} signed-by={repository / 'lineside.gpg'}] file://{repository} {suite} main\n")
        options = {
            "Dir::Etc": self.root / "etc", "Dir::Etc::sourcelist": self.root / "sources.list", "Dir::Etc::sourceparts": "-",
            "Dir::Etc::trusted": self.root / "none.gpg", "Dir::Etc::trustedparts": self.root / "none",
            "Dir::State": self.root / "state", "Dir::State::lists": self.root / "lists", "Dir::State::status": self.root / "status",
            "Dir::Cache": self.root / "cache", "Dir::Log": self.root / "log",
            "APT::Architecture": arch, "APT::Architectures": arch, "APT::Sandbox::User": "root", "Acquire::Languages": "none",
        }
        config = self.root / "apt.conf"
        config.write_text("".join(f'{name} "{value}";\n' for name, value in options.items()) + "#clear DPkg::Post-Invoke;\n")
        # Its parts, too, are those of this machine otherwise.
        self.environment = {**os.environ, "APT_CONFIG": str(config), "LC_ALL": "C"}

    def update(self):
        return ["apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update"]

    def download(self, what="lineside"):
        """Fetches a package; its path."""
        place = self.root / "here"
        place.mkdir(exist_ok=True)
        run("apt-get", "-q", "download", what, env=self.environment, cwd=place)
        return next(place.glob("*.deb"))


def small_package(folder, version, arch="amd64", name="lineside"):
    tree = folder / f"tree-{name}-{version}-{arch}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share/doc/lineside").mkdir(parents=True)
    (tree / "usr/share/doc/lineside/version").write_text(version)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: Nobody <nobody@lineside.example>\n"
        "Description: a small package\n")
    deb = folder / f"{name}-{version}-{arch}.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, deb)
    return deb


def publish(keys, folder, key, *more):
    return run(ROOT / "cross/repository", folder, "--key", key, *more, env=keys.environment)


def set_up(folder, **key):
    needs(*TOOLS)
    keys = Keys(folder)
    fingerprint = keys.new("right", **key)
    repository = folder / "repository"
    publish(keys, repository, fingerprint, small_package(folder, "1.0-1"), small_package(folder, "1.0-1", "arm64"))
    return keys, fingerprint, repository


def test_apt_verifies_and_fetches_for_both_architectures_and_sees_the_next_version(folder):
    keys, key, repository = set_up(folder)
    for arch in ("amd64", "arm64"):
        place = folder / arch
        place.mkdir()
        apt = Apt(place, repository, arch)
        run(*apt.update(), env=apt.environment)
        fetched = apt.download()
        assert fetched.read_bytes() == (folder / f"lineside-1.0-1-{arch}.deb").read_bytes()
    # By its hash: where the index changes between InRelease and Packages, apt gets what InRelease names.
    assert "by-hash" in run("apt-get", "-q", "-o", "Debug::Acquire::http=1", "indextargets", "--format", "$(BY_HASH) by-hash",
                            env=apt.environment)
    publish(keys, repository, key, "--valid-days", "30", small_package(folder, "1.1-1"))
    apt = Apt(folder / "amd64", repository, "amd64")
    run(*apt.update(), env=apt.environment)
    madison = run("apt-cache", "madison", "lineside", env=apt.environment)
    assert "1.0-1" in madison and "1.1-1" in madison
    keys.end()


def test_what_was_changed_on_the_way_is_refused(folder):
    keys, _, repository = set_up(folder)
    dist = repository / "dists/stable"
    for name, change, because in [
        ("InRelease", lambda text: text.replace("Origin: Lineside", "Origin: Elsewher"), "BADSIG"),
        ("InRelease", lambda text: text.split("-----BEGIN PGP SIGNATURE")[0], "NOSPLIT"),
    ]:
        kept = (dist / name).read_text()
        (dist / name).write_text(change(kept))
        if because == "NOSPLIT":
            # Without a signature at all: neither InRelease nor Release.gpg is accepted.
            (dist / name).unlink()
            signature = (dist / "Release.gpg").read_text()
            (dist / "Release.gpg").unlink()
            because = "is not signed"
        place = folder / because.replace(" ", "-")
        place.mkdir()
        apt = Apt(place, repository)
        refused(*apt.update(), because=because, env=apt.environment)
        (dist / name).write_text(kept)
    (dist / "Release.gpg").write_text(signature)

    # Packages: under all its names, so that apt cannot take the right one elsewhere.
    binary = dist / "main/binary-amd64"
    kept = shutil.copytree(binary, folder / "kept")
    for file in [path for path in binary.rglob("*") if path.is_file()]:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    (folder / "index").mkdir()
    apt = Apt(folder / "index", repository)
    code, output = attempt(*apt.update(), env=apt.environment)
    assert code != 0 and ("Hash Sum mismatch" in output or "unexpected size" in output), output
    shutil.rmtree(binary)
    shutil.copytree(kept, binary)

    # The package itself: same size, one bit.
    deb = next((repository / "pool").rglob("*_amd64.deb"))
    data = bytearray(deb.read_bytes())
    data[-1] ^= 1
    deb.write_bytes(data)
    (folder / "package").mkdir()
    apt = Apt(folder / "package", repository)
    run(*apt.update(), env=apt.environment)
    refused("apt-get", "-q", "download", "lineside", because="Hash Sum mismatch", env=apt.environment, cwd=apt.root)
    keys.end()


def test_a_key_of_somebody_else_and_one_that_has_expired_are_refused(folder):
    keys, _, repository = set_up(folder)
    other = keys.new("other")
    ours = (repository / "lineside.gpg").read_bytes()
    publish(keys, repository, other)
    (repository / "lineside.gpg").write_bytes(ours)
    (folder / "other").mkdir()
    apt = Apt(folder / "other", repository)
    refused(*apt.update(), because="NO_PUBKEY", env=apt.environment)

    # Made long ago for a day: it signed while it was valid (gpg's clock is put back for that), and is over now.
    brief = keys.new("brief", expires="20240102T000000", at="20240101T000000")
    code, output = attempt(ROOT / "cross/repository", repository, "--key", brief, env=keys.environment)
    assert code == 1 and "gpg did not sign" in output, output
    (keys.home / "gpg.conf").write_text("faked-system-time 20240101T120000\n")
    publish(keys, repository, brief)
    (keys.home / "gpg.conf").unlink()
    (folder / "brief").mkdir()
    apt = Apt(folder / "brief", repository)
    refused(*apt.update(), because="EXPKEYSIG", env=apt.environment)
    keys.end()


def test_an_index_that_has_run_out_is_refused(folder):
    keys, key, repository = set_up(folder)
    publish(keys, repository, key, "--valid-days", "1")
    release = repository / "dists/stable/Release"
    # As if it had been made in March: signed again by the right key.
    lines = release.read_text().splitlines()
    old = {"Date": "Fri, 01 Mar 2024 00:00:00 UTC", "Valid-Until": "Sat, 02 Mar 2024 00:00:00 UTC"}
    lines = [f"{line.split(':')[0]}: {old[line.split(':')[0]]}" if line.split(":")[0] in old else line for line in lines]
    release.write_text("\n".join(lines) + "\n")
    run("gpg", "--batch", "--yes", "--local-user", key, "--clearsign", "--output", release.with_name("InRelease"), release,
        env=keys.environment)
    apt = Apt(folder, repository)
    refused(*apt.update(), because="is expired", env=apt.environment)
    # Once more by cross/repository, without packages, and it is good again.
    publish(keys, repository, key, "--valid-days", "1")
    run(*apt.update(), env=apt.environment)
    keys.end()


def test_mistakes_are_refused_before_anything_is_changed(folder):
    keys, key, repository = set_up(folder)
    tool, before = ROOT / "cross/repository", (repository / "dists/stable/InRelease").read_bytes()

    def refuse(code, because, *arguments):
        found, output = attempt(tool, *arguments, env=keys.environment)
        assert found == code and because in output, f"{arguments}: {found}\n{output}"

    refuse(2, "no FOLDER")
    refuse(2, "40 hexadecimal digits", repository, "--key", key[-8:])
    refuse(2, "is no option", repository, "--sign", key)
    refuse(2, "--suite must", repository, "--key", key, "--suite", "../x")
    refuse(2, "--valid-days must", repository, "--key", key, "--valid-days", "soon")
    refuse(1, "has no secret key", repository, "--key", "0" * 40)
    refuse(1, "is not there", repository, "--key", key, "nothing.deb")
    refuse(1, "is no Debian package", repository, "--key", key, __file__)
    refuse(1, "is not a package of lineside", repository, "--key", key, small_package(folder, "2", name="other"))
    (folder / "again").mkdir()
    same_name = small_package(folder / "again", "1.0-1")
    data = same_name.read_bytes().replace(b"a small package", b"another package")
    same_name.write_bytes(data)
    refuse(1, "with different bytes", repository, "--key", key, same_name)
    # Two of one version in one call; a version that leads out of the pool; another architecture.
    (folder / "twice").mkdir()
    pair = [small_package(folder / "again", "3.0-1"), small_package(folder / "twice", "3.0-1")]
    pair[1].write_bytes(pair[1].read_bytes().replace(b"a small package", b"another package"))
    refuse(1, "with different bytes", repository, "--key", key, *pair)
    refuse(1, "is not a package of lineside", repository, "--key", key, small_package(folder, "4", "i386"))
    hostile = small_package(folder, "4.0.0.0.0-1")
    hostile.write_bytes(hostile.read_bytes().replace(b"Version: 4.0.0.0.0-1", b"Version: 1/../../../2"))
    refuse(1, "is no Debian package", repository, "--key", key, hostile)
    assert (repository / "dists/stable/InRelease").read_bytes() == before
    keys.end()
