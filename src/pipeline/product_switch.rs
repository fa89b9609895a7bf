//! The products that are loaded beside the one that judges, and the switch from one to another between two frames.

use super::commands::{ChosenProduct, Commands};
use crate::task::Tasks;
use std::sync::Arc;

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
        ProductSwitch { commands, names, loaded, others, followed: None }
    }

    /// What is loaded beside what judges.
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
