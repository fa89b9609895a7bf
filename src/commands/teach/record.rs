//! Recording of pictures of good parts, by the camera that will inspect the line.
//!
//! They are kept as files, so that they can be looked at and used again.

use super::region::WantedRegion;
use crate::commands::progress::ProgressReporter;
use crate::config::{self, Config, Source};
use crate::line::{Mode, first_controls, open_source, triggered};
use crate::sink::write_png_durably;
use crate::source::{Frame, Next};
use crate::telemetry::Telemetry;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Records until `folder` holds `frames` pictures, one every `every`; an interrupted recording is resumed. The camera and the trigger
/// are those of `config`.
///
/// # Errors
/// Where the region does not fit its frames, the camera does not work, or a picture cannot be written.
pub fn record(
    config: &Config,
    region: Option<&WantedRegion>,
    folder: &Path,
    frames: u64,
    every: Duration,
    telemetry: &Telemetry,
) -> anyhow::Result<()> {
    let path = |number: u64| -> PathBuf { folder.join(format!("good-{number:04}.png")) };
    let mut number = (1..=frames).find(|number| !path(*number).exists()).unwrap_or(frames + 1);
    if number > 1 {
        // They may be of another camera, size or view.
        let (pictures, name) = (number - 1, folder.display().to_string());
        log::warn!(pictures = pictures, folder = name.as_str(), advice = "remove the folder to record anew"; "recorded_before");
    }
    if number > frames {
        return Ok(());
    }
    let mut source =
        triggered(config, open_source(config, first_controls(config).as_ref(), Mode::Check, telemetry)?, telemetry)?;
    if let (Some(region), Some(size)) = (region, source.frame_size()) {
        region.in_frames(size)?;
    }
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    log::info!(source = source.describe().as_str(), folder = folder.display().to_string().as_str(), from = number, to = frames; "recording");
    let progress = ProgressReporter::new("recording", frames);
    let (mut frame, mut due) = (Frame::default(), Instant::now());
    while number <= frames {
        progress.at(number - 1);
        let now = Instant::now();
        if now < due {
            source.discard_stale();
            std::thread::sleep((due - now).min(Duration::from_millis(20)));
            continue;
        }
        match source.next(&mut frame) {
            Next::Frame => {
                let path = path(number);
                let written = write_png_durably(&path, &frame.picture);
                written.with_context(|| path.display().to_string())?;
                number += 1;
                due = now + every;
            }
            Next::Failed { name, reason } => {
                log::warn!(frame = name.as_str(), reason = reason.as_str(); "frame_failed")
            }
            Next::FailedRepeatedly | Next::Pending => {}
            Next::Ended => {
                log::warn!(recorded = number - 1, wanted = frames; "the source ended before all pictures were recorded");
                break;
            }
        }
    }
    progress.finish();
    Ok(())
}

/// The configuration of a line with this camera: a device, or a configuration.
///
/// # Errors
/// Where it cannot be read, has no camera, or not this product.
pub fn configuration(camera: &str, product: Option<&str>) -> anyhow::Result<Config> {
    if !camera.ends_with(".toml") && !camera.contains(".toml#") {
        anyhow::ensure!(product.is_none(), "--product: {camera} is no configuration with a [[product]]");
        let mut config = Config::demo(PathBuf::new());
        config.source = Source::Camera(config::CameraConfig::of_device(camera));
        return Ok(config);
    }
    let (path, name) = camera.rsplit_once('#').map_or((camera, None), |(path, name)| (path, Some(name)));
    let mut config = match name {
        None => Config::load(Path::new(path))?,
        Some(name) => {
            let is_this = |config: &Config| config.camera.as_ref().is_some_and(|camera| camera.name == name);
            let found = Config::load_all(Path::new(path))?.into_iter().find(is_this);
            found.with_context(|| format!("{path}: it has no [[camera]] with the name \"{name}\""))?
        }
    };
    if let Some(product) = product {
        let known: Vec<&str> = config.product.iter().map(|one| one.name.get_ref().as_str()).collect();
        anyhow::ensure!(
            known.contains(&product),
            "--product {product}: {path} has no such [[product]]; it has {known:?}"
        );
        config.start_with(Some(product));
    } else if config.product_controls().is_some() {
        anyhow::bail!("{path}: its products have controls of the camera of their own: state --product NAME");
    }
    match &mut config.source {
        Source::Folder(section) => {
            let path = section.path.get_ref().display();
            anyhow::bail!(
                "{camera}: [source.folder] has no camera to record from; teach from its pictures: --normal {path}"
            )
        }
        // The synthetic line shows what it is to be taught: good parts.
        Source::Pattern(line) => line.defect_every = 0,
        _ => {}
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_recording_needs_no_camera() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=3 {
            std::fs::write(folder.path().join(format!("good-{number:04}.png")), "").unwrap();
        }
        let config = configuration("/dev/no-such-camera", None).unwrap();
        record(&config, None, folder.path(), 3, Duration::ZERO, &Telemetry::default()).unwrap();
        let problem = record(&config, None, folder.path(), 4, Duration::ZERO, &Telemetry::default()).unwrap_err();
        assert!(format!("{problem:#}").contains("/dev/no-such-camera: no such camera"), "{problem:#}");
    }

    #[test]
    fn the_synthetic_line_is_recorded_without_defects_and_a_folder_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("line.toml");
        let record_as = |text: &str, into: &str| {
            std::fs::write(&config, text).unwrap();
            let config = configuration(config.to_str().unwrap(), None)?;
            record(&config, None, &folder.path().join(into), 3, Duration::ZERO, &Telemetry::default())
        };
        let pattern = "[source.pattern]\nwidth = 64\nheight = 48\n";
        record_as(&format!("{pattern}defect_every = 1\n"), "a").unwrap();
        record_as(&format!("{pattern}defect_every = 0\n"), "b").unwrap();
        let picture = |into: &str| std::fs::read(folder.path().join(into).join("good-0003.png")).unwrap();
        assert_eq!(picture("a"), picture("b"));
        let refused = record_as("[source.folder]\npath = \"parts\"\n", "c").unwrap_err().to_string();
        assert!(
            refused.ends_with("has no camera to record from; teach from its pictures: --normal parts"),
            "{refused}"
        );
    }
}
