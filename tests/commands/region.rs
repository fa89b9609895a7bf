//! A region of interest: what lies outside neither teaches nor scores nor heats, and what does not fit is refused.

use crate::common::{
    arg, config, copy_folder, lineside, records, refuse, root, succeed, text, with_region, write_mask,
};
use lineside::bundle::Bundle;
use lineside::task::TaskError;
use lineside::task::anomaly::{Inspector, RegionOfInterest, RegionSpec, Verdict};
use lineside_picture::{Layout, Picture, Rect, decode_file};
use std::path::{Path, PathBuf};

const NORMAL: &str = "models/inspect-demo/frames/normal";
const DEFECT: &str = "models/inspect-demo/frames/defect";
/// Of the demo's frames of 320 x 240: a rectangle, and a wedge beside it.
const SHAPES: [&str; 2] = ["60,40,120,160", "180,60 290,110 290,130 180,200"];

fn picture(path: &Path) -> Picture {
    let mut picture = Picture::default();
    decode_file(&std::fs::read(path).unwrap(), 1 << 20, &mut picture).unwrap();
    picture
}

fn write_png(path: &Path, picture: &Picture) {
    lineside_picture::write_png(std::fs::File::create(path).unwrap(), picture).unwrap();
}

/// A copy of a frame whose pixels outside of the shapes are noise.
fn outside_is_noise(frame: &Picture, shapes: &[&str], seed: u32) -> Picture {
    let spec = RegionSpec { shapes: shapes.iter().map(|shape| shape.parse().unwrap()).collect(), ignored: None };
    let region = RegionOfInterest::new(&spec, (frame.width(), frame.height())).unwrap();
    let (mut mask, mut noisy, mut state) = (Picture::default(), frame.clone(), seed);
    region.fill_mask(&mut mask);
    let channels = frame.channels();
    for (pixel, _) in noisy.data_mut().chunks_exact_mut(channels).zip(mask.data()).filter(|(_, mask)| **mask == 0) {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        pixel.fill((state >> 24) as u8);
    }
    noisy
}

/// The first `count` normal frames as PNG, outside of the shapes noise of `seed`.
fn frames(folder: &Path, count: usize, seed: u32) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join(NORMAL)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files[..count] {
        let noisy = outside_is_noise(&picture(file), &SHAPES, seed);
        write_png(&folder.join(file.with_extension("png").file_name().unwrap()), &noisy);
    }
    folder.to_path_buf()
}

#[test]
fn what_lies_outside_changes_no_bit_of_a_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Bundle::open(&with_region(folder.path(), &SHAPES)).unwrap();
    let mut inspector = Inspector::new(&bundle, None).unwrap();
    let mut judge = |frame: &Picture| {
        let mut verdict = Verdict::default();
        inspector.prepare(frame).unwrap();
        let change = inspector.change();
        inspector.judge((320, 240), &mut verdict).unwrap();
        (verdict, change)
    };
    let frame = picture(&root().join(DEFECT).join("part-09-stain.jpg"));
    let (first, change) = judge(&frame);
    assert!(change.is_infinite());
    for seed in 1..4 {
        let (other, change) = judge(&outside_is_noise(&frame, &SHAPES, seed));
        assert_eq!((other.fingerprint(), change), (first.fingerprint(), 0.0));
    }
    // Without a region it would.
    let plain = Bundle::open(&root().join("models/inspect-demo")).unwrap();
    let mut plain = Inspector::new(&plain, None).unwrap();
    let mut verdict = Verdict::default();
    let mut seen = Vec::new();
    for seed in 1..3 {
        plain.prepare(&outside_is_noise(&frame, &SHAPES, seed)).unwrap();
        plain.judge((320, 240), &mut verdict).unwrap();
        seen.push(verdict.fingerprint());
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn heat_peak_and_places_are_those_of_the_whole_frame() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Bundle::open(&with_region(folder.path(), &SHAPES)).unwrap();
    // Everything is a defect, so there are places.
    let mut inspector = Inspector::new(&bundle, Some(0.0)).unwrap();
    let region = std::sync::Arc::clone(inspector.region().unwrap());
    let area = Rect { x: 60, y: 40, width: 230, height: 160 };
    assert_eq!(region.area(), area);
    let (mut verdict, mut heat, mut mask) = (Verdict::default(), Picture::default(), Picture::default());
    inspector.prepare(&picture(&root().join(DEFECT).join("part-09-stain.jpg"))).unwrap();
    inspector.judge((320, 240), &mut verdict).unwrap();
    assert!(verdict.defect && !verdict.regions.is_empty());
    for Rect { x, y, width, height } in verdict.regions.iter().map(|region| region.area) {
        assert!(x >= area.x && y >= area.y && x + width <= area.right() && y + height <= area.bottom());
    }
    verdict.heat_over((320, 240), &mut heat).unwrap();
    region.fill_mask(&mut mask);
    assert!(heat.data().iter().zip(mask.data()).all(|(heat, mask)| *heat == 0 || *mask == 255));
    assert!(heat.data().iter().any(|heat| *heat > 0));
    // The grid's cells in the upper right corner have no pixel of the region.
    let cells = region.cells((verdict.heat.width(), verdict.heat.height()));
    assert!(cells.contains(&false));
    assert!(cells.iter().zip(verdict.heat.data()).all(|(inside, heat)| *inside || *heat == 0));
    let (x, y) = verdict.peak;
    assert!((area.x..area.right()).contains(&x) && (area.y..area.bottom()).contains(&y));
    // A picture for people has its outline, and differs from one without it there alone.
    let annotated = lineside::sink::annotated(&Picture::new(Layout::Rgb, 320, 240), &verdict).unwrap();
    assert!(annotated.row(100)[3 * 60..][..3] != [0; 3], "its left edge");
    let other = Picture::new(Layout::Rgb, 240, 320);
    assert!(matches!(inspector.prepare(&other), Err(TaskError::OtherSize(_))));
}

