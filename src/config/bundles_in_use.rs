//! The bundles that a configuration asks for, so that what is wrong with one names the line that asks for it.

use super::{Config, ConfigError};
use crate::task::super_resolution::When;
use toml::Spanned;

impl Config {
    /// The names or folders of all bundles that its line loads, each with its key.
    pub fn bundles_in_use(&self) -> impl Iterator<Item = (&'static str, &Spanned<String>)> {
        let products = self.product.iter().map(|product| ("product.bundle", &product.bundle));
        let tasks = self.task.iter().map(|task| ("task.bundle", &task.bundle));
        let is_short = self.product.is_empty() && self.task.is_empty();
        let short = is_short.then_some(("anomaly.bundle", &self.anomaly.bundle));
        let is_enlarged = self.super_resolution.when != When::Never;
        let enlarging = is_enlarged.then_some(("super_resolution.bundle", &self.super_resolution.bundle));
        let smaller = self.heat.smaller.as_ref().map(|smaller| ("heat.smaller.bundle", &smaller.bundle));
        products.chain(tasks).chain(short).chain(enlarging).chain(smaller)
    }

    /// The error about the bundle of this name with the file and line that ask for it; `None` where it is asked for by default.
    pub fn bundle_error(&self, name: &str, problem: impl std::fmt::Display) -> Option<ConfigError> {
        let (key, asked) =
            self.bundles_in_use().find(|(_, asked)| asked.get_ref() == name && !asked.span().is_empty())?;
        Some(self.error_at(asked, format!("{key}: {problem}")))
    }
}
