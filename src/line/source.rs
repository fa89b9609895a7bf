//! Where a line's frames come from.

use super::camera::open_camera;
use super::mode::Mode;
use super::process::{open_program, program_plan};
use crate::config::{Config, ConfigError, FolderConfig, KeepOrMove, Source};
use crate::sink::NORMAL;
use crate::source::camera::ProductControls;
use crate::source::{AfterVerdict, FolderMode, FolderSource, FrameSource, PatternSource, ViewSource};
use crate::telemetry::Telemetry;
use anyhow::Context;
use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The file in the folder of results that keeps which files of a drop folder were inspected.
const INSPECTED: &str = "inspected-files.txt";
/// How long a file's size stands still until it counts as whole, in seconds, where the configuration does not set it.
const SETTLE_S: f64 = 1.0;

/// Opens the source that a configuration names.
///
/// `controls`: those of a camera by product, where products have some.
///
/// # Errors
/// Where it cannot be opened; the error names the line of the configuration.
pub fn open_source(
    config: &Config,
    controls: Option<&Arc<ProductControls>>,
    mode: Mode,
    telemetry: &Telemetry,
) -> anyhow::Result<Box<dyn FrameSource>> {
    let source = source_itself(config, controls, mode, telemetry)?;
    let view = config.view.view();
    if view.is_plain() {
        return Ok(source);
    }
    Ok(Box::new(ViewSource::new(source, view).map_err(|problem| match &config.view.crop {
        Some(crop) => config.error_at(crop, problem).into(),
        None => anyhow::Error::msg(problem),
    })?))
}

fn source_itself(
    config: &Config,
    controls: Option<&Arc<ProductControls>>,
    mode: Mode,
    telemetry: &Telemetry,
) -> anyhow::Result<Box<dyn FrameSource>> {
    Ok(match &config.source {
        Source::Camera(section) => open_camera(config, section, controls.cloned(), mode, telemetry)?,
        Source::Folder(section) => {
            refuse_own_folders(config, section)?;
            let max_pixels = (section.max_megapixels.get_ref() * 1e6) as usize;
            let output = config.output.folder.get_ref();
            let moved_to = section.move_to.as_ref().map(|folder| folder.get_ref());
            // What the line writes itself is not inspected.
            let own = std::iter::once(output).chain(moved_to).cloned().collect();
            let path = section.path.get_ref();
            let source = FolderSource::open(path, folder_mode(section, output), own, max_pixels, telemetry);
            // No fault of the configuration: what is not there now may be mounted later.
            let at_its_line =
                |problem| config.error_at(&section.path, format!("source.folder.path: {problem}")).to_string();
            let source = source.map_err(|problem| anyhow::Error::msg(at_its_line(problem)))?;
            if mode == Mode::Check {
                // Not for ever: a folder may be given to another user.
                check_after(config, section).map_err(|error| anyhow::Error::msg(error.to_string()))?;
            }
            Box::new(source.with_bits(section.bits.as_ref().map(|bits| *bits.get_ref())))
        }
        Source::Pattern(line) => {
            let fps = line.fps.as_ref().map(|fps| *fps.get_ref());
            let (width, height) = (*line.width.get_ref(), *line.height.get_ref());
            Box::new(PatternSource::new(width, height, line.seed, line.defect_every, fps, line.frames))
        }
        Source::Process(_) | Source::Libcamera(_) | Source::Rtsp(_) | Source::Gstreamer(_) => {
            let plan = program_plan(config)?.context("the source has no program")?;
            open_program(config, plan, mode, telemetry)?
        }
    })
}

/// Refuses a folder that the line fills itself: it would inspect its own pictures, without end.
fn refuse_own_folders(config: &Config, section: &FolderConfig) -> Result<(), ConfigError> {
    // A folder that is not there yet is what its name says.
    let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into());
    let (path, output) = (real(section.path.get_ref()), &config.output.folder);
    let results = real(output.get_ref());
    let is_filled = path == results || path.starts_with(results.join(NORMAL));
    let moved_to = section.move_to.as_ref().filter(|folder| path == real(folder.get_ref()));
    let found =
        is_filled.then_some(("output.folder", output)).or(moved_to.map(|folder| ("source.folder.move_to", folder)));
    let Some((key, folder)) = found else { return Ok(()) };
    let (path, name) = (section.path.get_ref().display(), folder.get_ref().display());
    let problem = format!(
        "{key} = {name} is where source.folder.path = {path} reads from: the line would inspect what it writes; name another folder"
    );
    Err(config.error_at(folder, problem))
}