#[test]
fn a_region_is_taught_and_kept_in_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let normal = frames(&at("normal"), 12, 1);
    let mask = at("mask.png");
    write_mask(&mask, [100, 60, 120, 80]);
    let out = at("parts");
    let shapes = ["--region", SHAPES[0], "--region", SHAPES[1]];
    let json = succeed(
        &[&["teach", "--normal", arg(&normal), "--ignore", arg(&mask), "--out", arg(&out), "--json"], &shapes[..]]
            .concat(),
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["region"].as_str().unwrap().starts_with("230x160 at 60,40 of frames of 320x240, "), "{json}");
    let manifest = std::fs::read_to_string(out.join("bundle.toml")).unwrap();
    for expected in ["[anomaly.region]", "frame = [320, 240]", SHAPES[0], SHAPES[1], "\"ignored.png\" = \""] {
        assert!(manifest.contains(expected), "{expected}: {manifest}");
    }
    assert!(picture(&out.join("ignored.png")) == picture(&mask));

    // Other noise outside: the same scores, to the last bit.
    let scores = |seed: u32| {
        let normal = frames(&at(&format!("test-{seed}")), 8, seed);
        let json = succeed(&["eval", arg(&out), "--normal", arg(&normal), "--sheet", arg(&at("sheet.png")), "--json"]);
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["scores"].clone()
    };
    assert_eq!(scores(2), scores(3));

    // A frame of another size is named, and the figures are of the others.
    let normal = at("test-2");
    write_png(&normal.join("small.png"), &Picture::new(Layout::Rgb, 240, 320));
    let output = lineside().args(["eval", arg(&out), "--normal", arg(&normal)]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("small.png: frame 240x320, but the region was drawn in frames of 320x240"), "{said}");
    assert!(text(&output.stdout).contains("8 normal, 0 with defects"));
}

#[test]
fn a_region_that_does_not_fit_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (mask, letter, black, all) = (at("mask.png"), at("letter.png"), at("black.png"), at("all.png"));
    write_png(&mask, &Picture::from_data(Layout::Grey, 240, 320, vec![255; 240 * 320]).unwrap());
    write_png(&black, &Picture::new(Layout::Grey, 320, 240));
    write_mask(&all, [0, 0, 320, 240]);
    std::fs::write(&letter, "dear").unwrap();
    let out = at("parts");
    let teach = |more: &[&str], code: i32, parts: &[&str]| {
        refuse(&[&["teach", "--normal", NORMAL, "--out", arg(&out)], more].concat(), code, parts);
        assert!(!out.exists() && !at("parts.teaching").exists(), "{more:?}");
    };
    teach(
        &["--region", "200,0,160,100"],
        2,
        &["part-01.jpg", "200,0,160,100 reaches beyond the frame, which is 320x240"],
    );
    teach(&["--region", "0,0,31,100"], 2, &["31x100: at least 32x32 pixels are needed"]);
    teach(&["--ignore", arg(&all)], 2, &["nothing is left to inspect"]);
    teach(&["--ignore", arg(&mask)], 2, &["the mask of what is ignored is 240x320, the frame 320x240"]);
    teach(&["--ignore", arg(&letter)], 1, &["letter.png: not a PNG"]);
    teach(&["--ignore", arg(&black)], 1, &["black.png: nothing in it is white"]);
    teach(&["--ignore", arg(&at("none.png"))], 1, &["none.png: No such file"]);
    for (shape, expected) in [
        ("1,2,3", "a rectangle is x,y,width,height and a polygon x,y x,y x,y"),
        ("10,10,0,50", "is empty"),
        ("10,10 20,20", "at least 3 are needed"),
        ("10,10 60,60 90,90", "is empty"),
        ("-5,0,50,50", "\"-5\" is no whole number"),
    ] {
        let output =
            lineside().args(["teach", "--normal", NORMAL, "--out", arg(&out), "--region", shape]).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(expected), "{shape}: {said}");
    }
}

