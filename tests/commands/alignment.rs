//! `lineside teach --align`: the part is brought into place before it is inspected, and one that is nowhere is told.

use crate::common::{arg, copy_folder, lineside, refuse, succeed, text};
use lineside::bundle::Bundle;
use lineside::task::TaskError;
use lineside::task::anomaly::{Inspector, Placement, Verdict};
use lineside_picture::{Border, Layout, Movement, Picture, Rect, write_png};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const NORMAL: &str = "models/inspect-demo/frames/normal";
/// Of frames of 320 x 240: in the plate.
const MARK: &str = "90,60,140,110";

fn save(path: &Path, picture: &Picture) {
    write_png(std::fs::File::create(path).unwrap(), picture).unwrap();
}

/// A plate with holes and a connector on a belt; each has a grain and a shade of its own.
fn plate(seed: u32, is_defect: bool) -> Picture {
    let mut picture = Picture::new(Layout::Rgb, 320, 240);
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(99);
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i32
    };
    let shade: Vec<i32> = (0..6).map(|_| random() / 16 - 8).collect();
    for y in 0..240i32 {
        for (x, pixel) in picture.row_mut(y as usize).chunks_exact_mut(3).enumerate() {
            let x = x as i32;
            let is_in = |x0: i32, y0: i32, x1: i32, y1: i32| (x0..x1).contains(&x) && (y0..y1).contains(&y);
            let near = |cx: i32, cy: i32, radius: i32| (x - cx) * (x - cx) + (y - cy) * (y - cy) < radius * radius;
            let mut level = 70 + random() / 8;
            if is_in(80, 50, 240, 180) {
                level = 150 + shade[(x / 60 % 3 + y / 90 * 3) as usize % 6] + random() / 32;
                if near(100, 70, 9) || near(215, 75, 7) || near(105, 160, 6) {
                    level = 30;
                }
                if is_in(150, 100, 205, 140) {
                    level = if x % 8 < 3 { 220 } else { 90 };
                }
                if is_defect && near(130, 125, 11) {
                    level = 15;
                }
            }
            pixel.copy_from_slice(&[level, level - 5, level - 12].map(|level| level.clamp(0, 255) as u8));
        }
    }
    picture
}

fn moved(picture: &Picture, shift: (f64, f64), turn: f64) -> Picture {
    let mut out = Picture::default();
    Movement { shift, turn, scale: 1.0 }.apply(picture, Border::Replicate, &mut out);
    out
}

/// A frame of one colour.
fn blank() -> Picture {
    let mut picture = Picture::new(Layout::Rgb, 320, 240);
    picture.data_mut().fill(90);
    picture
}

/// Taught with plates that lie here and there, and with a frame without any.
struct Taught {
    _folder: tempfile::TempDir,
    bundle: PathBuf,
    said: String,
    report: Value,
}

fn taught() -> &'static Taught {
    static TAUGHT: OnceLock<Taught> = OnceLock::new();
    TAUGHT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (normal, bundle) = (folder.path().join("normal"), folder.path().join("parts"));
        std::fs::create_dir_all(&normal).unwrap();
        for at in 0..12 {
            let shift = if at == 0 { (0.0, 0.0) } else { ((at * 5 % 11) as f64 - 5.0, (at * 3 % 7) as f64 - 3.0) };
            save(&normal.join(format!("part-{at:02}.png")), &moved(&plate(at, false), shift, 0.0));
        }
        save(&normal.join("part-99-blank.png"), &blank());
        let arguments = ["teach", "--normal", arg(&normal), "--out", arg(&bundle), "--align", MARK, "--json"];
        let output = lineside().args(arguments).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        let report = serde_json::from_slice(&output.stdout).unwrap();
        Taught { bundle, said, report, _folder: folder }
    })
}

