//! The tasks of a line once more, for pictures that are posted to the status page.

use super::bill;
use super::tasks::wanted;
use super::trial_picture::trial_picture;
use super::verdict_records;
use crate::bundle::Bundle;
use crate::config::{Config, Source};
use crate::memory::Bill;
use crate::source::FrameSource;
use crate::status_page::PictureJudge;
use crate::task::{NamedTask, Tasks};
use lineside_engine::Workspace;
use lineside_picture::DecodeOptions;
use std::sync::Arc;

/// Frames of unknown size are taken to have this one.
const UNKNOWN_SIZE: (usize, usize) = (64, 48);

/// Who judges posted pictures, where the configuration asks for that, on the bill. The packed weights are the line's; everything that a
/// run writes to is of its own, so that inspection never waits for it.
pub(super) fn load(
    config: &Config,
    source: &dyn FrameSource,
    tasks: &Tasks,
    bundles: &[Bundle],
    bill: &mut Bill,
) -> anyhow::Result<Option<PictureJudge>> {
    if !config.status_page.as_ref().is_some_and(|page| page.judge) {
        return Ok(None);
    }
    let workspace = Workspace::new(1)?;
    let mut twins = Vec::with_capacity(tasks.count());
    for ((task, bundle), wanted) in tasks.iter().zip(bundles).zip(wanted(config)) {
        let judge = task.judge.beside(bundle, wanted.threshold, &workspace)?;
        twins.push(NamedTask { name: Arc::clone(&task.name), judge, condition: task.condition.clone() });
    }
    let mut twins = twins.into_iter();
    let Some(first) = twins.next() else { return Ok(None) };
    let mut tasks = Tasks::new(first, twins.collect());
    // Now, and not with the first picture.
    let size = source.frame_size().or(tasks.frame_size()).unwrap_or(UNKNOWN_SIZE);
    tasks.judge_by_all(&trial_picture(size))?;
    let max_pixels = source.max_pixels();
    bill::add_on_request(bill, &tasks, &workspace, max_pixels as u64);
    let bits = match &config.source {
        Source::Folder(folder) => folder.bits.as_ref().map(|bits| *bits.get_ref()),
        _ => None,
    };
    Ok(Some(PictureJudge { tasks, max_pixels, options: DecodeOptions { bits }, record: verdict_records::on_request }))
}
