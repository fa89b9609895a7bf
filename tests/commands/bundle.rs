//! `lineside bundle …`: from a signed folder to a confirmed version and back, and everything that is refused on the way.

use crate::common::{arg, config, copy_folder, has, lineside, refuse, root, succeed, text};
use lineside::bundle::sha256;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A copy of the demo's bundle as another version, under the name `parts`.
fn version(folder: &Path, version: &str) -> PathBuf {
    let bundle = folder.join(format!("parts-{version}"));
    copy_folder(&root().join("models/inspect-demo"), &bundle);
    edit(&bundle, |manifest| {
        let lines = manifest.lines().map(|line| match line.split_once(" = ") {
            Some(("name", _)) => "name = \"parts\"".into(),
            Some(("version", _)) => format!("version = \"{version}\""),
            _ => line.to_string(),
        });
        lines.collect::<Vec<String>>().join("\n")
    });
    bundle
}

fn edit(bundle: &Path, change: impl Fn(&str) -> String) {
    let path = bundle.join("bundle.toml");
    let manifest = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, change(&manifest)).unwrap();
}

/// Changes a byte of a file of the bundle, and its hash in the manifest: damage that only the golden vectors show.
fn falsify(bundle: &Path, file: &str) {
    let path = bundle.join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    let before = sha256(&bytes);
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    edit(bundle, |manifest| {
        manifest.replace(&format!("\"{file}\" = \"{before}\""), &format!("\"{file}\" = \"{}\"", sha256(&bytes)))
    });
}

/// A configuration that needs signatures by the keys of a folder.
fn strict(folder: &Path) -> PathBuf {
    let keys = folder.join("keys");
    std::fs::create_dir_all(&keys).unwrap();
    config(folder, &format!("[source.pattern]\n[bundles]\nrequire_signature = true\nkeys = {keys:?}\n"))
}

/// A pair of keys of minisign without a password, by its own tool: `NAME.pub`, `NAME.key`.
fn keys(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (public, secret) = (folder.join(format!("{name}.pub")), folder.join(format!("{name}.key")));
    let made = Command::new("minisign").args(["-G", "-W", "-p", arg(&public), "-s", arg(&secret)]).output().unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    (public, secret)
}

struct Board {
    folder: tempfile::TempDir,
    store: PathBuf,
}

impl Board {
    fn new() -> Board {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        Board { folder, store }
    }

    fn bundle(&self, arguments: &[&str]) -> String {
        succeed(&[&["bundle"], arguments, &["--store", arg(&self.store)]].concat())
    }

    fn refuse(&self, arguments: &[&str], code: i32, parts: &[&str]) {
        refuse(&[&["bundle"], arguments, &["--store", arg(&self.store)]].concat(), code, parts);
    }

    /// Role and version of each row of `list`.
    fn list(&self) -> Vec<(String, String)> {
        let rows: serde_json::Value = serde_json::from_str(&self.bundle(&["list", "--json"])).unwrap();
        let word = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_string();
        rows.as_array().unwrap().iter().map(|row| (word(row, "role"), word(row, "version"))).collect()
    }

    fn roles(&self) -> Vec<String> {
        self.list().into_iter().map(|(role, version)| format!("{role} {version}")).collect()
    }
}

