//! Teaching: the board learns what is normal from pictures of good parts.
//!
//! ```text
//! pictures --+-- quality/ --------------------------------> findings: is this set fit to learn from?
//!            +-- synthetic/, the backbone -- notebook.rs --> sights of each picture, and of it with painted defects
//! notebook --+-- folds.rs --------------------------------> near-duplicates, and which pictures are held out together
//!            +-- moments.rs, directions.rs --+
//!            +-- coreset.rs -----------------+-- candidates, each taught without one fold and tried on it
//!            +-- logistic.rs, subspace.rs ---+
//! candidates -- choose.rs --> the sum that tells synthetic defects best -- false_alarms.rs --> threshold, and how sure it is
//! ```

mod advice;
mod choose;
mod coreset;
mod directions;
mod false_alarms;
mod folds;
mod learn;
mod logistic;
mod moments;
mod notebook;
mod pooled;
mod quality;
mod subspace;
mod synthetic;
mod taught;
mod teacher;

pub use advice::{Advice, Grouping, advise};
pub use notebook::Picture as TaughtPicture;
pub use taught::{Candidate, Statistics, Taught};
pub use teacher::{TeachError, Teacher};
