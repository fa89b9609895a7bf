//! `bundle.toml`.

use super::Target;
use super::text::check_line;
use lineside::bundle::Manifest;
use std::path::Path;

/// This target.
pub const TARGET: Target = Target {
    name: "manifest",
    run: target,
    max_len: 4096,
    max_memory: 4 << 20,
    iterations: 10_000,
    words: &[
        b"format = 1\n",
        b"task = \"anomaly\"\n",
        b"[input]\n",
        b"[anomaly]\n",
        b"[[anomaly.scorer]]\n",
        b"[anomaly.heat]\n",
        b"[super_resolution]\n",
        b"[[golden]]\n",
        b"[files]\n",
        b"[measured]\n",
        b"\"../x\"",
        b"scale = 2\n",
        b"= -1",
        b"= nan",
        b"= inf",
        b"= 9223372036854775807",
        b"[]",
        b"{}",
        b"'''\n",
        b"1979-05-27",
        b"method = \"bank\"\n",
    ],
};

/// Parses a manifest; what was parsed is written and parsed again.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = Path::new("bundle.toml");
    let manifest = match Manifest::parse(text, path) {
        Ok(manifest) => manifest,
        Err(error) => return check_line(&error.to_string()),
    };
    let write = |manifest: &Manifest| toml::to_string(manifest).expect("a manifest can be written");
    let written = write(&manifest);
    let again = Manifest::parse(&written, path).expect("a manifest that was written can be parsed");
    assert!(write(&again) == written, "a manifest that was written is another one");
    assert!(!manifest.files.keys().any(|name| name.starts_with('/') || name.split('/').any(|part| part == "..")));
}
