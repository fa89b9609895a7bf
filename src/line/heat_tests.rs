//! A lowered rate while frames are passed over, because they were exposed for another product.

use super::mode::Mode;
use super::plan::plan;
use crate::board::heat::DegradeStep;
use crate::config::Config;
use crate::field::Interval;
use crate::pipeline::{
    ChosenProduct, Commands, ProductKey, ProductSwitch, Report, Reporter, RunObserver, Shutdown, Status,
};
use crate::source::camera::{ControlSetting, ProductControls};
use crate::telemetry::{Cause, Telemetry};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Ends a test that hangs.
const HANGS: Duration = Duration::from_secs(30 * 60);

struct Quiet;

impl Reporter for Quiet {
    fn verdict(&mut self, _: &Report) -> bool {
        true
    }

    fn failed(&mut self, name: &str, _: Cause, reason: &str) {
        panic!("{name}: {reason}");
    }
}

/// Sets the controls once frames were passed over, and stops once some were inspected.
struct Observer {
    controls: Arc<ProductControls>,
    begun: Instant,
}

impl RunObserver for Observer {
    fn status(&mut self, _: &Status, _: &Interval) {}

    fn poll(&mut self, status: &Status, _: bool, shutdown: &Shutdown) {
        let counts = status.counts;
        assert!(self.begun.elapsed() < HANGS, "nothing more is inspected: {counts:?}");
        if counts.dropped_stale >= 9 && counts.inspected == 0 {
            self.controls.done(0, Instant::now(), false);
        }
        if counts.inspected >= 3 {
            shutdown.ask();
        }
    }
}

#[test]
fn a_lowered_rate_goes_on_after_frames_in_the_light_of_another_product() {
    for fps in ["", "fps = 500.0\n"] {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[source.pattern]\nwidth = 160\nheight = 120\n{fps}[super_resolution]\nwhen = \"never\"\n[output]\nfolder = {:?}\n",
            folder.path()
        );
        let telemetry = Telemetry::default();
        let config = Config::parse(&text, Path::new("line.toml")).unwrap();
        let mut pipeline = plan(&config, Mode::Run, &telemetry).unwrap().pipeline;
        let key = ProductKey { name: "cap".into(), code: 1 };
        let commands = Arc::new(Commands::new(vec![key], ChosenProduct::Known(0), None, telemetry));
        let gain = vec![("gain".to_string(), ControlSetting::Value(1))];
        let controls = Arc::new(ProductControls::new(vec![gain], Duration::ZERO, Box::new(|| None)));
        let switch = ProductSwitch::new(commands, 0, Vec::new()).with_controls(Some(Arc::clone(&controls)));
        pipeline.inspection.products = Some(switch);
        pipeline.shedding.set_steps(&[DegradeStep::Rate]);
        let mut observer = Observer { controls, begun: Instant::now() };
        let (end, reporter) = pipeline.run(&Shutdown::default(), Quiet, &mut observer);
        assert!(end.failure.is_none() && reporter.is_some(), "{fps}: {:?}", end.failure);
        assert!(end.status.counts.inspected >= 3, "{fps}: {:?}", end.status.counts);
    }
}
