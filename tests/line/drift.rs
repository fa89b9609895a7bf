//! DriftMonitor on the shipped line: its own frames, under another lamp, behind a dirty lens, and other parts.

use crate::common::root;
use lineside::bundle::Bundle;
use lineside::field::{DriftMonitor, DriftStatistic, FrameStats, Interval, Review};
use lineside::task::anomaly::{Baseline, Inspector, Verdict};
use lineside_picture::{Picture, decode_file};

/// The frames of a folder of the shipped bundle.
fn frames(kind: &str) -> Vec<Picture> {
    let entries = std::fs::read_dir(root().join("models/inspect-demo/frames").join(kind)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let decoded = paths.iter().map(|path| {
        let mut picture = Picture::default();
        decode_file(&std::fs::read(path).unwrap(), 1 << 20, &mut picture).unwrap();
        picture
    });
    decoded.collect()
}

/// Under a lamp that gives `percent` of its light.
fn lit(frame: &Picture, percent: u32) -> Picture {
    let mut lit = frame.clone();
    lit.data_mut().iter_mut().for_each(|byte| *byte = (u32::from(*byte) * percent / 100).min(255) as u8);
    lit
}

/// Behind grease: each pixel is the mean of the 25 around it.
fn blurred(frame: &Picture) -> Picture {
    let mut blurred = frame.clone();
    let (width, height) = (frame.width(), frame.height());
    for y in 2..height - 2 {
        for x in 2..width - 2 {
            for channel in 0..3 {
                let around = (0..25).map(|i| u32::from(frame.row(y + i / 5 - 2)[3 * (x + i % 5 - 2) + channel]));
                blurred.row_mut(y)[3 * x + channel] = (around.sum::<u32>() / 25) as u8;
            }
        }
    }
    blurred
}

/// The reviews that three hours of such frames bring.
fn watch(bundle: &Bundle, frames: &[Picture]) -> Vec<Review> {
    let mut inspector = Inspector::new(bundle, None).unwrap();
    let (mut interval, mut verdict) = (Interval::new(), Verdict::default());
    while interval.frames() < 120 {
        for frame in frames {
            inspector.prepare(frame).unwrap();
            inspector.judge((frame.width(), frame.height()), &mut verdict).unwrap();
            let look = Some((inspector.image_stats().brightness, inspector.image_stats().sharpness));
            interval.add_frame(&FrameStats { score: verdict.score, look, is_distinct: true });
        }
    }
    interval.seconds = 120.0;
    let mut drift = DriftMonitor::new(Baseline::of(bundle).unwrap().as_ref());
    (0..90).flat_map(|_| drift.take(&interval)).collect()
}

#[test]
fn the_shipped_line_is_as_it_was_taught_and_what_happens_to_it_is_told_by_name() {
    let bundle = Bundle::open(&root().join("models/inspect-demo")).unwrap();
    let (normal, defect) = (frames("normal"), frames("defect"));
    assert_eq!(watch(&bundle, &normal), []);
    let told = |frames: Vec<Picture>| match watch(&bundle, &frames)[..] {
        [Review { needed: true, statistic, cause, .. }] => (statistic, cause),
        ref other => panic!("{other:?}"),
    };
    assert_eq!(told(defect).1, "new parts?");
    for percent in [0, 40, 70, 130] {
        let lamp = told(normal.iter().map(|frame| lit(frame, percent)).collect());
        assert_eq!(lamp, (DriftStatistic::Brightness, "lamp, or lens covered?"), "{percent} %");
    }
    let lens = told(normal.iter().map(blurred).collect());
    assert_eq!(lens, (DriftStatistic::Sharpness, "dirty lens?"));
}
