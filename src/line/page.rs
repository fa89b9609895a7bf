//! The status page of a run: from the configuration to its thread.

use super::tasks::only_task;
use crate::bundle::locate;
use crate::config::{Config, ConfigError};
use crate::memory::Bill;
use crate::pipeline::Commands;
use crate::service::Reload;
use crate::source::FrameSource;
use crate::status_page::{
    CONNECTIONS, LineBundle, LineControls, LiveFeed, PENDING, PageSettings, PictureJudge, RunFacts, ServerTls,
    ServerTlsFile, StatusServer, TLS_BYTES, TeachingMemory, check_bindable, describe_bind_error, max_bytes,
    teaching_bytes,
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
    let tls = tls(config)?;
    let encrypting = if tls.is_some() { (CONNECTIONS + PENDING) * TLS_BYTES } else { 0 };
    let pixels = source.max_pixels() as u64;
    bill.add("status page", max_bytes(pixels, *page.control.get_ref()) + encrypting as u64);
    let mut live = LiveFeed::new(source.frame_size());
    let teach_memory = page.teach_memory.as_ref().map(|memory| memory.get_ref().as_u64());
    if let Some(memory) = teach_memory {
        bill.add("teaching on the page", teaching_bytes(pixels, memory));
        live = live.with_samples();
    }
    let live = Arc::new(live);
    let (listen, max_fps) = (*page.listen.get_ref(), *page.max_fps.get_ref());
    let control = page.control.get_ref().then(|| config.output.keep_free.get_ref().as_u64());
    let (token, teach_token) = (config.page_token()?, config.teach_token()?);
    let settings = PageSettings {
        listen,
        token,
        teach_token,
        tls,
        line: LineControls {
            commands: Arc::clone(commands),
            bundle: line_bundle(config),
            pixels,
            check: Box::new(|| Ok(())),
            reload: Box::new(|| ()),
        },
        control,
        teaching: teach_memory.map(|memory| (memory, TeachingMemory::default())),
        max_fps,
        judge,
    };
    Ok(Some(PagePlan { settings, live }))
}

/// With what the page's connections are encrypted, where they are.
/// The certificate and the key of the page, where it has some.
///
/// # Errors
/// Where they cannot be read or used.
pub(super) fn tls(config: &Config) -> Result<Option<ServerTls>, ConfigError> {
    let Some(tls) = config.status_page.as_ref().and_then(|page| page.tls.as_ref()) else { return Ok(None) };
    let read = ServerTls::read(tls.certificate.get_ref(), tls.key.get_ref());
    let blame = |(file, problem)| match file {
        ServerTlsFile::Certificate => config.error_at(&tls.certificate, problem),
        ServerTlsFile::Key => config.error_at(&tls.key, problem),
    };
    read.map(Some).map_err(blame)
}

/// The bundle by which a line judges, and what keeps its threshold from being set on the page.
fn line_bundle(config: &Config) -> LineBundle {
    let several = "the line has several tasks or products: their versions are changed by lineside bundle";
    let task = only_task(config);
    let place = match &task {
        None => Err(several.into()),
        Some(task) => locate(task.bundle).map_err(|error| error.to_string()),
    };
    let stated = "the configuration states threshold or false_alarms, which goes before the bundle's: remove it there and reload";
    let unsigned = "bundles.require_signature is set, and a version that is made here has no signature: sign one elsewhere and install it";
    let fixed = match &task {
        Some(task) if task.threshold.is_some() => Some(stated),
        _ => None,
    };
    LineBundle { place, fixed, unsigned: config.bundles.require_signature.then_some(unsigned) }
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
    let scheme = if tls(config)?.is_some() { "https" } else { "http" };
    let teach = if page.teach_memory.is_some() { ", bundles may be taught" } else { "" };
    Ok(format!("{scheme}://{listen}/{token}{judge}{control}{teach}{taken}"))
}

impl PagePlan {
    /// The viewer of each verdict.
    pub(super) fn viewer(&self) -> Arc<LiveFeed> {
        Arc::clone(&self.live)
    }

    /// Serves the page of a run that writes its results into `output`; by `reload` the line takes what is changed on it. What became of the
    /// newest job of teaching is known in `newest`, over all runs.
    pub(super) fn serve(
        self,
        facts: RunFacts,
        output: PathBuf,
        (reload, check): (Reload, Box<dyn Fn() -> Result<(), String> + Send + Sync>),
        newest: TeachingMemory,
        telemetry: &Telemetry,
    ) -> std::io::Result<StatusServer> {
        let line = LineControls { check, reload: Box::new(move || reload.ask()), ..self.settings.line };
        let teaching = self.settings.teaching.map(|(memory, _)| (memory, newest));
        let settings = PageSettings { line, teaching, ..self.settings };
        StatusServer::start(settings, self.live, facts, output, telemetry.clone())
    }
}
