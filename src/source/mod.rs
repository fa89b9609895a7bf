//! Where frames come from.
//!
//! | file | content |
//! |---|---|
//! | `frame.rs`, `receipt.rs` | a frame, and the trait [`FrameSource`]; what a source wants to know of a verdict |
//! | `pace.rs` | a fixed rate |
//! | `folder/`, `pattern.rs`, [`camera`], [`process`] | the sources |
//! | `triggered.rs` | one frame of another source for each edge of a GPIO line |
//! | `parts.rs` | the same, where each edge announces a part that gets a result |
//! | `view.rs` | frames of another source, turned, mirrored and cropped |

pub mod camera;
mod folder;
mod frame;
mod pace;
mod parts;
mod pattern;
pub mod process;
mod receipt;
mod triggered;
mod view;

pub use folder::{AfterVerdict, FolderMode, FolderSource, PassedOver, PictureList, list_pictures, picture_files};
pub use frame::{Frame, FrameSource, Next, SourceCondition, SourceState};
pub use parts::PartSource;
pub use pattern::PatternSource;
pub use receipt::{Receipt, Settled};
pub use triggered::{EdgeEvent, TriggerInput, TriggeredSource};
pub use view::{FrameView, ViewSource};
