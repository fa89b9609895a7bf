//! Where bundles are installed, and how the line takes a change there.

use crate::bundle::{BOARD_STORE, Bundle, BundleError, Home, Store, is_installable_name};
use crate::escape::one_line;
use std::path::PathBuf;

/// How the running service takes a change.
pub const RELOAD: &str = "sudo systemctl reload lineside";

#[derive(clap::Args)]
pub struct StoreArguments {
    /// The folder of installed bundles
    #[arg(long, value_name = "DIR", default_value = BOARD_STORE)]
    store: PathBuf,
}

impl StoreArguments {
    pub fn open(&self) -> Store {
        Store::at(&self.store)
    }
}

/// Parses a name by which a bundle can be installed.
///
/// # Errors
/// For what is none.
pub fn installable_name(text: &str) -> Result<String, String> {
    let problem = || "expected letters, digits, \".\", \"_\" and \"-\", at most 64".into();
    is_installable_name(text).then(|| text.into()).ok_or_else(problem)
}

/// Name and version of a bundle, for people.
pub fn title(bundle: &Bundle) -> String {
    let manifest = bundle.manifest();
    format!("{} {}", one_line(&manifest.name), one_line(&manifest.version))
}

/// The active version of a home, by name and version.
pub fn active_title(home: &Home) -> Result<String, BundleError> {
    Ok(title(&home.version(&home.state().active)?))
}
