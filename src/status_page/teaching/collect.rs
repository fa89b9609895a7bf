//! Takes the next frames of the line, as they were judged, into a folder of pictures. Inspection hands a frame over by swapping buffers, and
//! only where one was asked for.

use super::PIXEL;
use super::order::TeachingOrder;
use crate::status_page::live::LiveFeed;
use crate::storage;
use lineside_picture::{Picture, write_png};
use std::io::BufWriter;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often it is looked whether a frame is there.
const POLL: Duration = Duration::from_millis(20);

/// Takes the frames that an order wants into a folder; `taken` is told how many there are, and how many of them are defects. `keep_free` bytes
/// of the disk stay free.
///
/// # Errors
/// What `interrupted` says, or why a frame cannot be written.
pub fn collect<E: From<String>>(
    live: &LiveFeed,
    order: &TeachingOrder,
    folder: &Path,
    keep_free: u64,
    mut interrupted: impl FnMut() -> Option<E>,
    mut taken: impl FnMut(u64, u64),
) -> Result<(), E> {
    let blame = |problem: &dyn std::fmt::Display| E::from(format!("{}: {problem}", folder.display()));
    storage::create_folder(folder).map_err(|error| blame(&error))?;
    let mut sample = live.new_sample();
    // One that an earlier job asked for.
    live.take_sample(&mut sample);
    let (mut count, mut defects, mut due) = (0, 0, Instant::now());
    while count < order.count {
        if let Some(end) = interrupted() {
            return Err(end);
        }
        if Instant::now() >= due {
            live.request_sample();
            if live.take_sample(&mut sample) {
                due = Instant::now() + Duration::from_secs_f64(order.every);
                count += 1;
                write(&sample.picture, &folder.join(format!("good-{count:04}.png")), keep_free)
                    .map_err(|problem| blame(&problem))?;
                defects += u64::from(sample.defect);
                taken(count, defects);
                continue;
            }
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Writes a picture that a power cut may take.
fn write(picture: &Picture, path: &Path, keep_free: u64) -> Result<(), String> {
    let bytes = PIXEL * (picture.width() * picture.height()) as u64;
    let free = storage::free_bytes(storage::folder_of(path)).map_err(|error| error.to_string())?;
    if free < keep_free.saturating_add(bytes) {
        return Err("the disk is full: output.keep_free stays free".into());
    }
    let file = storage::create_new(path).map_err(|error| error.to_string())?;
    let mut out = BufWriter::new(file);
    write_png(&mut out, picture).map_err(|error| error.to_string())?;
    out.into_inner().map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::VerdictObserver;
    use crate::status_page::line_controls::NewRole;
    use crate::status_page::teaching::order::{FramesFrom, TeachingKind};
    use crate::task::anomaly::Verdict;
    use lineside_picture::Layout;

    fn order(count: u64) -> TeachingOrder {
        let (what, frames, role) = (TeachingKind::Teach, FramesFrom::Camera, Some(NewRole::Shadow));
        TeachingOrder { what, frames, count, every: 0.0, role, of: String::new() }
    }

    /// Frames of a line as they come, each in another grey; every third is a defect.
    fn show(live: &LiveFeed, number: u8) {
        let mut frame = Picture::new(Layout::Rgb, 8, 6);
        frame.data_mut().fill(number);
        let verdict = Verdict { defect: number.is_multiple_of(3), ..Verdict::default() };
        live.observe(&mut frame, &verdict, Duration::ZERO);
    }

    #[test]
    fn frames_are_written_without_loss_as_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let (live, frames) = (LiveFeed::new(Some((8, 6))).with_samples(), folder.path().join("frames"));
        let (mut number, mut told) = (0, Vec::new());
        let next = || {
            number += 1;
            show(&live, number);
            None::<String>
        };
        collect(&live, &order(6), &frames, 0, next, |count, defects| told.push((count, defects))).unwrap();
        assert_eq!((told.len(), told.last().map(|told| told.0)), (6, Some(6)));
        let mut greys = Vec::new();
        for count in 1..=6 {
            let mut picture = Picture::default();
            let file = std::fs::read(frames.join(format!("good-{count:04}.png"))).unwrap();
            lineside_picture::decode_file(&file, 1 << 20, &mut picture).unwrap();
            assert!(picture.data().iter().all(|value| *value == picture.data()[0]));
            greys.push(picture.data()[0]);
        }
        assert!(greys.is_sorted_by(|a, b| a < b), "{greys:?}");
        let defects = greys.iter().filter(|grey| grey.is_multiple_of(3)).count() as u64;
        assert_eq!(told.last(), Some(&(6, defects)));
    }

    #[test]
    fn an_interruption_and_a_full_disk_end_it() {
        let folder = tempfile::tempdir().unwrap();
        let live = LiveFeed::new(Some((8, 6))).with_samples();
        let mut asked = 0;
        let ended = collect(
            &live,
            &order(6),
            &folder.path().join("a"),
            0,
            || {
                asked += 1;
                (asked == 3).then(|| String::from("cancelled"))
            },
            |_, _| (),
        );
        assert_eq!(ended.unwrap_err(), "cancelled");
        let mut number = 0;
        let next = || {
            number += 1;
            show(&live, number);
            None::<String>
        };
        let full = collect(&live, &order(6), &folder.path().join("b"), u64::MAX, next, |_, _| ()).unwrap_err();
        assert!(full.ends_with("the disk is full: output.keep_free stays free"), "{full}");
    }
}
