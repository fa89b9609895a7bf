//! A frame of which a region is inspected takes no allocation.

use crate::common::{root, with_region};
use lineside::bundle::Bundle;
use lineside::memory::{seal_this_thread, sealed_allocations};
use lineside::task::anomaly::{Inspector, Verdict};
use lineside_picture::{Layout, Picture, decode_file};

#[test]
fn a_verdict_on_a_region_allocates_nothing() {
    let _alone = crate::alone();
    let folder = tempfile::tempdir().unwrap();
    let bundle =
        Bundle::open(&with_region(folder.path(), &["60,40,120,160", "180,60 290,110 290,130 180,200"])).unwrap();
    let mut inspector = Inspector::new(&bundle, Some(0.0)).unwrap();
    let mut frame = Picture::default();
    let file = root().join("models/inspect-demo/frames/defect/part-09-stain.jpg");
    decode_file(&std::fs::read(file).unwrap(), 1 << 20, &mut frame).unwrap();
    let mut verdict = Verdict::default();
    verdict.regions.reserve(64);
    // As a line does before its first frame.
    inspector.prepare(&Picture::new(Layout::Rgb, 320, 240)).unwrap();
    inspector.judge((320, 240), &mut verdict).unwrap();
    let allocations = std::thread::spawn(move || {
        let before = sealed_allocations();
        seal_this_thread();
        for _ in 0..3 {
            inspector.prepare(&frame).unwrap();
            inspector.judge((320, 240), &mut verdict).unwrap();
            inspector.repeat_verdict((320, 240), &mut verdict);
        }
        sealed_allocations() - before
    });
    assert_eq!(allocations.join().unwrap(), 0);
}
