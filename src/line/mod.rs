//! The application: from a configuration to a running line.
//!
//! ```text
//! Config --> plan.rs --> LinePlan --> run.rs --> threads of the pipeline, until the source ends, a stop or a reload
//!              |  source, models, signals, broker, page: one file for each thing a line has
//!              +--> bill.rs: the memory that they take, refused where it is over budget
//! ```
//!
//! `run` executes a plan; `check` only makes one, and prints it. With several cameras (`cameras/`) all of it is there once for each.

mod bill;
mod broker;
#[cfg(feature = "mqtt")]
mod broker_commands;
mod bundles;
mod camera;
mod cameras;
mod clock;
mod console;
mod enlarging;
mod first_picture;
mod heat;
#[cfg(test)]
mod heat_tests;
mod modbus;
mod mode;
mod models;
mod new_configuration;
mod next_run;
mod on_request;
mod page;
mod part_watch;
mod parts;
mod plan;
mod process;
mod product_lines;
mod product_loading;
mod product_memory;
mod products;
mod records;
mod region;
mod results_lock;
mod run;
mod run_broker;
mod service;
mod shadow;
mod shared_models;
mod shifts;
mod signals;
mod source;
mod start;
mod supervisor;
mod tasks;
#[cfg(test)]
mod tests;
mod trial;
mod trial_picture;
mod verdict_cost;
mod verdict_records;
mod writer;

pub use cameras::{CamerasPlan, plan_cameras};
pub use enlarging::EnlargingPlan;
pub use modbus::check_modbus;
pub use mode::Mode;
pub use page::check_page;
pub use plan::{LinePlan, configuration, configurations, plan};
pub use products::first_controls;
pub use run::{CameraOutcome, Line, RunOutcome, run};
pub use signals::triggered;
pub use source::open_source;
pub use start::run_all;

/// Rounded to hundredths, as records have it.
fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Rounded to thousandths, as records have it.
fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