/// Whether files can be taken out of the folder, and put where they go to; tried without a file.
fn check_after(config: &Config, section: &FolderConfig) -> Result<(), ConfigError> {
    let Some(after) = section.after.as_ref().filter(|after| *after.get_ref() != KeepOrMove::Keep) else {
        return Ok(());
    };
    let may_change = |folder: &Path| access(folder, Access::WRITE_OK | Access::EXEC_OK);
    if let Err(error) = may_change(section.path.get_ref()) {
        let path = section.path.get_ref().display();
        let problem = format!(
            "{path}: files cannot be taken out of it: {}; let the line's user write there, or set after = \"keep\"",
            std::io::Error::from(error)
        );
        return Err(config.error_at(after, problem));
    }
    let Some(folder) = &section.move_to else { return Ok(()) };
    // What is missing is made, in the first folder above it that is there.
    let to = folder.get_ref();
    let there = to.ancestors().find(|above| above.exists()).unwrap_or(to);
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let result = if there.is_dir() { may_change(there) } else { Err(Errno::NOTDIR) };
    result.map_err(|error| {
        let (to, there, error) = (to.display(), there.display(), std::io::Error::from(error));
        config.error_at(folder, format!("source.folder.move_to = {to}: files cannot be moved there: {there}: {error}"))
    })
}

fn folder_mode(section: &FolderConfig, output: &Path) -> FolderMode {
    if !section.watch {
        let fps = section.fps.as_ref().map(|fps| *fps.get_ref());
        return FolderMode::Listed { repeat: *section.repeat.get_ref(), fps };
    }
    let after = match (section.after.as_ref().map(|after| after.get_ref()), &section.move_to) {
        (Some(KeepOrMove::Delete), _) => AfterVerdict::Delete,
        (Some(KeepOrMove::Move), Some(folder)) => AfterVerdict::MoveTo(folder.get_ref().clone()),
        _ => AfterVerdict::Keep,
    };
    let settle = Duration::from_secs_f64(section.settle_s.as_ref().map_or(SETTLE_S, |settle| *settle.get_ref()));
    FolderMode::Watched { after, settle, seen: output.join(INSPECTED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_moved_is_found_by_the_check() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let refusal = |path: &Path, after: &str| {
            let text = format!("[source.folder]\npath = {path:?}\nwatch = true\n{after}\n[output]\nfolder = \"out\"\n");
            let config = Config::parse(&text, Path::new("line.toml")).unwrap();
            let Source::Folder(section) = &config.source else { unreachable!() };
            check_after(&config, section).err().map(|error| error.to_string())
        };
        let moved = |to: &str| format!("after = \"move\"\nmove_to = {:?}", folder.path().join(to));
        assert_eq!(refusal(folder.path(), &moved("done/today")), None);
        assert_eq!(refusal(folder.path(), "after = \"delete\""), None);
        let refused = refusal(folder.path(), &moved("file/done")).unwrap();
        assert!(
            refused.starts_with("line.toml:5: source.folder.move_to = ") && refused.contains("file: Not a"),
            "{refused}"
        );
        assert_eq!(refusal(Path::new("/nowhere"), "after = \"keep\""), None);
        assert!(refusal(Path::new("/nowhere"), "after = \"delete\"").unwrap().contains("No such file"));
    }

    #[test]
    fn a_line_does_not_inspect_what_it_writes() {
        let folder = tempfile::tempdir().unwrap();
        let [parts, inside] = ["parts", "parts/out"].map(|name| folder.path().join(name));
        std::fs::create_dir_all(&inside).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&parts, &link).unwrap();
        let refusal = |path: &Path, out: &Path, move_to: Option<&Path>| {
            let moved =
                move_to.map_or(String::new(), |to| format!("watch = true\nafter = \"move\"\nmove_to = {to:?}\n"));
            let text = format!("[source.folder]\npath = {path:?}\n{moved}[output]\nfolder = {out:?}\n");
            let config = Config::parse(&text, Path::new("line.toml")).unwrap();
            let Source::Folder(section) = &config.source else { panic!("another source") };
            refuse_own_folders(&config, section).err().map(|error| error.to_string())
        };
        assert_eq!(refusal(&parts, &inside, None), None);
        assert_eq!(refusal(&parts, &folder.path().join("results"), Some(&inside)), None);
        // Beside the results nothing is written but to their folder of normal frames.
        assert_eq!(refusal(&inside, &parts, None), None);
        let normal = parts.join("normal/monday");
        std::fs::create_dir_all(&normal).unwrap();
        for (path, out) in [(&parts, &parts), (&parts, &link), (&link, &parts), (&normal, &link)] {
            let refused = refusal(path, out, None).unwrap();
            assert!(refused.starts_with("line.toml:4: output.folder = "), "{refused}");
        }
        let refused = refusal(&parts, &folder.path().join("results"), Some(&link)).unwrap();
        assert!(refused.starts_with("line.toml:5: source.folder.move_to = "), "{refused}");
    }
}
