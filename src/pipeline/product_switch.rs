//! The products that are loaded beside the one that judges, and the switch from one to another between two frames.

use super::commands::{ChosenProduct, Commands};
use crate::source::camera::ProductControls;
use crate::task::Tasks;
use std::sync::Arc;
use std::time::Instant;

/// Follows the commands. A switch exchanges what judges for what is loaded already: it allocates nothing and takes no time.
pub struct ProductSwitch {
    commands: Arc<Commands>,
    /// By product: its name in records.
    names: Vec<Arc<str>>,
    /// The product of what judges now.
    loaded: usize,
    /// The others that are loaded.
    others: Vec<(usize, Tasks)>,
    /// What was asked for when it was looked at last.
    followed: Option<ChosenProduct>,
    /// The camera's controls for each, where they differ.
    controls: Option<Arc<ProductControls>>,
}

/// What a look at the commands has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    /// The same product as for the frame before.
    Same,
    /// Another one judges from now on.
    Switched,
    /// Nobody here can judge what is asked for: the product is unknown, or not loaded yet.
    Unavailable,
}

impl ProductSwitch {
    /// What judges is the product at `loaded`; `others` are loaded, too.
    pub fn new(commands: Arc<Commands>, loaded: usize, others: Vec<(usize, Tasks)>) -> ProductSwitch {
        let names = commands.products().iter().map(|key| key.name.as_str().into()).collect();
        ProductSwitch { commands, names, loaded, others, followed: None, controls: None }
    }

    /// With controls of the camera for each product.
    pub fn with_controls(self, controls: Option<Arc<ProductControls>>) -> ProductSwitch {
        ProductSwitch { controls, ..self }
    }

    /// Whether a frame may have been exposed with the controls of another product than the one that is asked for.
    pub(super) fn is_outdated(&self, captured: Instant) -> bool {
        match (&self.controls, self.commands.wanted()) {
            (Some(controls), ChosenProduct::Known(product)) => !controls.fit(product, captured),
            _ => false,
        }
    }

    /// What is loaded beside what judges first.
    pub fn tasks(&self) -> impl Iterator<Item = &Tasks> {
        self.others.iter().map(|(_, tasks)| tasks)
    }

    /// What is loaded beside what judges, to be changed.
    pub(super) fn others(&mut self) -> impl Iterator<Item = &mut Tasks> {
        self.others.iter_mut().map(|(_, tasks)| tasks)
    }

    /// Switches to what is asked for; before each frame.
    pub(super) fn follow(&mut self, tasks: &mut Tasks) -> Followed {
        let wanted = self.commands.wanted();
        let before = self.followed.replace(wanted);
        let ChosenProduct::Known(product) = wanted else {
            self.commands.set_active(wanted);
            return Followed::Unavailable;
        };
        if product != self.loaded {
            let Some((other, its)) = self.others.iter_mut().find(|(other, _)| *other == product) else {
                return Followed::Unavailable;
            };
            std::mem::swap(its, tasks);
            *other = std::mem::replace(&mut self.loaded, product);
        }
        self.commands.set_active(wanted);
        if before == Some(wanted) { Followed::Same } else { Followed::Switched }
    }

    /// Name and code of the product that judges now.
    pub(super) fn product(&self) -> Option<(&Arc<str>, u16)> {
        Some((self.names.get(self.loaded)?, self.commands.products().get(self.loaded)?.code))
    }
}

#[cfg(test)]
mod tests {
    use super::super::commands::{ProductKey, Selection};
    use super::*;
    use crate::source::camera::ControlSetting;
    use crate::telemetry::Telemetry;
    use std::time::Duration;

    #[test]
    fn a_frame_in_the_light_of_another_product_is_outdated() {
        let products = ["cap", "lid"].into_iter().zip(1..).map(|(name, code)| ProductKey { name: name.into(), code });
        let commands = Commands::new(products.collect(), ChosenProduct::Known(0), None, Telemetry::default());
        let commands = Arc::new(commands);
        let plain = ProductSwitch::new(Arc::clone(&commands), 0, Vec::new());
        assert!(!plain.is_outdated(Instant::now()));
        let set = |value| vec![("gain".to_string(), ControlSetting::Value(value))];
        let controls = ProductControls::new(vec![set(1), set(2)], Duration::from_millis(50), Box::new(|| None));
        let controls = Arc::new(controls);
        let switch = plain.with_controls(Some(Arc::clone(&controls)));
        let start = Instant::now();
        controls.done(0, start, false);
        assert!(!switch.is_outdated(start));
        // Asked for, and not set yet: nothing that is there by now counts.
        commands.select(Selection::Code(2), "test").unwrap();
        assert!(switch.is_outdated(start));
        controls.done(1, start, true);
        assert!(switch.is_outdated(start) && !switch.is_outdated(start + Duration::from_millis(50)));
        // Nobody can judge by an unknown one, and each part is told so.
        assert!(commands.select(Selection::Code(9), "test").is_err() && !switch.is_outdated(start));
    }
}
