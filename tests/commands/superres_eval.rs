//! `lineside eval` of super-resolution: the literature's protocol, held against its own figures, and the camera's.

use crate::common::{arg, data, outside, refuse, root, succeed};
use lineside::source::picture_files;
use lineside::task::super_resolution::{psnr_y, ssim_y};
use lineside_picture::{Filter, Layout, Picture, Rect, Resizer, decode_file, upscale_bicubic, write_png};
use serde_json::Value;
use std::path::Path;

fn load(path: &Path) -> Picture {
    let mut picture = Picture::default();
    decode_file(&std::fs::read(path).unwrap(), 10_000_000, &mut picture).unwrap();
    picture
}

fn eval(arguments: &[&str]) -> Value {
    let arguments = [&["eval"][..], arguments, &["--json"]].concat();
    serde_json::from_str(&succeed(&arguments)).unwrap()
}

/// What bicubic gives on these sets: the figures of Timofte et al. (A+, 2014), which later papers quote, and SSIM with
/// them; Set14's for the pictures as they lie here.
#[test]
fn bicubic_has_its_published_figures() {
    let published = [
        ("Set5", 2, 33.66, 0.9299),
        ("Set5", 3, 30.39, 0.8682),
        ("Set5", 4, 28.42, 0.8104),
        ("Set14", 2, 30.31, f64::NAN),
        ("Set14", 3, 27.62, f64::NAN),
        ("Set14", 4, 26.08, f64::NAN),
    ];
    for (set, scale, psnr, ssim) in published {
        let Some(folder) = outside(data(&format!("superres-eval/{set}/x{scale}")), set) else { return };
        let files = |kind: &str| picture_files(&folder.join(kind)).unwrap();
        let (mut sums, mut own, mut n) = ([0.0; 2], 0.0, 0.0);
        for (hr, lr) in files("HR").iter().zip(files("LR")) {
            let (large, small) = (load(hr), load(&lr));
            let mut original = Picture::default();
            let (width, height) = (small.width() * scale, small.height() * scale);
            large.crop_into(Rect { x: 0, y: 0, width, height }, &mut original);
            let mut enlarged = Picture::default();
            upscale_bicubic(&small, scale, &mut enlarged).unwrap();
            sums[0] += psnr_y(&original, &enlarged, scale).unwrap();
            sums[1] += ssim_y(&original, &enlarged, scale).unwrap();
            // The same from our own reduction instead of MATLAB's.
            let mut reduced = Picture::default();
            let (from, to) = ((width, height), (small.width(), small.height()));
            Resizer::new(Filter::Bicubic, original.layout(), from, to).unwrap().run(&original, &mut reduced).unwrap();
            let off: u64 = reduced.data().iter().zip(small.data()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = off as f64 / reduced.data().len() as f64;
            // Every sixth to fourth pixel is a step off: the sets were reduced in other colours than RGB.
            assert!(mean < 0.25, "{}: our reduction is {mean:.3} steps from the set's", hr.display());
            upscale_bicubic(&reduced, scale, &mut enlarged).unwrap();
            own += psnr_y(&original, &enlarged, scale).unwrap();
            n += 1.0;
        }
        let [psnr_here, ssim_here] = sums.map(|sum| sum / n);
        eprintln!("{set} x{scale}: {psnr_here:.2} dB, {ssim_here:.4}; by our own reduction {:.2} dB", own / n);
        assert!((psnr_here - psnr).abs() < 0.02, "{set} x{scale}: {psnr_here:.3} dB, published {psnr}");
        assert!(ssim.is_nan() || (ssim_here - ssim).abs() < 0.001, "{set} x{scale}: {ssim_here:.4}, published {ssim}");
        assert!((own / n - psnr_here).abs() < 0.03, "{set} x{scale}: {:.3} dB by our own reduction", own / n);
    }
}

/// The word `superres` is the shipped bundle, a set's folder holds both sides, and every way of naming them agrees.
#[test]
fn a_set_is_found_by_its_folder() {
    let Some(set) = outside(data("superres-eval/Set5"), "Set5") else { return };
    let (hr, lr) = (set.join("x3/HR"), set.join("x3/LR"));
    let by_folder = eval(&["superres", "--hr", arg(&set)]);
    assert_eq!(by_folder, eval(&["superres-x3", "--hr", arg(&hr)]));
    assert_eq!(by_folder["psnr_y"], eval(&["superres", "--scale", "3", "--hr", arg(&hr), "--lr", arg(&lr)])["psnr_y"]);
    assert_eq!(
        (&by_folder["n"], &by_folder["scale"], &by_folder["bundle"]),
        (&5.into(), &3.into(), &"superres-x3".into())
    );
    assert!(by_folder["ssim"].as_f64().unwrap() > by_folder["bicubic_ssim"].as_f64().unwrap());
    let twice = eval(&["superres-x3", "--beside", "superres-x3", "--hr", arg(&set)]);
    assert_eq!(twice["beside"][0]["psnr_y"], twice["psnr_y"]);
    assert_eq!(twice["pictures"][4]["beside"][0]["ssim"], twice["pictures"][4]["ssim"]);
}

/// Pictures of our own: five shipped frames.
fn frames(folder: &Path) -> std::path::PathBuf {
    let large = folder.join("large");
    std::fs::create_dir(&large).unwrap();
    for n in 1..=5 {
        let name = format!("part-0{n}.jpg");
        let from = root().join("models/inspect-demo/frames/normal").join(&name);
        if from.exists() {
            std::fs::copy(from, large.join(&name)).unwrap();
        }
    }
    assert!(std::fs::read_dir(&large).unwrap().count() >= 3);
    large
}

#[test]
fn a_camera_is_the_same_for_the_same_seed_and_harder_than_bicubic_reduction() {
    let folder = tempfile::tempdir().unwrap();
    let large = frames(folder.path());
    let clean = eval(&["superres", "--hr", arg(&large)]);
    assert_eq!(clean["small"], "made by bicubic reduction");
    let camera = ["superres", "--hr", arg(&large), "--degrade", "camera"];
    let first = eval(&camera);
    assert_eq!(first, eval(&camera));
    let other = eval(&[&camera[..], &["--seed", "2"]].concat());
    assert_ne!(first["psnr_y"], other["psnr_y"]);
    for result in [first, other] {
        assert!(
            result["bicubic_psnr_y"].as_f64().unwrap() + 1.0 < clean["bicubic_psnr_y"].as_f64().unwrap(),
            "{result}"
        );
    }
}

#[test]
fn a_sheet_shows_every_way_beside_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let (large, sheet) = (frames(folder.path()), folder.path().join("sheet.png"));
    let table = succeed(&["eval", "superres", "--beside", "superres-x3", "--hr", arg(&large), "--sheet", arg(&sheet)]);
    let pictures = std::fs::read_dir(&large).unwrap().count();
    assert_eq!(table.lines().count(), pictures + 3, "{table}");
    let sheet = load(&sheet);
    // Bicubic, the bundle twice, the original: pieces of 120 pixels, twice as large.
    assert!(sheet.width() >= 4 * 240 && sheet.height() >= pictures * 240, "{}x{}", sheet.width(), sheet.height());
    assert_eq!(sheet.layout(), Layout::Rgb);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let large = frames(folder.path());
    let hr = arg(&large);
    refuse(&["eval", "superres-x3", "--scale", "2", "--hr", hr], 2, &["superres-x3 has a scale of 3, not 2"]);
    refuse(&["eval", "superres", "--scale", "7", "--hr", hr], 78, &["no bundle \"superres-x7\""]);
    refuse(&["eval", "superres-x3", "--beside", "inspect-demo", "--hr", hr], 78, &["task is not \"super-resolution\""]);
    assert_eq!(crate::common::run(&["eval", "superres", "--hr", hr, "--degrade", "rain"]).status.code(), Some(2));
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    write_png(std::fs::File::create(small.join("a.png")).unwrap(), &Picture::new(Layout::Grey, 4, 4)).unwrap();
    refuse(&["eval", "superres", "--hr", hr, "--lr", arg(&small)], 1, &["large pictures, but 1 small ones"]);
    refuse(&["eval", "superres", "--hr", arg(&small)], 1, &["a.png: too small to be evaluated"]);
}
