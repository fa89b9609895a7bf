//! The region of a line: the bundle's, and the check that the configuration means the same.

use crate::bundle::Bundle;
use crate::config::{Config, ConfigError, ProductConfig};
use crate::task::Judge;
use crate::task::anomaly::{RegionError, RegionOfInterest, RegionSpec};

/// Fails where the configuration asks for another region than the bundle was taught with: what it knows of normal parts, and its
/// threshold, are those of its own.
pub(super) fn check_region(config: &Config, bundle: &Bundle, judge: &Judge) -> Result<(), ConfigError> {
    let Some(spec) = config.region()? else { return Ok(()) };
    compare(&spec, bundle, judge).map_err(|error| config.region_error(&error))
}

/// The same of a product's region.
pub(super) fn check_product_region(
    config: &Config,
    product: &ProductConfig,
    bundle: &Bundle,
    judge: &Judge,
) -> Result<(), ConfigError> {
    let spec = product.region().map_err(|error| config.product_region_error(product, &error))?;
    let Some(spec) = spec else { return Ok(()) };
    compare(&spec, bundle, judge).map_err(|error| config.product_region_error(product, &error))
}

fn compare(spec: &RegionSpec, bundle: &Bundle, judge: &Judge) -> Result<(), RegionError> {
    let name = &bundle.manifest().name;
    let other = |taught: &str| {
        RegionError::Misfit(format!(
            "{name} was taught with {taught}: teach it again (lineside teach with --camera and this file, or with --region and \
             --ignore), or remove the key, and that holds"
        ))
    };
    let Some(taught) = judge.region() else { return Err(other("the whole frame")) };
    let wanted = RegionOfInterest::new(spec, taught.frame_size())?;
    if wanted == **taught { Ok(()) } else { Err(other(&format!("another region, {taught}"))) }
}
