//! The tasks that a configuration asks for: which bundles, in which order, on which frames.

use super::products;
use crate::bundle::{self, Bundle, BundleError, Home};
use crate::config::{Config, ConfigError, TaskConfig};
use crate::task::{Condition, NamedTask, Tasks};

/// A task as a configuration asks for it: `[anomaly]`, one of `[[task]]`, or the first of `[[product]]`.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) bundle: &'a str,
    pub(super) threshold: Option<f64>,
    pub(super) condition: Option<Condition>,
}

/// The tasks that a configuration asks for, in their order.
pub(super) fn wanted<'a>(config: &'a Config) -> Vec<Wanted<'a>> {
    if let Some((_, product)) = products::first(config) {
        let (bundle, threshold) = (product.bundle.get_ref(), product.wanted_threshold());
        return vec![Wanted { name: "anomaly", bundle, threshold, condition: None }];
    }
    if config.task.is_empty() {
        let (bundle, threshold) = (config.anomaly.bundle.get_ref(), config.anomaly.wanted_threshold());
        return vec![Wanted { name: "anomaly", bundle, threshold, condition: None }];
    }
    let place = |name: &str| config.task.iter().position(|task| task.name.get_ref() == name);
    let condition = |task: &TaskConfig| {
        let after = place(task.after.as_ref()?.get_ref())?;
        let when = task.when.as_ref().map_or(Vec::new(), |when| when.get_ref().clone());
        Some(Condition { after, when })
    };
    let wanted = |task: &'a TaskConfig| {
        let TaskConfig { name, bundle, .. } = task;
        let threshold = task.wanted_threshold();
        Wanted { name: name.get_ref(), bundle: bundle.get_ref(), threshold, condition: condition(task) }
    };
    config.task.iter().map(wanted).collect()
}

/// An installed bundle that judges frames on a line.
pub(super) struct HomeInUse {
    /// Its home.
    pub(super) home: Home,
    /// The thresholds that the configuration states for it, one for each task or product; `None`: its own.
    pub(super) thresholds: Vec<Option<f64>>,
}

/// The homes of the bundles by which a line judges, each once, in the order of the configuration: those of its tasks, or of its products.
pub(super) fn homes_in_use(config: &Config) -> Vec<HomeInUse> {
    let products = config.product.iter().map(|product| (product.bundle.get_ref().as_str(), product.wanted_threshold()));
    let tasks = wanted(config);
    let tasks = tasks.iter().map(|task| (task.bundle, task.threshold)).filter(|_| config.product.is_empty());
    let mut found: Vec<HomeInUse> = Vec::new();
    for (name, threshold) in products.chain(tasks) {
        let Some(home) = bundle::locate(name).ok().and_then(|place| Home::open(&place).ok().flatten()) else {
            continue;
        };
        match found.iter_mut().find(|known| known.home.folder() == home.folder()) {
            Some(known) => known.thresholds.push(threshold),
            None => found.push(HomeInUse { home, thresholds: vec![threshold] }),
        }
    }
    found
}

/// The only task of a line whose verdicts are all of one bundle: its threshold may be set on the page.
pub(super) fn only_task(config: &Config) -> Option<Wanted<'_>> {
    let mut tasks = wanted(config);
    (tasks.len() == 1 && config.product.len() < 2).then(|| tasks.pop()).flatten()
}

/// Refuses a condition that can never hold: of a word that the earlier task does not know.
pub(super) fn check_condition(
    config: &Config,
    at: usize,
    condition: Option<&Condition>,
    earlier: &[NamedTask],
) -> Result<(), ConfigError> {
    let before = condition.and_then(|condition| Some((condition, earlier.get(condition.after)?)));
    let Some((condition, before)) = before else { return Ok(()) };
    let Some(word) = condition.impossible(&before.judge) else { return Ok(()) };
    let names = before.judge.names();
    let known = if names.is_empty() { String::new() } else { format!(", {}", names.join(", ")) };
    let problem = format!("task.when: the task \"{}\" never says \"{word}\", only ok, defect{known}", before.name);
    match config.task.get(at).and_then(|task| task.when.as_ref()) {
        Some(when) => Err(config.error_at(when, problem)),
        None => Ok(()),
    }
}

/// Refuses tasks of which two were taught with frames of different sizes, each of which is the only one it takes.
pub(super) fn require_one_size(tasks: &Tasks, bundles: &[Bundle]) -> Result<(), BundleError> {
    let Some((width, height)) = tasks.frame_size() else { return Ok(()) };
    let other = tasks.iter().zip(bundles).find_map(|(task, bundle)| {
        let (w, h) = task.judge.frame_size()?;
        ((w, h) != (width, height)).then(|| {
            let name = &task.name;
            bundle.blame(
                "bundle.toml",
                format!("task \"{name}\" takes frames of {w}x{h} only, an earlier one {width}x{height}"),
            )
        })
    });
    other.map_or(Ok(()), Err)
}

/// Each task with its bundle and when it runs.
pub(super) fn describe(tasks: &Tasks, bundles: &[String]) -> Vec<String> {
    let names: Vec<&str> = tasks.iter().map(|task| &*task.name).collect();
    let describe = |(task, bundle): (&NamedTask, &String)| {
        let when = task.condition.as_ref().map_or("on every frame".to_string(), |condition| {
            let after = names.get(condition.after).copied().unwrap_or_default();
            let what = if condition.when.is_empty() {
                String::new()
            } else {
                format!(" says {}", condition.when.join(" or "))
            };
            format!("after {after}{what}")
        });
        format!("{} {when}: {bundle}", task.name)
    };
    tasks.iter().zip(bundles).map(describe).collect()
}
