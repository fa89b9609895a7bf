//! The controls of a camera that a product needs.

use super::camera::{control_problem, control_set};
use super::{Config, ProductConfig, Source, Violation};
use crate::source::camera::{ControlSet, ControlSetting};
use std::collections::BTreeMap;
use std::time::Duration;

impl Config {
    /// By product: all controls of the camera that it needs, and for how long frames are passed over after a change; `None` where no
    /// product states any.
    pub fn product_controls(&self) -> Option<(Vec<ControlSet>, Duration)> {
        let Source::Camera(camera) = &self.source else { return None };
        if self.product.iter().all(|product| product.controls.is_empty()) {
            return None;
        }
        let of = |product: &ProductConfig| {
            let mut all: BTreeMap<String, ControlSetting> = camera.control_set().into_iter().collect();
            all.extend(control_set(&product.controls));
            all.into_iter().collect::<ControlSet>()
        };
        let settle = f64::from(*self.products.settle_frames.get_ref()) / camera.fps.get_ref();
        Some((self.product.iter().map(of).collect(), Duration::from_secs_f64(settle)))
    }

    /// Controls without a camera that has them, unknown ones, and those that would stay as another product left them.
    pub(super) fn controls_problem(&self) -> Option<Violation> {
        let mut stated = self.product.iter().flat_map(|product| product.controls.iter().map(move |one| (product, one)));
        let Source::Camera(camera) = &self.source else {
            let (_, (key, _)) = stated.next()?;
            let problem = "product.controls: only a [source.camera] has controls that a line can set";
            return Some((key.span().start, problem.into()));
        };
        stated.find_map(|(product, (key, control))| {
            let lacks = |other: &&ProductConfig| !other.controls.keys().any(|own| own.get_ref() == key.get_ref());
            let general = camera.controls.keys().any(|own| own.get_ref() == key.get_ref());
            control_problem("product.controls", key, *control).or_else(|| {
                let other = self.product.iter().find(lacks).filter(|_| !general)?;
                let (name, control) = (other.name.get_ref(), key.get_ref());
                let problem = format!(
                    "product.controls.{control} of \"{}\": product \"{name}\" does not state it, and would have what was set before: state it \
                     there or in [source.camera.controls]",
                    product.name.get_ref()
                );
                Some((key.span().start, problem))
            })
        })
    }
}
