//! A frame that is brought into place takes no allocation.

use crate::common::{copy_folder, root};
use lineside::bundle::Bundle;
use lineside::memory::{seal_this_thread, sealed_allocations};
use lineside::task::anomaly::{Inspector, Verdict};
use lineside_picture::{Border, Layout, Movement, Picture, decode_file, luma_into, write_png};

/// The mark: 160 x 160 at 80,40 of the demo's frames.
const SECTION: &str = "[anomaly.alignment]\nframe = [320, 240]\nmark = [80, 40, 160, 160]\nwithin = \"shift=8%,turn=5deg\"\n\
                       correlation = 0.5\ntemplate = \"alignment.png\"\nweights = \"alignment-weights.png\"\n\n[anomaly.heat]";

#[test]
fn a_verdict_on_a_part_elsewhere_allocates_nothing() {
    let _alone = crate::alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aligning");
    copy_folder(&root().join("models/inspect-demo"), &path);
    let mut frame = Picture::default();
    let file = root().join("models/inspect-demo/frames/defect/part-09-stain.jpg");
    decode_file(&std::fs::read(file).unwrap(), 1 << 20, &mut frame).unwrap();
    let (mut grey, mut mark, mut weights) =
        (Picture::default(), Picture::default(), Picture::new(Layout::Grey, 160, 160));
    luma_into(&frame, &mut grey);
    grey.crop_into(lineside_picture::Rect { x: 80, y: 40, width: 160, height: 160 }, &mut mark);
    weights.data_mut().fill(255);
    let mut hashes = String::new();
    for (name, picture) in [("alignment.png", &mark), ("alignment-weights.png", &weights)] {
        let mut png = Vec::new();
        write_png(&mut png, picture).unwrap();
        std::fs::write(path.join(name), &png).unwrap();
        hashes += &format!("\n\"{name}\" = \"{}\"", lineside::bundle::sha256(&png));
    }
    let toml = path.join("bundle.toml");
    let manifest = std::fs::read_to_string(&toml).unwrap().replace("[anomaly.heat]", SECTION);
    std::fs::write(&toml, manifest.replace("\n[files]", &format!("\n[files]{hashes}"))).unwrap();
    let mut inspector = Inspector::new(&Bundle::open(&path).unwrap(), Some(0.0)).unwrap();
    let mut verdict = Verdict::default();
    verdict.regions.reserve(64);
    let mut moved = Picture::default();
    Movement { shift: (9.0, -6.0), turn: 2.0, scale: 1.0 }.apply(&frame, Border::Replicate, &mut moved);
    // As a line does before its first frame.
    inspector.prepare(&Picture::new(Layout::Rgb, 320, 240)).unwrap();
    inspector.judge((320, 240), &mut verdict).unwrap();
    assert!(verdict.is_unfound());
    let allocations = std::thread::spawn(move || {
        let before = sealed_allocations();
        seal_this_thread();
        for _ in 0..3 {
            inspector.prepare(&moved).unwrap();
            assert!(!inspector.is_unfound());
            inspector.judge((320, 240), &mut verdict).unwrap();
            inspector.repeat_verdict((320, 240), &mut verdict);
        }
        sealed_allocations() - before
    });
    assert_eq!(allocations.join().unwrap(), 0);
}