#[test]
fn a_mark_is_taught_and_kept_in_the_bundle() {
    let Taught { bundle, said, report, .. } = taught();
    assert!(said.contains("part-99-blank.png: the part was not found in it; left out"), "{said}");
    let alignment = &report["alignment"];
    assert_eq!(
        (&alignment["mark"], &alignment["found"], &alignment["pictures"]),
        (&MARK.into(), &12.into(), &13.into())
    );
    assert_eq!(report["pictures"], 12);
    // They lie up to 5 pixels to the side, 3 up or down.
    let shift = |at: usize| alignment["shift"][at].as_f64().unwrap();
    assert!((3.0..8.0).contains(&shift(0)) && (1.5..6.0).contains(&shift(1)), "{report}");
    let manifest = std::fs::read_to_string(bundle.join("bundle.toml")).unwrap();
    for expected in
        ["[anomaly.alignment]", "mark = [\n    90,", "within = \"shift=8%,turn=5deg\"", "\"alignment.png\" = \""]
    {
        let plain: String = manifest.split_whitespace().collect();
        let wanted: String = expected.split_whitespace().collect();
        assert!(plain.contains(&wanted), "{expected}: {manifest}");
    }
}

#[test]
fn a_defect_is_found_on_a_part_that_lies_elsewhere() {
    let bundle = Bundle::open(&taught().bundle).unwrap();
    let mut inspector = Inspector::new(&bundle, None).unwrap();
    let mut judge = |picture: &Picture| {
        let mut verdict = Verdict::default();
        inspector.prepare(picture).unwrap();
        inspector.judge((320, 240), &mut verdict).unwrap();
        verdict
    };
    let defect = plate(77, true);
    for (shift, turn) in [((0.0, 0.0), 0.0), ((12.0, -9.0), 0.0), ((-15.0, 7.0), 2.0)] {
        let there = judge(&moved(&defect, shift, turn));
        assert!(matches!(there.placement, Some(Placement::At(_))), "{shift:?}");
        // The spot of the defect, where it is in this frame.
        let spot = if turn == 0.0 {
            (130.0 + shift.0, 125.0 + shift.1)
        } else {
            (130.0 + shift.0 - 1.0, 125.0 + shift.1 + 1.0)
        };
        let off = |at: usize, expected: f64| (at as f64 - expected).abs();
        assert!(
            there.defect && off(there.peak.0, spot.0) < 20.0 && off(there.peak.1, spot.1) < 20.0,
            "{:?}",
            there.peak
        );
        let is_boxed = |area: Rect| {
            (area.x..area.right()).contains(&(spot.0 as usize)) && (area.y..area.bottom()).contains(&(spot.1 as usize))
        };
        assert!(there.regions.iter().any(|region| is_boxed(region.area)), "{:?} {spot:?}", there.regions);
    }
    // All of a frame moves, and with it what was similar to the frame before.
    inspector.prepare(&defect).unwrap();
    inspector.judge((320, 240), &mut Verdict::default()).unwrap();
    inspector.prepare(&defect).unwrap();
    assert_eq!(inspector.change(), 0.0);
    inspector.prepare(&moved(&defect, (6.0, 0.0), 0.0)).unwrap();
    assert!(inspector.change().is_infinite());
}

