//! The status page: the live view and the figures of a run, for a browser, a phone and Prometheus. Off unless configured.
//!
//! ```text
//! inspection thread --(score; a frame on request)--> live.rs --> encoder.rs --> /live.mjpeg, at most 4 viewers
//! main thread --(counts, temperature, progress)--> status_cell.rs --> /status.json, /metrics, /healthz
//!
//! a connection --> pending.rs (32 places, no threads): the request is read; /, /metrics, /healthz, refusals are answered
//!                  --> serve.rs (12 places with threads, for who may see the page): what waits for a frame, a disk, a client
//!                      --> history.rs: /events, the records page by page
//!                      --> control.rs (one at a time): /marks, what people say of frames
//!                      --> command.rs: /product, /acknowledge, to whom inspection looks before each frame
//!                      --> versions.rs (one at a time): /bundle, another threshold as a version of the bundle
//!                      --> teach_request.rs, teach_job.rs, teaching/ (one job at a time): /teaching, the bundle taught anew by a process of its own
//!                      --> posted.rs, judge.rs (2 places): /judge, a picture to the judge's thread, which has sessions of its own
//! ```
//!
//! Inspection never waits for the page: no client can hold a lock that inspection needs, and the memory, the threads and the
//! time that clients can use are bounded.

mod access;
mod answer;
mod command;
mod connection;
mod control;
mod encoder;
mod events;
mod focus;
mod history;
mod judge;
mod limits;
mod line_controls;
mod live;
mod login;
mod metrics;
mod page;
mod pending;
mod posted;
mod request;
mod response;
mod serve;
mod server;
mod stages;
mod status;
mod status_cell;
mod stream;
mod teach_job;
mod teach_request;
mod teaching;
#[cfg(feature = "mqtt")]
mod tls;
#[cfg(not(feature = "mqtt"))]
#[path = "no_tls.rs"]
mod tls;
mod versions;

pub use judge::{JUDGE_THREAD, JudgeTimes, PLACES as JUDGE_PLACES, PictureJudge, body_limit, judging_bytes};
pub use limits::{CONNECTIONS, PENDING, VIEWERS, heap_bytes, max_bytes, teaching_bytes};
pub use live::LiveFeed;
pub use page::RunFacts;
// For the fuzz targets (fuzz/).
pub use line_controls::{LineBundle, LineControls};
pub use server::{PageSettings, STATUS_PAGE_THREAD, StatusServer, check_bindable, describe_bind_error};
pub use status_cell::Conditions;
pub use teaching::TeachingMemory;
pub use tls::{ServerTls, ServerTlsFile, TLS_BYTES};
#[doc(hidden)]
pub use {access::Access, request::HttpRequest, request::parse as parse_request};
