//! Which file is the mask of which picture, by name.

use lineside_picture::{EXTENSIONS, is_picture_name};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What is added to the name of a picture for that of its mask: MVTec AD, KolektorSDD2, KolektorSDD, and others.
const SUFFIXES: [&str; 8] = ["_mask", "_GT", "_gt", "_label", "_seg", "-mask", "_ground_truth", ".mask"];
/// Folders beside pictures that hold their masks: DAGM and others.
const FOLDERS: [&str; 6] = ["Label", "label", "labels", "masks", "mask", "ground_truth"];

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
pub fn of_picture(picture: &Path) -> Option<PathBuf> {
    let beside = SUFFIXES.into_iter().flat_map(|suffix| with_suffix(picture, suffix)).find(|path| path.is_file());
    beside.or_else(|| {
        let (folder, name) = (picture.parent()?, picture.file_name()?);
        let folders = FOLDERS.iter().map(|sub| folder.join(sub)).filter(|folder| folder.is_dir());
        folders.filter_map(|folder| in_folder(&folder, Path::new(name), picture).into_iter().next()).next()
    })
}

/// Parts the files that are masks of others among `files`, by name, from the others.
pub fn without_masks(files: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let stems: HashSet<PathBuf> = files.iter().map(|file| file.with_extension("")).collect();
    let is_mask = |file: &PathBuf| {
        let stem = file.with_extension("");
        let named = SUFFIXES.iter().any(|suffix| {
            let text = stem.to_string_lossy();
            text.strip_suffix(suffix).is_some_and(|plain| stems.contains(Path::new(plain)))
        });
        named || {
            let folder = file
                .parent()
                .filter(|folder| folder.file_name().is_some_and(|name| FOLDERS.iter().any(|known| name == *known)));
            folder.and_then(|folder| folder.parent()).is_some_and(|above| {
                let name = stem.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let plain = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
                stems.contains(&above.join(plain))
            })
        }
    };
    let (masks, pictures) = files.into_iter().partition(is_mask);
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
        assert_eq!(masks.len(), 3);
        assert_eq!(of_picture(&at("10.png")), Some(at("10_GT.png")));
        assert_eq!(in_folder(folder.path(), Path::new("10.png"), &at("10.png")), [at("10_GT.png")]);
        assert_eq!(of_picture(&at("kos01/Part0.jpg")), Some(at("kos01/Part0_label.bmp")));
        assert_eq!(of_picture(&at("576.PNG")), Some(at("Label/576_label.PNG")));
        assert_eq!(of_picture(&at("a_mask.png")), None);
    }
}
