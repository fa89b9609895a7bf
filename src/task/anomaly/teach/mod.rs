//! Teaching: the board learns what is normal from pictures of good parts.
//!
//! ```text
//! pictures --+-- quality/ --------------------------------> findings: is this set fit to learn from?
//!            +-- synthetic/, the backbone -- notebook.rs --> sights of each picture, and of it with painted defects
//! labelled defects -- synthetic/transplant.rs -- notebook.rs --> sights of each, and of normal pictures that it is set into
//! notebooks -+-- folds.rs --------------------------------> near-duplicates, and which pictures are held out together
//!            +-- notes.rs, lessons.rs --+-- moments.rs, directions.rs --+
//!                                       +-- coreset.rs -----------------+-- candidates, taught without one fold
//!                                       +-- logistic.rs, subspace.rs ---+      and tried on it: learn.rs
//! candidates -- choose.rs --> the sum that tells defects best -- false_alarms.rs --> threshold, and how sure it is
//! ```

mod advice;
mod choose;
mod coreset;
mod directions;
mod false_alarms;
mod folds;
mod learn;
mod lessons;
mod logistic;
mod moments;
mod notebook;
mod notes;
mod pooled;
mod quality;
mod subspace;
mod synthetic;
mod taught;
mod teacher;

pub use advice::{Advice, Grouping, advise};
pub use notebook::Picture as TaughtPicture;
pub use taught::{Candidate, Gain, Statistics, Taught};
pub use teacher::{Labelled, TeachError, Teacher};