#[test]
fn a_part_that_is_nowhere_is_no_normal_frame() {
    let bundle = Bundle::open(&taught().bundle).unwrap();
    // A threshold that no frame reaches by its score.
    let mut inspector = Inspector::new(&bundle, Some(0.999_999)).unwrap();
    let mut verdict = Verdict::default();
    inspector.prepare(&blank()).unwrap();
    inspector.judge((320, 240), &mut verdict).unwrap();
    assert!(verdict.is_unfound() && verdict.defect);
    assert!(verdict.score >= verdict.threshold && verdict.severity >= 1.0);
    let annotated = lineside::sink::annotated(&blank(), &verdict).unwrap();
    assert!(annotated.row(230).contains(&255), "says so at the bottom");
    let other = inspector.prepare(&Picture::new(Layout::Rgb, 240, 320));
    assert!(
        matches!(&other, Err(TaskError::OtherSize(problem)) if problem.contains("parts are found in frames of 320x240"))
    );

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("normal")).unwrap();
    save(&at("normal").join("a.png"), &plate(55, false));
    save(&at("normal").join("b-blank.png"), &blank());
    let evaluated = succeed(&["eval", arg(&taught().bundle), "--normal", arg(&at("normal"))]);
    assert!(evaluated.contains("the part was not found in 1; they count as found defects"), "{evaluated}");
    assert!(evaluated.lines().any(|line| line.starts_with("not found") && line.contains("b-blank.png")), "{evaluated}");
    let json = succeed(&["eval", arg(&taught().bundle), "--normal", arg(&at("normal")), "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["unfound"].as_array().unwrap().len(), 1);

    // On a line: a defect with a cause of its own, in print, in its record; and replay agrees to the last bit.
    let config = at("line.toml");
    let lines = format!(
        "[source.folder]\npath = {:?}\n[anomaly]\nbundle = {:?}\n[super_resolution]\nwhen = \"never\"\n[output]\nfolder = {:?}\n",
        at("normal"),
        taught().bundle,
        at("out")
    );
    std::fs::write(&config, lines).unwrap();
    let checked = succeed(&["check", arg(&config)]);
    assert!(checked.contains("aligned  by 140x110 at 90,60, within shift=8%,turn=5deg"), "{checked}");
    assert!(checked.contains("parts alignment"), "on the bill: {checked}");
    let ran = lineside().args(["run", arg(&config)]).output().unwrap();
    let printed = text(&ran.stdout);
    let line = printed.lines().find(|line| line.contains("b-blank.png")).unwrap_or_else(|| panic!("{printed}"));
    assert!(line.contains("DEFECT") && line.contains("the part was not found"), "{line}");
    let records = std::fs::read_to_string(at("out").join("events.jsonl")).unwrap();
    let events: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let event = events.iter().find(|event| event["record"] == "event" && event["cause"] == "unfound");
    assert!(event.is_some_and(|event| event["frame"].as_str().unwrap().contains("b-blank")), "{records}");
    let replayed = succeed(&["replay", arg(&at("out")), "--bundle", arg(&taught().bundle)]);
    assert!(replayed.contains("1 equal") || replayed.contains("equal"), "{replayed}");
}

#[test]
fn a_recalibrated_bundle_aligns_and_leaves_out_what_it_does_not_find() {
    let folder = tempfile::tempdir().unwrap();
    let (good, out) = (folder.path().join("good"), folder.path().join("new"));
    std::fs::create_dir_all(&good).unwrap();
    for at in 0..9 {
        save(&good.join(format!("part-{at}.png")), &moved(&plate(30 + at, false), (f64::from(at) - 4.0, 2.0), 0.0));
    }
    save(&good.join("blank.png"), &blank());
    let arguments = ["recalibrate", arg(&taught().bundle), "--good", arg(&good), "--out", arg(&out)];
    let output = lineside().args(arguments).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("blank.png: the part was not found in it; left out"), "{said}");
    let bundle = Bundle::open(&out).unwrap();
    assert!(Inspector::new(&bundle, None).unwrap().aligner().is_some());
}

#[test]
fn what_cannot_be_aligned_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let teach = |normal: &str, more: &[&str], code: i32, parts: &[&str]| {
        refuse(&[&["teach", "--normal", normal, "--out", arg(&at("parts"))], more].concat(), code, parts);
        assert!(!at("parts").exists() && !at("parts.teaching").exists(), "{more:?}");
    };
    teach(NORMAL, &["--align", "200,0,160,100"], 2, &["--align", "200,0,160,100", "reaches beyond the frame"]);
    teach(NORMAL, &["--align", "10,10,8,8"], 2, &["--align", "smaller than 16x16"]);
    for (more, expected) in [
        (&["--align", "0,0 50,0 0,50"][..], "takes a rectangle: X,Y,WIDTH,HEIGHT"),
        (&["--align", MARK, "--align-within", "light=5%"], "state it as --tolerance"),
        (&["--align-within", "shift=5%"], "--align"),
    ] {
        let out = at("parts");
        let arguments = [&["teach", "--normal", NORMAL, "--out", arg(&out)], more].concat();
        let output = lineside().args(arguments).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(expected), "{more:?}: {said}");
    }
    // Parts that lie in every rotation, as the flanges of the demo do.
    teach(NORMAL, &["--align", "80,40,160,160"], 1, &["--align", "good pictures only", "--align-within"]);
    // Nothing there.
    std::fs::create_dir_all(at("even")).unwrap();
    for name in ["a", "b", "c"] {
        save(&at("even").join(name).with_extension("png"), &blank());
    }
    teach(arg(&at("even")), &["--align"], 1, &["--align", "nothing at 0,0,320,240 by which it could be found"]);
    // A bundle whose template is damaged.
    let bundle = at("damaged");
    copy_folder(&taught().bundle, &bundle);
    std::fs::write(bundle.join("alignment.png"), "dear").unwrap();
    refuse(&["eval", arg(&bundle), "--normal", NORMAL], 78, &["alignment.png"]);
}
