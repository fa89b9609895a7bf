//! What the cameras report to the main thread.

use super::member::{Member, MemberReport};
use super::next_configurations::NextConfigurations;
use super::plan::name;
use crate::line::run::CameraOutcome;
use std::sync::mpsc::Receiver;

/// What the cameras have reported so far.
pub(super) struct Reported {
    /// Of each, the last run.
    pub(super) outcomes: Vec<CameraOutcome>,
    pub(super) next: Option<NextConfigurations>,
    /// One cannot be started again in this process.
    pub(super) hangs: bool,
}

impl Reported {
    pub(super) fn of(members: &[Member]) -> Reported {
        let none = |member: &Member| {
            let camera = Some(name(&member.config).to_string());
            CameraOutcome { camera, outcome: None, failure: None }
        };
        Reported { outcomes: members.iter().map(none).collect(), next: None, hangs: false }
    }

    pub(super) fn take(&mut self, reports: &Receiver<MemberReport>) {
        for report in reports.try_iter() {
            match report {
                MemberReport::Outcome(place, outcome) => self.outcomes[place].outcome = Some(*outcome),
                MemberReport::FailedTrial(place, home, why) => {
                    self.next = Some(NextConfigurations::FailedTrial { place, home, why });
                }
                MemberReport::Hangs => self.hangs = true,
            }
        }
    }
}
