//! Which file is the mask of which picture, by name.

use super::masks;
use lineside_picture::{EXTENSIONS, is_picture_name};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What is added to the name of a picture for that of its mask: MVTec AD, KolektorSDD2, KolektorSDD, and others.
const SUFFIXES: [&str; 8] = ["_mask", "_GT", "_gt", "_label", "_seg", "-mask", "_ground_truth", ".mask"];
/// Folders beside pictures that hold their masks: DAGM and others.
const FOLDERS: [&str; 10] =
    ["Label", "label", "labels", "masks", "mask", "ground_truth", "masken", "SegmentationClass", "annotations", "gt"];

/// The masks in a folder of masks of the picture that lies at `inside` in its own folder: at the same path, with any ending of a
/// picture and with or without a suffix, or all pictures in a folder of its name. `picture` itself is none of them, where the two
/// folders are one.
pub fn in_folder(masks: &Path, inside: &Path, picture: &Path) -> Vec<PathBuf> {
    let same = masks.join(inside);
    let names = std::iter::once("").chain(SUFFIXES).flat_map(|suffix| with_suffix(&same, suffix));
    if let Some(mask) = names.filter(|path| path != picture).find(|path| path.is_file()) {
        return vec![mask];
    }
    let folder = same.with_extension("");
    let mut parts: Vec<PathBuf> = std::fs::read_dir(folder).map_or_else(
        |_| Vec::new(),
        |entries| entries.flatten().map(|entry| entry.path()).filter(|path| is_picture_name(path)).collect(),
    );
    parts.sort();
    parts
}

/// The mask of a picture that lies beside it, or in a folder for masks beside it.
fn of_picture(picture: &Path) -> Option<PathBuf> {
    let beside = SUFFIXES.into_iter().flat_map(|suffix| with_suffix(picture, suffix)).find(|path| path.is_file());
    beside.or_else(|| {
        let (folder, name) = (picture.parent()?, picture.file_name()?);
        let folders = FOLDERS.iter().map(|sub| folder.join(sub)).filter(|folder| folder.is_dir());
        folders.filter_map(|folder| in_folder(&folder, Path::new(name), picture).into_iter().next()).next()
    })
}

/// The files of a folder that are masks of others among them.
#[derive(Debug, Default)]
pub struct MasksBeside {
    /// The masks of each picture that has some by their names.
    of: HashMap<PathBuf, Vec<PathBuf>>,
}

impl MasksBeside {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The masks of a picture; where there are several, each marks a part of its defects.
    pub fn of_picture(&self, picture: &Path) -> Vec<PathBuf> {
        self.of.get(picture).cloned().unwrap_or_else(|| of_picture(picture).into_iter().collect())
    }
}

/// Words in the names of masks, in whatever case: before or after the picture's own name, or at its end without anything between.
const WORDS: [&str; 13] = [
    "mask",
    "masks",
    "maske",
    "masken",
    "gt",
    "groundtruth",
    "label",
    "labels",
    "seg",
    "segmentation",
    "annotation",
    "annotations",
    "anomaly",
];
/// Words that go with them.
const BESIDE_WORDS: [&str; 4] = ["ground", "truth", "defect", "defects"];

/// A name without its words for a mask, and whether it has any: `Part-7_GT` and `mask_part-7_0` are both of `part-7`.
fn plain_name(path: &Path) -> (String, bool) {
    let stem = path.with_extension("");
    let name = stem.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut has_word = false;
    let words: Vec<&str> = name.split(['_', '-', '.', ' ']).filter(|word| !word.is_empty()).collect();
    let without_digits = |word: &str| word.trim_end_matches(|c: char| c.is_ascii_digit()).to_string();
    let is_word = |word: &str| WORDS.contains(&without_digits(word).as_str());
    has_word |= words.iter().any(|word| is_word(word)) || name.contains("ground_truth");
    let mut plain: Vec<String> = Vec::new();
    let mut follows_word = false;
    for word in &words {
        let drop = has_word
            && (is_word(word)
                || BESIDE_WORDS.contains(word)
                || EXTENSIONS.contains(word)
                // Masks of one picture are numbered.
                || follows_word && word.len() < 4 && word.chars().all(|c| c.is_ascii_digit()));
        follows_word = is_word(word);
        if !drop {
            plain.push((*word).to_string());
        }
    }
    // `7mask`, with nothing between.
    if !has_word && let Some(last) = plain.last_mut() {
        let bare = without_digits(last);
        if let Some(shorter) =
            ["mask", "_gt"].iter().find_map(|end| bare.strip_suffix(end)).filter(|rest| !rest.is_empty())
        {
            *last = shorter.to_string();
            has_word = true;
        }
    }
    (plain.join("_"), has_word)
}

