//! Several cameras in one process: each reports its progress here, and the main thread reports to the manager for all of them.

use super::ServiceManager;
use super::manager::line;
use crate::pipeline::Status;
use crate::times::STATUS;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What a camera's line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraState {
    /// It is being started for the first time.
    Starting,
    /// Its threads run, and must make progress.
    Running,
    /// A thread has failed, or it could not be started; it is tried again.
    Down,
    /// It is done.
    Ended,
}

/// The progress of one camera's line.
pub struct CameraProgress {
    name: String,
    state: AtomicU8,
    /// How often all of its threads had made progress.
    beats: AtomicU64,
    /// Whether its writer has finished nothing for a while.
    is_stuck: AtomicBool,
    /// Whether it ends for a new configuration.
    makes_way: AtomicBool,
    /// Its status, and what is to be said of the board.
    status: Mutex<Option<(Status, Option<String>)>>,
}

impl CameraProgress {
    /// Of a camera that is being started.
    pub fn new(name: &str) -> CameraProgress {
        CameraProgress {
            name: name.into(),
            state: AtomicU8::new(CameraState::Starting as u8),
            beats: AtomicU64::new(0),
            is_stuck: AtomicBool::new(false),
            makes_way: AtomicBool::new(false),
            status: Mutex::new(None),
        }
    }

    /// What it does from now on.
    pub fn set_state(&self, state: CameraState) {
        self.state.store(state as u8, Relaxed);
    }

    /// Whether it is in this state.
    pub fn is(&self, state: CameraState) -> bool {
        self.state.load(Relaxed) == state as u8
    }

    /// Its run ends for a new configuration.
    pub fn make_way(&self) {
        self.makes_way.store(true, Relaxed);
    }

    /// Whether its writer has finished nothing for a while: the disk hangs.
    pub fn is_stuck(&self) -> bool {
        self.is_stuck.load(Relaxed)
    }
}

/// Where a line reports that it gets on.
pub enum LineManager {
    /// To the service manager: it is the only one of the process.
    Only(ServiceManager),
    /// To the main thread, which reports for all cameras.
    Camera {
        /// Where.
        progress: Arc<CameraProgress>,
        /// When its status was stored last.
        stored: Option<Instant>,
    },
}

impl LineManager {
    /// Whether the line itself takes requests for a new configuration; of several cameras the main thread takes them, for all.
    pub fn takes_reloads(&self) -> bool {
        matches!(self, LineManager::Only(_))
    }

    /// As [`ServiceManager::ready`].
    pub fn ready(&self) {
        match self {
            LineManager::Only(manager) => manager.ready(),
            LineManager::Camera { progress, .. } => progress.set_state(CameraState::Running),
        }
    }

    /// As [`ServiceManager::reloading`].
    pub fn reloading(&self) {
        if let LineManager::Only(manager) = self {
            manager.reloading();
        }
    }

    /// As [`ServiceManager::stopping`].
    pub fn stopping(&self) {
        if let LineManager::Only(manager) = self {
            manager.stopping();
        }
    }

    /// As [`ServiceManager::status`].
    pub fn status(&self, text: &str) {
        if let LineManager::Only(manager) = self {
            manager.status(text);
        }
    }

    /// As [`ServiceManager::alive`].
    pub fn alive(&mut self) {
        match self {
            LineManager::Only(manager) => manager.alive(),
            LineManager::Camera { progress, .. } => {
                progress.beats.fetch_add(1, Relaxed);
            }
        }
    }

    /// Whether the run is asked to end for a new configuration of all cameras.
    pub fn makes_way(&self) -> bool {
        matches!(self, LineManager::Camera { progress, .. } if progress.makes_way.load(Relaxed))
    }

    /// Whether its writer has finished nothing for a while.
    pub fn set_stuck(&self, is_stuck: bool) {
        if let LineManager::Camera { progress, .. } = self {
            progress.is_stuck.store(is_stuck, Relaxed);
        }
    }

    /// As [`ServiceManager::progress`].
    pub fn progress(&mut self, status: &Status, board: impl FnOnce() -> Option<String>) {
        match self {
            LineManager::Only(manager) => manager.progress(status, board),
            LineManager::Camera { progress, stored } => {
                if stored.is_none_or(|stored| stored.elapsed() >= STATUS / 2) {
                    let board = board();
                    *progress.status.lock().unwrap_or_else(PoisonError::into_inner) = Some((*status, board));
                    *stored = Some(Instant::now());
                }
            }
        }
    }
}

/// Reports to the service manager for all cameras.
pub struct CamerasManager {
    manager: ServiceManager,
    cameras: Vec<Watched>,
    is_ready: bool,
    /// When the status text was renewed last.
    renewed: Instant,
}

