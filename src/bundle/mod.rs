//! Bundles: a model with all that it needs, in a folder with `bundle.toml`, which holds the hashes of all other files.

mod alignment;
mod batch;
mod draft;
mod error;
mod find;
mod folder;
mod hash;
mod kernels;
mod manifest;
mod own_model;
mod region;
mod self_test;
mod signature;
mod signature_file;
mod state;
mod store;
mod swap;
mod taught;
mod threshold;
mod tolerance;
mod trial;
mod version_copy;
mod view_size;

pub use alignment::{AlignWithin, AlignmentSection};
pub use batch::{NormalSection, NuisanceSection};
pub use draft::Draft;
pub use error::{BundleError, StoreError};
pub use find::{BOARD_STORE, PACKAGE_STORE, all, all_in, find, locate, search_path};
pub use folder::Bundle;
pub(crate) use hash::hexadecimal;
pub use hash::sha256;
pub use kernels::load_model;
pub use manifest::{
    AnomalySection, Channels, Combination, Golden, HeatSection, InputSection, Manifest, Method, Outputs, ScorerSection,
    SuperResolutionSection, Task,
};
pub use own_model::{
    AnomalyMapSection, AxisOrder, ClassValues, ClassifySection, EmbedSection, Fit, PreparationSection,
    ReconstructionSection,
};
pub use region::RegionSection;
pub use self_test::{GoldenResult, golden_results, self_test};
pub use signature::{KeyRing, Signer, SigningError, sign};
pub use signature_file::SIGNATURE;
pub use state::{Confirmed, State};
pub use store::{Home, Installed, Role, Store, is_installable_name};
pub use swap::swap_into_place;
pub use taught::{SizeMatch, SizeRange, TaughtSection, TaughtSize};
pub use threshold::VersionFacts;
pub use tolerance::Tolerance;
pub use trial::{Moment, Trial};
pub use view_size::ViewSize;
