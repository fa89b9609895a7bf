//! The bundles of a line, before a frame is judged by them: signatures are checked, and the golden vectors are computed on the kernels
//! that are to run them. A CPU that computes wrongly does not inspect. An installed version that does not pass gives way to the one
//! before it, once.

use super::mode::Mode;
use crate::bundle::{self, Bundle, BundleError, Home, KeyRing, PACKAGE_STORE, self_test};
use crate::config::{BundlesConfig, Config};
use crate::telemetry::Telemetry;
use log::Level;
use std::path::PathBuf;

const UNTESTED: &str = "it has no golden vectors, so nothing tells whether this CPU computes it rightly; make it anew with \
                        `lineside bundle new` or `lineside teach`, which write some";

/// Finds a bundle by name or path and tests it. Nothing of it is read that is larger than the line's budget.
///
/// # Errors
/// Where it is not there, cannot be used, lacks a signature that it needs, or is computed wrongly here; and where that is so of the
/// version before it, too.
pub(super) fn open(name: &str, config: &Config, mode: Mode, telemetry: &Telemetry) -> anyhow::Result<Bundle> {
    let budget = config.budget.memory.get_ref().as_u64();
    let place = locate(name, config)?;
    let test = |bundle: Bundle| test(bundle.within(budget), &config.bundles);
    let error = match Bundle::open(&place).and_then(test) {
        Ok(bundle) => {
            if bundle.manifest().golden.is_empty() {
                let record = telemetry.record(Level::Warn, "bundle_untested").with("bundle", title(&bundle));
                telemetry.log(record.with("problem", UNTESTED));
            }
            return Ok(bundle);
        }
        Err(error) => error,
    };
    let Some(home) = Home::open(&place).ok().flatten() else { return Err(error.into()) };
    let Some(before) = home.state().previous.as_ref() else { return Err(error.into()) };
    let Ok(before) = home.version(before).and_then(test) else { return Err(error.into()) };
    if mode == Mode::Check {
        let context = format!("a line that starts now would go back to {} by itself", title(&before));
        return Err(anyhow::Error::from(error).context(context));
    }
    go_back(&home, &error.to_string(), telemetry);
    Ok(before)
}

/// Whether a run could begin with a bundle, as far as can be known without memory for its network: it is whole, or the version before it is.
///
/// # Errors
/// As [`open`], but for what the self-test finds.
pub(super) fn check(name: &str, config: &Config) -> anyhow::Result<()> {
    let place = locate(name, config)?;
    let Err(error) = Bundle::open(&place).and_then(|bundle| check_signature(&bundle, &config.bundles)) else {
        return Ok(());
    };
    let home = Home::open(&place).ok().flatten();
    let before = home.as_ref().and_then(|home| home.version(home.state().previous.as_ref()?).ok());
    match before.map(|bundle| check_signature(&bundle, &config.bundles)) {
        Some(Ok(())) => Ok(()),
        _ => Err(error.into()),
    }
}

/// Where a bundle is; where it is not, the error names the line of the configuration that asks for it.
fn locate(name: &str, config: &Config) -> anyhow::Result<PathBuf> {
    bundle::locate(name).map_err(|error| match config.bundle_error(name, &error) {
        Some(placed) => placed.into(),
        None => error.into(),
    })
}

fn check_signature(bundle: &Bundle, policy: &BundlesConfig) -> Result<(), BundleError> {
    // What came with the program is as good as the program.
    if policy.require_signature && !bundle.folder().starts_with(PACKAGE_STORE) {
        KeyRing::read(&policy.keys)?.require(bundle)?;
    }
    Ok(())
}

/// Checks a bundle's signature, where it needs one, and its golden vectors.
pub(super) fn test(bundle: Bundle, policy: &BundlesConfig) -> Result<Bundle, BundleError> {
    check_signature(&bundle, policy)?;
    self_test(&bundle)?;
    Ok(bundle)
}

/// Makes the version before the active one of a home again, and reports it. The line goes on with it even where that cannot be
/// written down; then the next start tries again.
pub(super) fn go_back(home: &Home, why: &str, telemetry: &Telemetry) {
    let state = home.state();
    let version = |version: &String| home.version(version).map_or_else(|_| version.clone(), |bundle| title(&bundle));
    let record = telemetry
        .record(Level::Error, "bundle_reverted")
        .with("bundle", home.name())
        .with("from", version(&state.active))
        .with_known("to", state.previous.as_ref().map(version))
        .with("reason", why);
    let unwritten = home.store().go_back(&home.name(), Some(why)).err().map(|error| error.to_string());
    telemetry.log_and_persist(record.with_known("unwritten", unwritten));
}

/// Name, version and fingerprint, as records have them.
pub(super) fn title(bundle: &Bundle) -> String {
    let manifest = bundle.manifest();
    format!("{} {} {}", manifest.name, manifest.version, bundle.fingerprint())
}
