//! Where frames come from.
//!
//! | file | content |
//! |---|---|
//! | `frame.rs` | a frame, and the trait [`FrameSource`] |
//! | `pace.rs`, `monotonic.rs` | a fixed rate; time stamps of the kernel |
//! | `folder.rs`, `pattern.rs`, [`camera`] | the sources |
//! | `picture_list.rs`, `reader.rs` | the files of a folder, and the thread that reads them |
//! | `triggered.rs` | one frame of another source for each edge of a GPIO line |

pub mod camera;
mod folder;
mod frame;
mod monotonic;
mod pace;
mod pattern;
mod picture_list;
mod reader;
mod triggered;

pub use folder::FolderSource;
pub use frame::{Frame, FrameSource, Next, SourceCondition, SourceState};
pub use pattern::PatternSource;
pub use picture_list::{PassedOver, PictureList, list_pictures, picture_files};
pub use triggered::{EdgeEvent, TriggerInput, TriggeredSource};