#[test]
fn a_bundle_is_installed_confirmed_shadowed_and_rolled_back() {
    let board = Board::new();
    let [one, two, three] = ["1", "2", "3"].map(|name| version(board.folder.path(), name));
    let told = board.bundle(&["install", arg(&one)]);
    assert!(told.contains("parts 1: unsigned, 8 golden outputs agree with the kernels"), "{told}");
    assert!(told.contains("parts 1 is the active version of parts\nnext: sudo systemctl reload lineside"), "{told}");
    assert!(board.bundle(&["install", arg(&one)]).contains("active version already, and whole"));
    assert!(board.bundle(&["confirm", "parts"]).contains("parts 1 is confirmed"));
    let told = board.bundle(&["install", arg(&two), "--confirm-within", "90m"]);
    assert!(told.contains("parts 2 is the active version of parts; the version before is parts 1"), "{told}");
    assert_eq!(board.roles(), ["active 2", "previous 1"]);
    let told = board.bundle(&["list"]);
    assert!(told.contains("active, on trial for 1 h ") && told.contains("previous, unsigned"), "{told}");
    assert!(board.bundle(&["rollback", "parts"]).contains("parts 1 is the active version of parts again"));
    assert_eq!(board.roles(), ["active 1", "retired 2"]);
    board.refuse(&["rollback", "parts"], 1, &["no version before this one to go back to"]);
    assert!(board.bundle(&["shadow", arg(&three)]).contains("parts 3 is judged beside parts 1"));
    assert_eq!(board.roles(), ["active 1", "shadow 3"]);
    assert!(board.bundle(&["confirm", "parts"]).contains("parts 3 was the shadow and is the active version now"));
    assert_eq!(board.roles(), ["active 3", "previous 1"]);
    let enlarger = root().join("models/superres-x2");
    board.refuse(&["shadow", arg(&enlarger), "--as", "parts"], 78, &["only what judges frames can be a shadow"]);
    board.bundle(&["install", arg(&two), "--shadow"]);
    assert!(board.bundle(&["shadow", "parts", "--end"]).contains("nothing is judged beside parts 3"));
    assert!(board.bundle(&["confirm", "parts"]).contains("was confirmed already"));
    // Found by name like any other, also by the commands that know nothing of versions.
    let output = lineside()
        .env("LINESIDE_BUNDLES", &board.store)
        .args(["bundle", "verify", "parts", "--json"])
        .output()
        .unwrap();
    let verified: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&verified["version"], &verified["signed"]["signature"]), (&"3".into(), &"unsigned".into()));
    let parity = lineside().env("LINESIDE_BUNDLES", &board.store).args(["parity", "parts"]).output().unwrap();
    assert!(parity.status.success(), "{}", text(&parity.stderr));
}

