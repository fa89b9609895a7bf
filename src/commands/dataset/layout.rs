//! The layouts of public data sets: which of their folders hold what.

use super::Purpose;
use std::path::{Path, PathBuf};

/// A layout that a user may name; `auto` finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum DataSetLayout {
    /// By the names of folders and files
    #[default]
    Auto,
    /// No layout: every picture counts as the folder that is named, also where it is called as a mask
    Plain,
    /// MVTec AD and AD 2, LOCO, MPDD: train/good, test/good, test/KIND, ground_truth/KIND
    Mvtec,
    /// VisA: Data/Images/Normal, Data/Images/Anomaly, Data/Masks/Anomaly
    Visa,
    /// BTAD: train/ok, test/ok, test/ko, ground_truth/ko
    Btad,
    /// KolektorSDD and SDD2, DAGM: masks beside the pictures; what has an empty mask is a good part
    Kolektor,
}

/// What people call the folder of good parts.
const GOOD: [&str; 9] = ["good", "ok", "normal", "goods", "normals", "defect_free", "io", "gut", "pass"];

/// What data sets call folders that hold masks, or several kinds of pictures.
const NOT_PARTS: [&str; 12] = [
    "ground_truth",
    "groundtruth",
    "gt",
    "mask",
    "masks",
    "masken",
    "labels",
    "annotations",
    "segmentationclass",
    "train",
    "test",
    "validation",
];
/// What people call a folder of parts with defects.
const DEFECTIVE: [&str; 20] = [
    "defect",
    "defects",
    "defective",
    "bad",
    "ng",
    "nok",
    "ko",
    "anomaly",
    "anomalies",
    "anomalous",
    "abnormal",
    "nio",
    "fehler",
    "ausschuss",
    "schlecht",
    "reject",
    "rejects",
    "scrap",
    "fail",
    "faulty",
];

/// A folder below `root` that says by its name, or by a folder of good parts beside it, that its pictures are not all good parts.
pub(super) fn not_of_good_parts<'a>(root: &Path, pictures: &'a [PathBuf]) -> Option<&'a Path> {
    let named = named_folder(root, pictures, &[&NOT_PARTS[..], &DEFECTIVE].concat());
    named.or_else(|| {
        let first = |file: &'a PathBuf| file.strip_prefix(root).ok()?.parent()?.components().next();
        let is_good = |file: &'a PathBuf| first(file).is_some_and(|folder| is_good(folder.as_os_str()));
        let beside = || pictures.iter().find(|file| first(file).is_some() && !is_good(file));
        pictures.iter().any(is_good).then(beside)?.and_then(|file| file.parent())
    })
}

/// A folder below `root` that says by its name that its pictures are no parts with defects.
pub(super) fn not_of_parts<'a>(root: &Path, pictures: &'a [PathBuf]) -> Option<&'a Path> {
    named_folder(root, pictures, &NOT_PARTS)
}

fn named_folder<'a>(root: &Path, pictures: &'a [PathBuf], names: &[&str]) -> Option<&'a Path> {
    let is_named = |folder: &Path| {
        let name = folder.file_name();
        name.is_some_and(|name| names.iter().any(|known| name.eq_ignore_ascii_case(known)))
    };
    let below = |file: &'a PathBuf| file.ancestors().skip(1).take_while(|folder| *folder != root);
    pictures.iter().flat_map(below).find(|folder| is_named(folder))
}

/// The folders of a data set that serve a purpose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folders {
    /// What the layout is called.
    pub(super) layout: &'static str,
    pub(super) normal: PathBuf,
    pub(super) defects: Option<PathBuf>,
    pub(super) masks: Option<PathBuf>,
    /// Whether teaching and evaluating would take the same good parts.
    pub(super) is_unsplit: bool,
}

/// The folders of the data set at `root`, where it has this layout.
pub(super) fn folders(root: &Path, layout: DataSetLayout, purpose: Purpose) -> Option<Folders> {
    match layout {
        DataSetLayout::Plain => None,
        DataSetLayout::Mvtec => of_mvtec(root, purpose, "MVTec AD"),
        DataSetLayout::Btad => of_mvtec(root, purpose, "BTAD"),
        DataSetLayout::Visa => of_visa(root, purpose),
        DataSetLayout::Kolektor => of_kolektor(root, purpose),
        DataSetLayout::Auto => of_mvtec(root, purpose, "MVTec AD")
            .or_else(|| of_visa(root, purpose))
            .or_else(|| of_kolektor(root, purpose)),
    }
}

/// Whether a folder of this name holds good parts.
pub(super) fn is_good(name: &std::ffi::OsStr) -> bool {
    GOOD.iter().any(|good| name.eq_ignore_ascii_case(good))
}

fn of_mvtec(root: &Path, purpose: Purpose, layout: &'static str) -> Option<Folders> {
    let test = child(root, &["test", "test_public"]);
    match purpose {
        Purpose::Teach => {
            let normal = child(&child(root, &["train"])?, &GOOD)?;
            Some(Folders { layout, normal, defects: None, masks: None, is_unsplit: false })
        }
        Purpose::Evaluate => {
            let test = test?;
            let normal = child(&test, &GOOD)?;
            let masks = child(root, &["ground_truth"]).or_else(|| child(&test, &["ground_truth"]));
            Some(Folders { layout, normal, defects: Some(test), masks, is_unsplit: false })
        }
    }
}

fn of_visa(root: &Path, purpose: Purpose) -> Option<Folders> {
    let data = child(root, &["Data"])?;
    let images = child(&data, &["Images"])?;
    let normal = child(&images, &["Normal"])?;
    let evaluated = purpose == Purpose::Evaluate;
    let defects = child(&images, &["Anomaly"]).filter(|_| evaluated);
    let masks = child(&data, &["Masks"]).and_then(|masks| child(&masks, &["Anomaly"])).filter(|_| evaluated);
    Some(Folders { layout: "VisA", normal, defects, masks, is_unsplit: true })
}

fn of_kolektor(root: &Path, purpose: Purpose) -> Option<Folders> {
    let (train, test) = (child(root, &["train"])?, child(root, &["test"])?);
    let normal = if purpose == Purpose::Teach { train } else { test };
    let has_masks = super::list(&normal, DataSetLayout::Kolektor).is_ok_and(|(_, masks)| !masks.is_empty());
    has_masks.then_some(Folders { layout: "KolektorSDD2", normal, defects: None, masks: None, is_unsplit: false })
}

/// A folder in `folder` with one of these names, in any case.
fn child(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| names.iter().any(|name| entry.file_name().eq_ignore_ascii_case(name)))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.into_iter().next()
}