/// Parts the files that are masks of others among `files` from the others: by their names, by a folder for masks beside the pictures,
/// or, of two with one name and different endings, because it has a few levels only.
pub fn without_masks(files: Vec<PathBuf>) -> (Vec<PathBuf>, MasksBeside) {
    let folder_and = |file: &Path, name: String| (file.parent().unwrap_or(Path::new("")).to_path_buf(), name);
    let mut plain: HashMap<(PathBuf, String), PathBuf> = HashMap::new();
    let mut twins: Vec<[PathBuf; 2]> = Vec::new();
    for file in &files {
        let stem = file.with_extension("").file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let words: Vec<&str> = stem.split(['_', '-', '.', ' ']).filter(|word| !word.is_empty()).collect();
        if let Some(other) = plain.insert(folder_and(file, words.join("_")), file.clone())
            && other.file_stem() == file.file_stem()
        {
            twins.push([other, file.clone()]);
        }
    }
    let in_mask_folder = |file: &Path| {
        let folder = file.parent()?;
        let is_known =
            FOLDERS.iter().any(|known| folder.file_name().is_some_and(|name| name.eq_ignore_ascii_case(known)));
        let (name, _) = plain_name(file);
        let above = folder.parent().filter(|_| is_known)?;
        plain.get(&(above.to_path_buf(), name)).cloned()
    };
    let by_name = |file: &Path| {
        let (name, has_word) = plain_name(file);
        plain.get(&folder_and(file, name)).filter(|other| has_word && *other != file).cloned()
    };
    let mut masks = MasksBeside::default();
    let by_levels: HashMap<PathBuf, PathBuf> = twins
        .into_iter()
        .filter_map(|[a, b]| match (masks::is_mask(&a), masks::is_mask(&b)) {
            (true, false) => Some((a, b)),
            (false, true) => Some((b, a)),
            _ => None,
        })
        .collect();
    let mut pictures = Vec::new();
    for file in files {
        match by_name(&file).or_else(|| in_mask_folder(&file)).or_else(|| by_levels.get(&file).cloned()) {
            Some(picture) => masks.of.entry(picture).or_default().push(file),
            None => pictures.push(file),
        }
    }
    (pictures, masks)
}

