//! Super-resolution: luma through a network, chroma and opacity by fixed-point bicubic.
//!
//! Pictures of any size are processed in tiles with a halo as wide as the network's receptive field, and from file to file in bands
//! of rows, so that memory is fixed. Every pixel is computed with all that it depends on around it, so it is the same in whatever
//! tile, band or part of the picture.

mod alpha_bleed;
mod camera_simulation;
mod enlarger;
mod luma_scale;
mod measured;
mod metrics;
mod plane_window;
mod shared_plans;
mod spot_size;
mod tiles;
mod when;

pub use camera_simulation::simulate_camera;
pub use enlarger::{Enlarger, spot, whole};
pub use measured::{measured_receptive_field, measured_scale};
pub use metrics::{psnr_y, ssim_y};
pub use shared_plans::EnlargerPlans;
pub use spot_size::MIN_SPOT;
pub use when::When;