#[test]
fn a_line_has_the_region_of_its_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = with_region(folder.path(), &SHAPES);
    let check = |anomaly: &str| {
        let (bundle, frames, out) = (bundle.display(), root().join(NORMAL), folder.path().join("out"));
        let (frames, out) = (frames.display(), out.display());
        config(
            folder.path(),
            &format!(
                "[source.folder]\npath = \"{frames}\"\n[output]\nfolder = \"{out}\"\n[anomaly]\nbundle = \"{bundle}\"\n{anomaly}\n"
            ),
        )
    };
    let said = succeed(&["check", arg(&check(""))]);
    assert!(said.contains("region   230x160 at 60,40 of frames of 320x240, "), "{said}");
    assert!(said.contains("inspect-demo region"), "on the bill: {said}");
    // However it is drawn.
    succeed(&["check", arg(&check("region = [\"60,40,120,160\", \"180,60 180,200 290,130 290,110\"]"))]);
    let other = "line.toml:7: anomaly.region: inspect-demo was taught with another region, 230x160 at 60,40";
    for command in ["check", "run"] {
        refuse(
            &[command, arg(&check("region = \"60,40,120,160\""))],
            78,
            &[other, "teach it again", "or remove the key"],
        );
        refuse(
            &[command, arg(&check("region = \"60,40,620,160\""))],
            78,
            &["line.toml:7: ", "60,40,620,160 reaches beyond"],
        );
        refuse(&[command, arg(&check("region = \"60,40\""))], 78, &["line.toml:7: region: \"60,40\": 2 numbers"]);
        refuse(
            &[command, arg(&check("ignore = \"none.png\""))],
            78,
            &["line.toml:7: anomaly.ignore: none.png: No such"],
        );
    }
    // One that was taught without.
    let text =
        "[source.pattern]\nwidth = 320\nheight = 240\n[anomaly]\nbundle = \"inspect-demo\"\nregion = \"0,0,99,99\"\n";
    let line = config(folder.path(), text);
    refuse(&["check", arg(&line)], 78, &["line.toml:6: anomaly.region: inspect-demo was taught with the whole frame"]);
    // Frames of another size.
    let text = format!("[source.pattern]\nwidth = 640\nheight = 480\n[anomaly]\nbundle = \"{}\"\n", bundle.display());
    let line = config(folder.path(), &text);
    for command in ["check", "run"] {
        refuse(&[command, arg(&line)], 78, &["frame 640x480, but the region was drawn in frames of 320x240"]);
    }
}

#[test]
fn frames_of_another_size_fail_while_a_line_runs_and_the_others_are_inspected() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = with_region(folder.path(), &SHAPES);
    let pictures = frames(&folder.path().join("pictures"), 3, 1);
    write_png(&pictures.join("b-small.png"), &Picture::new(Layout::Rgb, 240, 320));
    let out = folder.path().join("out");
    let text = format!(
        "[source.folder]\npath = \"{}\"\n[output]\nfolder = \"{}\"\n[anomaly]\nbundle = \"{}\"\nthreshold = 0.0\n",
        pictures.display(),
        out.display(),
        bundle.display()
    );
    let said = succeed(&["run", arg(&config(folder.path(), &text))]);
    assert!(said.contains("4 frames: 3 inspected") && said.contains("1 failed"), "{said}");
    let events: Vec<_> = records(&out).into_iter().filter(|record| record["record"] == "event").collect();
    assert_eq!(events.len(), 3);
    for event in &events {
        let [x, y, width, height] = [0, 1, 2, 3].map(|at| event["regions"][0][at].as_u64().unwrap());
        assert!(x >= 60 && y >= 40 && x + width <= 290 && y + height <= 200, "{event}");
    }
    let replayed = succeed(&["replay", arg(&out), "--bundle", arg(&bundle)]);
    assert!(replayed.contains("3"), "{replayed}");
}

#[test]
fn a_bundle_whose_region_is_damaged_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = with_region(folder.path(), &SHAPES);
    let manifest = std::fs::read_to_string(bundle.join("bundle.toml")).unwrap();
    for (from, to, expected) in [
        (SHAPES[0], "60,40", "[anomaly.region] 2 numbers: a rectangle is"),
        (SHAPES[0], "60,40,900,160", "[anomaly.region] 60,40,900,160 reaches beyond the frame"),
        ("[320, 240]", "[320, 24]", "anomaly.region.frame must lie in"),
    ] {
        let damaged = folder.path().join("damaged");
        copy_folder(&bundle, &damaged);
        std::fs::write(damaged.join("bundle.toml"), manifest.replace(from, to)).unwrap();
        refuse(&["eval", arg(&damaged), "--normal", NORMAL], 78, &["bundle.toml", expected]);
    }
}
