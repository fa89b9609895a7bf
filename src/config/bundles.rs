//! `[bundles]`: what a bundle must have to be used on this board.

use serde::Deserialize;
use std::path::PathBuf;

/// `[bundles]`: what a bundle must have to be used on this board.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct BundlesConfig {
    /// Whether only bundles are used that somebody signed whose public key is on this board. Those of the package are as good as the
    /// program beside them and need no signature.
    pub require_signature: bool,
    /// The folder of minisign's public keys, `*.pub`.
    pub keys: PathBuf,
}

impl Default for BundlesConfig {
    fn default() -> Self {
        BundlesConfig { require_signature: false, keys: "/etc/lineside/keys".into() }
    }
}
