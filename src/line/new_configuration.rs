//! A new configuration, before the run in use is ended for it: it is read, and what it names is looked for, by a thread of its own. The file
//! may lie on a share that hangs, and bundles are read to their end. What needs memory, models above all, is tried when the run in use
//! has ended.

use super::bundles;
use super::page;
use super::plan::{check_output, configurations};
use super::results_lock::lock;
use crate::config::{Config, Source};
use crate::sink::EventLog;
use crate::storage::check_regular;
use crate::threads::{describe_failure, lower_priority, not_started};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

/// The name of the thread.
const THREAD: &str = "reload";
/// Its stack, in bytes: configurations are parsed on it.
const STACK: usize = 512 << 10;

/// Configurations that are being read and tried.
pub(super) struct NewConfiguration<T> {
    thread: JoinHandle<anyhow::Result<T>>,
}

impl<T: Send + 'static> NewConfiguration<T> {
    /// Begins to read one, in a thread of its own.
    ///
    /// # Errors
    /// Where there can be no more thread.
    pub(super) fn begin(read: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<Self> {
        let work = move || {
            // Whole files are read: behind inspection, where the board allows it.
            let _ = lower_priority();
            read()
        };
        let thread = Builder::new().name(THREAD.into()).stack_size(STACK).spawn(work);
        Ok(NewConfiguration { thread: thread.map_err(|error| not_started(THREAD, &error))? })
    }

    /// What came of it, once that is known. Does not wait.
    pub(super) fn take(reading: &mut Option<Self>) -> Option<anyhow::Result<T>> {
        let NewConfiguration { thread } = reading.take_if(|one| one.thread.is_finished())?;
        Some(thread.join().unwrap_or_else(|_| Err(anyhow::Error::msg(describe_failure(THREAD)))))
    }
}

/// Reads the configuration of a line again: of several cameras that of one.
///
/// # Errors
/// Where it cannot be read or is invalid, or the camera is not in it any more.
pub(super) fn configuration_of(path: Option<&Path>, camera: Option<&str>) -> anyhow::Result<Config> {
    let Some(name) = camera else {
        let config = configurations(path)?.into_iter().next();
        let is_alone = |config: &Config| config.camera.is_none();
        return config.filter(is_alone).context("the file has [[camera]] now: restart the line, which has one camera");
    };
    let is_this = |config: &Config| config.camera.as_ref().is_some_and(|camera| camera.name == name);
    let found = configurations(path)?.into_iter().find(is_this);
    found.with_context(|| format!("there is no camera \"{name}\" in the configuration any more"))
}

/// Tries what can be tried beside the run in use, which writes to the folders of `in_use`: secrets, certificates, the folder of results and
/// that of pictures, bundles. Where a run has begun, all of these may fail without ending it; so a reload must not end it for them.
///
/// # Errors
/// The first that a run with this configuration could not begin with.
pub(super) fn try_beside(next: &Config, in_use: &[PathBuf]) -> anyhow::Result<()> {
    next.check_secrets()?;
    page::tls(next)?;
    let output = &next.output.folder;
    let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into());
    let is_new = !in_use.iter().any(|folder| real(folder) == real(output.get_ref()));
    if is_new {
        check_output(next, 0)?;
        drop(lock(output.get_ref())?);
    }
    check_regular(&EventLog::path_in(output.get_ref())).map_err(|error| next.error_at(output, error))?;
    if let Source::Folder(section) = &next.source {
        let path = section.path.get_ref();
        let problem =
            || next.error_at(&section.path, format!("source.folder.path: {}: no folder is there", path.display()));
        anyhow::ensure!(path.is_dir(), problem());
    }
    next.bundles_in_use().try_for_each(|(_, name)| bundles::check(name.get_ref(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(text, Path::new("line.toml")).unwrap()
    }

    #[test]
    fn what_a_run_could_not_begin_with_is_found_beside_the_one_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let quiet = "[super_resolution]\nwhen = \"never\"\n";
        let config = |output: &str| parse(&format!("[source.pattern]\n[output]\nfolder = {:?}\n{quiet}", at(output)));
        std::fs::create_dir(at("results")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        std::fs::create_dir_all(at("odd/events.jsonl")).unwrap();
        let refused = |config: &Config| try_beside(config, &[at("results")]).unwrap_err().to_string();
        try_beside(&config("results"), &[at("results")]).unwrap();
        try_beside(&config("new/folder"), &[at("results")]).unwrap();
        for (output, expected) in [
            ("file", "cannot write results there (output.folder)"),
            ("file/below", "cannot write results there (output.folder)"),
            ("odd", "odd/events.jsonl is a folder, where lineside keeps a file of its own"),
        ] {
            let error = refused(&config(output));
            assert!(error.starts_with("line.toml:3: ") && error.contains(expected), "{output}: {error}");
        }
        // Another line writes there; and the one in use does.
        let taken = lock(&at("results")).unwrap();
        try_beside(&config("results"), &[at("results")]).unwrap();
        let error = try_beside(&config("results"), &[at("other")]).unwrap_err().to_string();
        assert!(error.contains("another line writes its results there"), "{error}");
        drop(taken);
        let gone = parse(&format!("[source.folder]\npath = {:?}\n{quiet}", at("gone")));
        assert!(refused(&gone).starts_with("line.toml:2: source.folder.path: "), "{}", refused(&gone));
        let bundle = parse(&format!("[source.pattern]\n{quiet}[anomaly]\nbundle = {:?}\n", at("gone")));
        assert!(refused(&bundle).starts_with("line.toml:"), "{}", refused(&bundle));
        assert!(refused(&bundle).contains(": anomaly.bundle: no bundle"), "{}", refused(&bundle));
        let smaller = parse(&format!(
            "[source.camera]\ndevice = \"0\"\n{quiet}[heat]\ndegrade = true\n[heat.smaller]\nbundle = {:?}\nwidth = 160\nheight = 120\n",
            at("gone")
        ));
        assert!(refused(&smaller).contains("heat.smaller.bundle: no bundle"), "{}", refused(&smaller));
    }

    #[test]
    fn a_configuration_is_taken_when_it_was_read() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut reading = Some(NewConfiguration::begin(move || Ok(receiver.recv()?)).unwrap());
        assert!(NewConfiguration::take(&mut reading).is_none() && reading.is_some(), "the disk hangs");
        sender.send(7).unwrap();
        let taken = loop {
            if let Some(taken) = NewConfiguration::take(&mut reading) {
                break taken;
            }
            std::thread::yield_now();
        };
        assert_eq!((taken.unwrap(), reading.is_none()), (7, true));
    }
}
