//! Where frames come from.
//!
//! | file | content |
//! |---|---|
//! | `frame.rs` | a frame, and the trait [`FrameSource`] |
//! | `pace.rs`, `monotonic.rs` | a fixed rate; time stamps of the kernel |
//! | `folder.rs`, `pattern.rs`, [`camera`] | the sources |
//! | `triggered.rs` | one frame of another source for each edge of a GPIO line |

pub mod camera;
mod folder;
mod frame;
mod monotonic;
mod pace;
mod pattern;
mod triggered;

pub use folder::{FolderSource, picture_files};
pub use frame::{Frame, FrameSource, Next, SourceCondition, SourceState};
pub use pattern::PatternSource;
pub use triggered::{EdgeEvent, TriggerInput, TriggeredSource};
