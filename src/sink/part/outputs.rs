//! Lines that a part's result sets.

use super::pulses::ResultLevels;
use crate::sink::SwitchLine;

/// The lines that a part's result sets; all are off before the first and after the last.
#[derive(Default)]
pub struct PartOutputs {
    /// On for a normal part.
    pub ok: Option<Box<dyn SwitchLine>>,
    /// On for a defect.
    pub nok: Option<Box<dyn SwitchLine>>,
    /// The other two are valid while it is on.
    pub strobe: Option<Box<dyn SwitchLine>>,
    /// The ejector.
    pub reject: Option<Box<dyn SwitchLine>>,
}

/// Lines that are off in the end, also where the thread panics: nobody vouches for a result any more.
pub(super) struct OffAtEnd(pub PartOutputs);

impl OffAtEnd {
    pub fn show(&mut self, levels: ResultLevels) {
        let PartOutputs { ok, nok, strobe, .. } = &mut self.0;
        // The strobe goes off before the lines change; it goes on when they have not changed for a while.
        let lines = [(strobe, levels.strobe), (ok, levels.ok), (nok, levels.nok)];
        for (line, on) in lines {
            if let Some(line) = line {
                line.set(on);
            }
        }
    }

    pub fn reject(&mut self, on: bool) {
        if let Some(line) = &mut self.0.reject {
            line.set(on);
        }
    }

    pub fn all_off(&mut self) {
        self.show(ResultLevels::default());
        self.reject(false);
    }
}

impl Drop for OffAtEnd {
    fn drop(&mut self) {
        self.all_off();
    }
}
