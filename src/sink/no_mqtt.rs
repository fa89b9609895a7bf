//! Without the feature `mqtt` there is no broker; a configuration that names one is refused.

use crate::record::Record;
use std::io;
use std::path::Path;

/// Which broker: none.
pub enum Terms {}

impl std::fmt::Display for Terms {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

/// A broker that cannot be.
pub enum Broker {}

impl Broker {
    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn start(terms: Terms, _: &Path, _: u64) -> io::Result<Broker> {
        match terms {}
    }

    /// Never called.
    pub fn offer(&self, _: &Record) {
        match *self {}
    }

    /// Never called.
    pub fn show(&self, _: &Record) {
        match *self {}
    }

    /// Never called.
    pub fn stop(&self) {
        match *self {}
    }
}
