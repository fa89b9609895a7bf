use super::super::detail::Detail;
use super::*;
use crate::task::anomaly::region::RegionSpec;
use lineside_picture::{Layout, Rect};

/// A part on a ground that is another one for each seed; the part is where the region is.
fn frame(region: &RegionOfInterest, seed: u32) -> Picture {
    let (mut mask, mut picture) = (Picture::default(), Picture::new(Layout::Grey, 160, 120));
    region.fill_mask(&mut mask);
    let mut state = seed;
    for (at, (pixel, mask)) in picture.data_mut().iter_mut().zip(mask.data()).enumerate() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *pixel = if *mask > 0 { 90 + (at % 160 * 7 % 61) as u8 } else { (state >> 24) as u8 };
    }
    picture
}

/// Marks a rectangle of a frame.
fn marked(Rect { x, y, width, height }: Rect) -> Picture {
    let mut mask = Picture::new(Layout::Grey, 160, 120);
    (y..y + height).for_each(|y| mask.row_mut(y)[x..x + width].fill(255));
    mask
}

#[test]
fn what_lies_outside_a_region_does_not_teach() {
    let shapes = ["20,10,60,90", "80,20 150,60 80,100"].map(|shape| shape.parse().unwrap()).to_vec();
    let region = RegionOfInterest::new(&RegionSpec { shapes, ignored: None }, (160, 120)).unwrap();
    let region = Arc::new(region);
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let backbone = Bundle::open(&models.join("backbone-lite0")).unwrap();
    let inside = marked(Rect { x: 30, y: 20, width: 20, height: 9 });
    // Its left part alone is in the region.
    let across = marked(Rect { x: 100, y: 40, width: 60, height: 70 });
    let defect = |trainer: &mut Trainer, key: &str, picture: &Picture, mask: &Picture, host: &Picture| {
        let [name, key, kind] = [key, key, "scratch"].map(String::from);
        let hosts = [("host".to_string(), host.clone())];
        trainer.add_defect(LabelledDefect { name, key, kind, picture }, Some(mask), &hosts)
    };
    let taught = |seed: u32| {
        let folder = tempfile::tempdir().unwrap();
        // As if thirty pictures were to come: fewer are joined by copies, in which the whole frame moves.
        let framing = Framing { region: Some(Arc::clone(&region)), aligner: None };
        let views = Detail::Normal.views((160, 120));
        let mut trainer = Trainer::new(&backbone, views, (30, 2), None, framing, folder.path(), 1).unwrap();
        for number in 0..2 {
            let frame = frame(&region, seed + number);
            trainer.add_normal(format!("{number}.png"), number.to_string(), &frame).unwrap();
        }
        let mut scratched = frame(&region, seed + 7);
        scratched.row_mut(24)[32..48].fill(250);
        let host = frame(&region, seed + 9);
        defect(&mut trainer, "a", &scratched, &inside, &host).unwrap();
        defect(&mut trainer, "b", &scratched, &across, &host).unwrap();
        assert_eq!((trainer.pictures()[0].quality.size, trainer.defects().len()), ((160, 120), 2));
        let outside = marked(Rect { x: 150, y: 0, width: 10, height: 20 });
        let refused = defect(&mut trainer, "c", &scratched, &outside, &host);
        assert!(matches!(refused, Err(TeachError::DefectOutside)));
        let small = Picture::new(Layout::Grey, 120, 160);
        assert!(matches!(trainer.add_normal("s".into(), "s".into(), &small), Err(TeachError::OtherSize(_))));
        drop(trainer);
        files(folder.path())
    };
    let (once, again) = (taught(1), taught(1000));
    assert!(once.len() >= 4, "{} files", once.len());
    assert!(once == again, "features and what is known of the pictures");
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let read = |path: &PathBuf| if path.is_dir() { files(path) } else { vec![std::fs::read(path).unwrap()] };
    entries.iter().flat_map(read).collect()
}
