//! Which signatures a bundle needs on this board.

use crate::bundle::{Bundle, KeyRing, Signer};
use crate::config::{BundlesConfig, Config};
use std::path::{Path, PathBuf};

/// The configuration of the service.
const SERVICE: &str = "/etc/lineside/lineside.toml";

#[derive(clap::Args)]
pub struct PolicyArguments {
    /// The line's configuration, whose [bundles] states which signatures are needed and where the public keys are
    /// [default: /etc/lineside/lineside.toml, where it exists]
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    config: Option<PathBuf>,
}

/// Which signatures are needed, and the keys of this board.
pub struct Policy {
    keys: KeyRing,
    required: bool,
}

impl PolicyArguments {
    pub fn read(&self) -> anyhow::Result<Policy> {
        let service = Path::new(SERVICE);
        let path = self.config.as_deref().or_else(|| service.exists().then_some(service));
        // Of several cameras in the file all have the same.
        let configs = path.map(Config::load_all).transpose()?.unwrap_or_default();
        let BundlesConfig { require_signature, keys } =
            configs.into_iter().next().map(|config| config.bundles).unwrap_or_default();
        Ok(Policy { keys: KeyRing::read(&keys)?, required: require_signature })
    }
}

impl Policy {
    /// Who signed a bundle, where the policy lets it pass.
    pub fn check(&self, bundle: &Bundle) -> anyhow::Result<Signer> {
        Ok(if self.required { self.keys.require(bundle) } else { self.keys.signer(bundle) }?)
    }

    /// Who signed a bundle, whatever is needed.
    pub fn signer(&self, bundle: &Bundle) -> anyhow::Result<Signer> {
        Ok(self.keys.signer(bundle)?)
    }
}
