//! Training: learns on the board what is normal, from pictures of good parts and, where there are any, of labelled defects.
//!
//! ```text
//! pictures --+-- quality/ ---> dataset_check.rs (folds.rs): is the set fit for training, and which pictures are held out together
//!            +-- synthetic/ -> trainer.rs: the backbone's features of each picture, and of copies with synthetic
//!            +-- variation.rs: copies, varied as the user states, which are pictures like these from here on
//! labelled defects -- synthetic/transplant.rs --^        or transplanted defects -> feature_cache.rs, on disk
//!
//! feature_cache.rs -- cached_features.rs, fold_data.rs: what is left for training when a fold is held out
//!                        +-- moments.rs, directions.rs ----------+
//!                        +-- coreset.rs -------------------------+-- cross_validation.rs: candidates trained without each fold
//!                        +-- standardizer.rs, logistic.rs, subspace.rs --+             and scored on that fold
//!                        +-- place.rs: what each place of the frame looks like --+
//!                        +-- mahalanobis.rs: how whole frames vary --------------+
//!                        +-- look_alikes.rs: groups that stand in for other batches
//!
//! held-out scores -- selection.rs --> the scorers whose combination separates defects best
//!                 -- training.rs (false_alarms.rs) --> threshold and its confidence interval: trained_model.rs
//! ```
//!
//! `detail.rs` decides the sizes of the views, `cost.rs` measures what they cost, and `cache_room.rs` how many samples have room.
//! `scheme.rs` holds the candidates and the types that all of these share; `matrix_product.rs` has products that are the same on
//! every CPU.

mod cache_room;
mod cached_features;
mod coreset;
mod cost;
mod cross_validation;
mod dataset_check;
mod detail;
mod directions;
mod false_alarms;
mod feature_cache;
mod fold_data;
mod folds;
mod logistic;
mod look_alikes;
mod mahalanobis;
mod matrix_product;
mod moments;
mod place;
mod quality;
mod scheme;
mod selection;
mod standardizer;
mod subspace;
mod synthetic;
mod threshold_check;
mod trained_model;
mod trainer;
mod training;
mod variation;

pub use cache_room::CACHE_BYTES;
pub use cost::Cost;
pub use dataset_check::{DatasetCheck, FoldAssignment, check_dataset};
pub use detail::{Detail, Views};
pub use false_alarms::{FewPictures, false_alarm_interval};
pub use feature_cache::TrainingPicture;
pub(in crate::task::anomaly) use folds::{assign_folds, near_duplicates};
pub use quality::MIN_DISTINCT;
pub(in crate::task::anomaly) use quality::QualityMeter;
pub use scheme::TeachError;
pub use threshold_check::ThresholdCheck;
pub use trained_model::{LabelGain, ScorerResult, ScorerStatistics, TrainedModel};
pub use trainer::{Framing, LabelledDefect, Trainer};