#[test]
fn what_cannot_be_installed_is_refused_in_one_line_and_leaves_the_store_as_it_was() {
    let board = Board::new();
    let place = |name| version(board.folder.path(), name);
    board.refuse(&["install", "no-such"], 78, &["no bundle \"no-such\""]);
    board.refuse(&["confirm", "parts"], 1, &["no installed bundle \"parts\"", "lineside bundle list"]);
    let newer = place("newer");
    edit(&newer, |manifest| manifest.replace("format = 1", "format = 2\nwhat_is_this = 7"));
    board.refuse(&["install", arg(&newer)], 78, &["format = 2: this program reads format 1; update Lineside"]);
    edit(&newer, |manifest| manifest.replace("format = 2", "format = 1\nrequires = \"99.0.0\""));
    board.refuse(&["install", arg(&newer)], 78, &["requires Lineside 99.0.0 or newer", "update Lineside"]);
    let damaged = place("damaged");
    std::fs::write(damaged.join("heat.npy"), "damaged").unwrap();
    board.refuse(&["install", arg(&damaged)], 78, &["heat.npy: SHA-256 is"]);
    let wrong = place("wrong");
    falsify(&wrong, "golden/1.block7.npy");
    for command in ["install", "verify"] {
        let (arguments, store) = ([command, arg(&wrong)], ["--store", arg(&board.store)]);
        let all = [&["bundle"][..], &arguments, if command == "install" { &store } else { &[] }].concat();
        refuse(&all, 78, &["golden/1.block7.npy: self-test", "1 LSB away (allowed: 0)", "every other kernel set"]);
    }
    let hostile = place("hostile");
    edit(&hostile, |manifest| manifest.replace("name = \"parts\"", "name = \"../../parts\""));
    board.refuse(&["install", arg(&hostile)], 78, &["is no name for an installed bundle"]);
    board.refuse(&["confirm", "st/parts"], 2, &["st/parts: is no name for an installed bundle"]);
    board.refuse(&["shadow", arg(&place("1"))], 1, &["install it without --shadow"]);
    assert!(!board.store.join("parts").exists());
    let typing_error = board.folder.path().join("typing-error");
    refuse(&["bundle", "list", "--store", arg(&typing_error)], 1, &["typing-error: No such file"]);
    board.bundle(&["install", arg(&place("1"))]);
    for wrong in [
        &["install", "x", "--confirm-within", "soon"][..],
        &["install", "x", "--shadow", "--confirm-within", "1h"],
        &["sign", "x"],
        &["install", "x", "--as", "../evil"],
        &["shadow", "parts", "--end", "--as", "x"],
    ] {
        assert_eq!(lineside().arg("bundle").args(wrong).output().unwrap().status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_signature_lets_a_bundle_pass_and_nothing_else_does() {
    if !has("minisign", &["-v"]) {
        return;
    }
    let board = Board::new();
    let folder = board.folder.path();
    let (strict, bundle) = (strict(folder), version(folder, "1"));
    let (public, secret) = keys(folder, "factory");
    let install = ["install", arg(&bundle), "--config", arg(&strict)];
    board.refuse(&install, 78, &["bundle.sig: no such file, and bundles.require_signature is set"]);
    let told = succeed(&["bundle", "sign", arg(&bundle), "--key", arg(&secret)]);
    assert!(told.contains("parts 1 is signed"), "{told}");
    board.refuse(&install, 78, &["bundle.sig: signed by a key that is not in"]);
    std::fs::copy(&public, folder.join("keys/factory.pub")).unwrap();
    // Another key beside it changes nothing.
    std::fs::copy(keys(folder, "other").0, folder.join("keys/other.pub")).unwrap();
    assert!(board.bundle(&install).contains("parts 1: signed by factory, "));
    assert!(board.store.join("parts").exists());

    // The tool itself accepts it, and one that the tool made, in both of its forms, is accepted here.
    let (manifest, signature) = (bundle.join("bundle.toml"), bundle.join("bundle.sig"));
    let minisign = |arguments: &[&str]| {
        let output = Command::new("minisign").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    };
    minisign(&["-V", "-p", arg(&public), "-m", arg(&manifest), "-x", arg(&signature)]);
    for form in ["-S", "-Sl"] {
        std::fs::remove_file(&signature).unwrap();
        minisign(&[form, "-s", arg(&secret), "-m", arg(&manifest), "-x", arg(&signature)]);
        let told = succeed(&["bundle", "verify", arg(&bundle), "--config", arg(&strict)]);
        assert!(told.contains("signature  signed by factory"), "{told}");
    }

    // Changed after it was signed; a damaged signature; a damaged key.
    let signed = std::fs::read_to_string(&signature).unwrap();
    edit(&bundle, |manifest| manifest.replace("version = \"1\"", "version = \"2\""));
    board.refuse(&install, 78, &["bundle.sig: wrong signature: the key factory did not sign this bundle.toml"]);
    std::fs::write(&signature, &signed[..signed.len() / 2]).unwrap();
    board.refuse(&install, 78, &["bundle.sig: is no signature of minisign"]);
    std::fs::write(&signature, signed).unwrap();
    std::fs::write(folder.join("keys/broken.pub"), "hello").unwrap();
    board.refuse(&install, 78, &["broken.pub: is no public key of minisign"]);
    assert_eq!(board.roles(), ["active 1"]);

    // A secret key is one only as long as nobody else can read it.
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    refuse(&["bundle", "sign", arg(&bundle), "--key", arg(&secret)], 1, &["factory.key", "opens it to other users"]);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&secret, "hello\nRWQ\n").unwrap();
    refuse(&["bundle", "sign", arg(&bundle), "--key", arg(&secret)], 1, &["factory.key: is no secret key of minisign"]);
}
