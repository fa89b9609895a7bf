//! The status page of a run: from the configuration to its thread.

use crate::config::{Config, ConfigError};
use crate::memory::Bill;
use crate::pipeline::Commands;
use crate::source::FrameSource;
use crate::status_page::{
    LiveFeed, PageSettings, PictureJudge, RunFacts, StatusServer, check_bindable, describe_bind_error, max_bytes,
};
use crate::telemetry::Telemetry;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

/// A page that is ready to be served.
pub struct PagePlan {
    settings: PageSettings,
    live: Arc<LiveFeed>,
}

/// The page that the configuration asks for, on the bill; `judge` judges posted pictures, where that is asked for, too.
pub(super) fn plan(
    config: &Config,
    source: &dyn FrameSource,
    judge: Option<PictureJudge>,
    commands: &Arc<Commands>,
    bill: &mut Bill,
) -> Result<Option<PagePlan>, ConfigError> {
    let Some(page) = &config.status_page else { return Ok(None) };
    bill.add("status page", max_bytes(source.max_pixels() as u64, *page.control.get_ref()));
    let live = Arc::new(LiveFeed::new(source.frame_size()));
    let (listen, max_fps) = (*page.listen.get_ref(), *page.max_fps.get_ref());
    let control = page.control.get_ref().then(|| config.output.keep_free.get_ref().as_u64());
    let (token, teach_token) = (config.page_token()?, config.teach_token()?);
    let settings = PageSettings { listen, token, teach_token, commands: Arc::clone(commands), control, max_fps, judge };
    Ok(Some(PagePlan { settings, live }))
}

/// Whether it could be served now, and where.
///
/// # Errors
/// Where its address cannot be bound.
pub fn check_page(config: &Config) -> Result<String, ConfigError> {
    let Some(page) = &config.status_page else { return Ok("off".into()) };
    let listen = page.listen.get_ref();
    let token = if page.token.is_some() || page.token_file.is_some() { ", with a token" } else { "" };
    let taken = match check_bindable(*listen) {
        Ok(()) => "",
        // As it should be while the service runs.
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            ", where the service itself or another program listens now"
        }
        Err(error) => return Err(config.error_at(&page.listen, format!("{listen}: {}", describe_bind_error(&error)))),
    };
    let judge = if page.judge { ", judges what is posted to /judge" } else { "" };
    let control = if *page.control.get_ref() { ", frames may be marked and products chosen" } else { "" };
    Ok(format!("http://{listen}/{token}{judge}{control}{taken}"))
}

impl PagePlan {
    /// The viewer of each verdict.
    pub(super) fn viewer(&self) -> Arc<LiveFeed> {
        Arc::clone(&self.live)
    }

    /// Serves the page of a run that writes its results into `output`.
    pub(super) fn serve(
        self,
        facts: RunFacts,
        output: PathBuf,
        telemetry: &Telemetry,
    ) -> std::io::Result<StatusServer> {
        StatusServer::start(self.settings, self.live, facts, output, telemetry.clone())
    }
}