struct Watched {
    progress: Arc<CameraProgress>,
    /// Its beats when the watchdog was fed.
    beats: u64,
    /// Frames captured when the status text was renewed.
    captured: u64,
}

impl Default for CamerasManager {
    fn default() -> Self {
        CamerasManager { manager: ServiceManager::new(), cameras: Vec::new(), is_ready: false, renewed: Instant::now() }
    }
}

impl CamerasManager {
    /// The manager itself.
    pub fn manager(&self) -> &ServiceManager {
        &self.manager
    }

    /// From now on it reports for these cameras.
    pub fn watch(&mut self, cameras: Vec<Arc<CameraProgress>>) {
        self.cameras = cameras.into_iter().map(|progress| Watched { progress, beats: 0, captured: 0 }).collect();
        self.is_ready = false;
    }

    /// To be called many times a second. Ready is who runs, is done, or was reported as down; the watchdog is fed while all threads of
    /// every camera that runs make progress. A camera that is away makes progress: its threads try to reach it. Returns whether all
    /// are ready.
    pub fn poll(&mut self) -> bool {
        if !self.is_ready && !self.cameras.iter().any(|camera| camera.progress.is(CameraState::Starting)) {
            self.is_ready = true;
            self.manager.ready();
        }
        if self.is_ready && self.all_beat() {
            self.manager.alive();
        }
        let since = self.renewed.elapsed();
        if since >= STATUS {
            self.renewed = Instant::now();
            let text = self.status_text(since.as_secs_f64());
            self.manager.status(&text);
        }
        self.is_ready
    }

    fn all_beat(&mut self) -> bool {
        let has_beaten = |camera: &Watched| {
            !camera.progress.is(CameraState::Running) || camera.progress.beats.load(Relaxed) != camera.beats
        };
        let all = self.cameras.iter().all(has_beaten);
        if all {
            self.cameras.iter_mut().for_each(|camera| camera.beats = camera.progress.beats.load(Relaxed));
        }
        all
    }

    fn status_text(&mut self, seconds: f64) -> String {
        let one = |camera: &mut Watched| {
            let name = &camera.progress.name;
            if camera.progress.is(CameraState::Down) {
                return format!("{name}: it has failed and is tried again, the log says why");
            }
            let status = camera.progress.status.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((status, board)) = &*status else { return format!("{name}: no frame so far") };
            let captured = status.counts.captured;
            // After a new start it counts from zero.
            let fps = (captured - camera.captured.min(captured)) as f64 / seconds;
            camera.captured = captured;
            let board = board.as_ref().map_or(String::new(), |board| format!("; {board}"));
            format!("{name}: {}{board}", line(status, fps))
        };
        self.cameras.iter_mut().map(one).collect::<Vec<_>>().join(" | ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Counts;

    #[test]
    fn the_watchdog_is_fed_while_each_camera_that_runs_makes_progress() {
        let cameras = ["top", "side"].map(|name| Arc::new(CameraProgress::new(name)));
        let mut all = CamerasManager::default();
        all.watch(cameras.to_vec());
        let mut lines = cameras.clone().map(|progress| LineManager::Camera { progress, stored: None });
        assert!(!all.poll(), "they are being started");
        lines[0].ready();
        assert!(!all.poll());
        lines[1].ready();
        assert!(all.poll() && !all.all_beat());
        (0..9).for_each(|_| lines[0].alive());
        assert!(!all.all_beat(), "one is stuck");
        lines[1].alive();
        assert!(all.all_beat() && !all.all_beat());
        // One that was reported as down, or is done, is not waited for.
        for state in [CameraState::Down, CameraState::Ended] {
            cameras[1].set_state(state);
            lines[0].alive();
            assert!(all.all_beat(), "{state:?}");
        }
        assert!(!cameras[0].is_stuck());
        lines[0].set_stuck(true);
        assert!(cameras[0].is_stuck());
    }

    #[test]
    fn the_status_names_each_camera() {
        let cameras = ["top", "side", "back"].map(|name| Arc::new(CameraProgress::new(name)));
        let mut all = CamerasManager::default();
        all.watch(cameras.to_vec());
        let counts = Counts { captured: 30, inspected: 30, ..Counts::default() };
        let mut top = LineManager::Camera { progress: Arc::clone(&cameras[0]), stored: None };
        top.progress(&Status { counts, ..Status::default() }, || Some("61 °C".into()));
        cameras[2].set_state(CameraState::Down);
        let text = all.status_text(10.0);
        assert!(
            text.starts_with("top: 3.0 frames a second")
                && text.contains("; 61 °C | side: no frame so far | back: it has failed"),
            "{text}"
        );
        assert!(all.status_text(10.0).starts_with("top: no frame is coming"), "none since");
    }
}