/// A picture's path with a suffix, with its own and every other ending of a picture.
fn with_suffix(picture: &Path, suffix: &str) -> impl Iterator<Item = PathBuf> {
    let stem = picture.with_extension("").into_os_string();
    let suffix = suffix.to_string();
    let own = picture.extension().map(|extension| extension.to_os_string());
    // PNG first: masks are mostly that.
    let cases = EXTENSIONS.into_iter().flat_map(|extension| [extension.to_string(), extension.to_uppercase()]);
    let endings = own.into_iter().chain(cases.map(Into::into));
    endings.map(move |extension| {
        let mut path = stem.clone();
        path.push(&suffix);
        path.push(".");
        path.push(extension);
        PathBuf::from(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
        let make = |name: &&str| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, b"").unwrap();
            path
        };
        names.iter().map(make).collect()
    }

    #[test]
    fn masks_are_found_in_a_folder_under_the_names_that_data_sets_use() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        files(
            folder.path(),
            &["scratch/000_mask.png", "bad/001.png", "ko/2.bmp", "logical/003/000.png", "logical/003/001.png"],
        );
        for (picture, masks) in [
            ("scratch/000.png", &["scratch/000_mask.png"][..]),
            ("bad/001.JPG", &["bad/001.png"]),
            ("ko/2.png", &["ko/2.bmp"]),
            ("logical/003.png", &["logical/003/000.png", "logical/003/001.png"]),
            ("scratch/009.png", &[]),
        ] {
            let found = in_folder(folder.path(), Path::new(picture), Path::new("elsewhere"));
            assert_eq!(found, masks.iter().map(|mask| at(mask)).collect::<Vec<_>>(), "{picture}");
        }
    }

    #[test]
    fn masks_beside_pictures_are_no_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let all = files(
            folder.path(),
            &[
                "10.png",
                "10_GT.png",
                "kos01/Part0.jpg",
                "kos01/Part0_label.bmp",
                "576.PNG",
                "Label/576_label.PNG",
                "a_mask.png",
            ],
        );
        let (pictures, masks) = without_masks(all);
        // A picture that is only called so, with no other that it could belong to.
        assert_eq!(pictures, [at("10.png"), at("kos01/Part0.jpg"), at("576.PNG"), at("a_mask.png")]);
        assert_eq!(masks.of.len(), 3);
        assert_eq!(of_picture(&at("10.png")), Some(at("10_GT.png")));
        assert_eq!(in_folder(folder.path(), Path::new("10.png"), &at("10.png")), [at("10_GT.png")]);
        assert_eq!(of_picture(&at("kos01/Part0.jpg")), Some(at("kos01/Part0_label.bmp")));
        assert_eq!(of_picture(&at("576.PNG")), Some(at("Label/576_label.PNG")));
        assert_eq!(of_picture(&at("a_mask.png")), None);
    }

    #[test]
    fn masks_are_known_in_many_spellings() {
        for mask in [
            "X_MASK.PNG",
            "x_Mask.png",
            "X_Label.png",
            "X_labels.png",
            "mask_X.png",
            "Xmask.png",
            "X_mask_0.png",
            "X_mask1.png",
            "X_defect_mask.png",
            "X.jpg.mask.png",
            "X_anomaly.png",
            "X_annotation.png",
            "X_groundtruth.png",
            "X_ground_truth.png",
            "X_maske.png",
            "SegmentationClass/X.png",
            "Masks/X.png",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            let (pictures, masks) = without_masks(files(folder.path(), &["X.jpg", "Y_7.jpg", "Y_8.jpg", mask]));
            assert_eq!(pictures, [at("X.jpg"), at("Y_7.jpg"), at("Y_8.jpg")], "{mask}");
            assert_eq!(masks.of_picture(&at("X.jpg")), [at(mask)]);
            assert!(masks.of_picture(&at("Y_7.jpg")).is_empty());
        }
        // Several of one picture.
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (_, masks) = without_masks(files(folder.path(), &["X.jpg", "X_mask_0.png", "X_mask_1.png"]));
        assert_eq!(masks.of_picture(&at("X.jpg")), [at("X_mask_0.png"), at("X_mask_1.png")]);
        // Names of parts that only look so.
        let folder = tempfile::tempdir().unwrap();
        let names = ["part.png", "part_7.png", "label_3.png", "gasmask.png", "anomaly_1.png"];
        let (pictures, masks) = without_masks(files(folder.path(), &names));
        assert!(pictures.len() == names.len() && masks.is_empty(), "{pictures:?}");
    }

    #[test]
    fn of_two_with_one_name_the_one_with_two_levels_is_the_mask() {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: &str, level: fn(u32, u32) -> u8| {
            let path = folder.path().join(name);
            lineside_picture::image::GrayImage::from_fn(32, 32, |x, y| [level(x, y)].into()).save(&path).unwrap();
            path
        };
        let (picture, mask) =
            (save("1.bmp", |x, y| (7 * x + 3 * y) as u8), save("1.png", |x, _| if x < 4 { 255 } else { 0 }));
        let (pictures, masks) = without_masks(vec![picture.clone(), mask.clone()]);
        assert_eq!((pictures, masks.of_picture(&picture)), (vec![picture], vec![mask]));
        let twins = vec![save("2.bmp", |x, y| (x * y) as u8), save("2.png", |x, y| (x * y) as u8)];
        assert_eq!(without_masks(twins).0.len(), 2);
    }
}
