//! The region of interest: which part of a frame matters. What lies outside neither teaches nor scores nor heats.
//!
//! ```text
//! "160,120,320,240"     --+-- shape.rs
//! "150,130 170,110 …"   --+            --> spec.rs: as the user draws it --> interest.rs: its pixels, in frames of one size
//! ignore.png            ---------------/
//! ```
//!
//! A frame is cropped to the bounding box of what is inspected, so that a small region gets the backbone's full resolution, and the
//! other pixels of that box get one constant grey: what never changes is never far from normal.

mod interest;
mod shape;
mod spec;

pub use interest::RegionOfInterest;
pub use shape::RegionShape;
pub use spec::{RegionError, RegionSpec};
