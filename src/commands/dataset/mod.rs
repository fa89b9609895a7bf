//! The pictures that `teach` and `eval` take: good parts, parts with defects and their masks, as people and data sets lay them out.
//!
//! | file | content |
//! |---|---|
//! | `layout.rs` | the folders of public data sets |
//! | `beside.rs` | which file is the mask of which picture, by name |
//! | `masks.rs` | what a mask marks |

mod beside;
mod layout;
pub mod masks;

use beside::MasksBeside;
pub use layout::DataSetLayout;

use crate::source::picture_files;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What the pictures are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Only what a data set has to learn from.
    Teach,
    /// Only what it has to test on.
    Evaluate,
}

/// The folders that a user names.
#[derive(Debug)]
pub struct Named<'a> {
    /// Good parts, or a whole data set.
    pub normal: Option<&'a Path>,
    /// Parts with defects; sub-folders are kinds.
    pub defects: Option<&'a Path>,
    /// Their masks.
    pub masks: Option<&'a Path>,
    /// How they are laid out.
    pub layout: DataSetLayout,
}

/// The pictures of a data set.
#[derive(Debug, Default)]
pub struct DataSet {
    /// Good parts.
    pub normal: Vec<PathBuf>,
    /// Parts with defects.
    pub defects: Vec<KnownDefect>,
    /// Whether masks were named or found.
    pub has_masks: bool,
    /// Pictures whose masks cannot be read, and why.
    pub broken: Vec<(PathBuf, String)>,
}

/// A picture of a part with a defect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDefect {
    /// The picture.
    pub file: PathBuf,
    /// Its sub-folder, where it lies in one.
    pub kind: Option<String>,
    /// Its masks: marked is what one of them marks. None where it has none.
    pub masks: Vec<PathBuf>,
}

impl KnownDefect {
    /// Fails where it has no mask although the others do.
    ///
    /// # Errors
    /// In one line.
    pub fn require_mask(&self) -> anyhow::Result<()> {
        let name = self.file.with_extension("png");
        let (file, name) = (self.file.display(), name.file_name().unwrap_or_default().to_string_lossy().into_owned());
        anyhow::ensure!(
            !self.masks.is_empty(),
            "{file}: no mask: {name} is missing among the masks, also with _mask, _GT or _label in its name"
        );
        Ok(())
    }
}

impl DataSet {
    /// Lists the pictures. What is taken for something else than the folder says is counted in the log.
    ///
    /// # Errors
    /// In one line, where a folder cannot be read or holds no picture.
    pub fn read(named: &Named, purpose: Purpose) -> anyhow::Result<DataSet> {
        let mut set = DataSet { has_masks: named.masks.is_some(), ..DataSet::default() };
        let found = named.normal.filter(|_| named.defects.is_none() || purpose == Purpose::Teach);
        let found = found.and_then(|root| layout::folders(root, named.layout, purpose).map(|folders| (root, folders)));
        if let (Some(root), None) = (named.normal, &found)
            && !matches!(named.layout, DataSetLayout::Auto | DataSetLayout::Plain)
            && named.defects.is_none()
        {
            anyhow::bail!(
                "{}: it lacks the folders of this layout; without --layout it is looked at as it is",
                root.display()
            );
        }
        let (mut normal, mut defects, mut masks) = (named.normal, named.defects, named.masks);
        if let Some((root, folders)) = &found {
            log::info!("{}: laid out as {}; good parts: {}", root.display(), folders.layout, folders.normal.display());
            if folders.is_unsplit {
                let root = root.display();
                log::warn!(
                    "{root}: this layout does not part what to teach with from what to evaluate on: a bundle that was taught with it knows these good parts"
                );
            }
            normal = Some(&folders.normal);
            defects = defects.or(folders.defects.as_deref());
            masks = masks.or(folders.masks.as_deref());
        }
        if let Some(folder) = normal {
            set.add_normal(folder, named.layout, purpose)?;
        }
        if let Some(folder) = defects {
            set.add_defects(folder, masks, named.layout, purpose)?;
        }
        Ok(set)
    }

    fn add_normal(&mut self, folder: &Path, layout: DataSetLayout, purpose: Purpose) -> anyhow::Result<()> {
        let (pictures, masks) = list(folder, layout)?;
        if layout == DataSetLayout::Auto
            && let Some(other) = layout::not_of_good_parts(folder, &pictures)
        {
            let (folder, other) = (folder.display(), other.display());
            anyhow::bail!(
                "{folder}: by its name {other} holds something else than good parts, and no layout of a data set is known here: name the \
                 folder of good parts alone, or one data set of several; --layout plain takes every picture as a good part"
            );
        }
        if masks.is_empty() {
            self.normal = pictures;
            return Ok(());
        }
        let (mut marked, mut empty, mut without) = (0, 0, Vec::new());
        for file in pictures {
            let own = masks.of_picture(&file);
            let marks: anyhow::Result<Vec<bool>> = own.iter().map(|mask| masks::marks_something(mask)).collect();
            match marks {
                Ok(marks) if marks.contains(&true) => {
                    marked += 1;
                    self.defects.push(KnownDefect { file, kind: None, masks: own });
                }
                Ok(_) if own.is_empty() => without.push(file),
                Ok(_) => {
                    empty += 1;
                    self.normal.push(file);
                }
                Err(error) => self.broken.push((file, format!("{error:#}"))),
            }
        }
        // Some data sets have masks of defects alone (DAGM): without one it is a good part. Where good parts have a mask that marks
        // nothing (Kolektor), nobody knows what a picture without one shows.
        if empty == 0 {
            self.normal.append(&mut without);
        }
        self.broken.extend(without.into_iter().map(|file| (file, MASK_MISSING.to_string())));
        if marked > 0 {
            let fate = match purpose {
                Purpose::Teach => "left out",
                Purpose::Evaluate => "counted as defects",
            };
            log::info!("{}: {marked} pictures with a mask beside them that marks something: {fate}", folder.display());
            self.has_masks |= purpose == Purpose::Evaluate;
        }
        if purpose == Purpose::Teach {
            self.defects.clear();
        }
        Ok(())
    }

    fn add_defects(
        &mut self,
        folder: &Path,
        masks: Option<&Path>,
        layout: DataSetLayout,
        purpose: Purpose,
    ) -> anyhow::Result<()> {
        let (pictures, beside) = list(folder, layout)?;
        let is_plain = layout == DataSetLayout::Plain;
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let mask_folder = masks.map(real).filter(|masks| *masks != real(folder));
        if layout == DataSetLayout::Auto
            && let Some(other) = layout::not_of_parts(folder, &pictures).filter(|other| {
                let in_masks = |masks: &PathBuf| real(other).starts_with(masks);
                !mask_folder.as_ref().is_some_and(in_masks)
            })
        {
            let (folder, other) = (folder.display(), other.display());
            anyhow::bail!(
                "{folder}: by its name {other} holds something else than parts with defects: name the folder of parts with defects alone, \
                 and --masks; --layout plain takes every picture as one"
            );
        }
        let known: HashSet<PathBuf> = self.normal.iter().map(|file| real(file)).collect();
        let (mut of_good, mut unmarked, mut without) = (0, 0, Vec::new());
        for file in pictures {
            let at = real(&file);
            if mask_folder.as_ref().is_some_and(|masks| at.starts_with(masks)) {
                continue;
            }
            let inside = file.strip_prefix(folder).unwrap_or(&file);
            let kind = inside.parent().and_then(|parent| parent.components().next()).map(|kind| kind.as_os_str());
            let is_good = !is_plain && kind.is_some_and(layout::is_good);
            if is_good || known.contains(&at) {
                of_good += 1;
                if purpose == Purpose::Evaluate && !known.contains(&at) {
                    self.normal.push(file);
                }
                continue;
            }
            let in_folder = masks.map(|masks| beside::in_folder(masks, inside, &file));
            let own = if beside.is_empty() { Vec::new() } else { beside.of_picture(&file) };
            let is_beside = mask_folder.is_none() && !own.is_empty();
            let found = in_folder.filter(|found| !found.is_empty()).unwrap_or(own);
            // With its masks beside the pictures a data set holds good parts, too: theirs mark nothing.
            if is_beside && found.iter().all(|mask| matches!(masks::marks_something(mask), Ok(false))) {
                unmarked += 1;
                if purpose == Purpose::Evaluate {
                    self.normal.push(file);
                }
                continue;
            }
            self.has_masks |= !found.is_empty();
            let kind = kind.map(|kind| kind.to_string_lossy().into_owned());
            let lacks_mask = mask_folder.is_none() && !beside.is_empty() && found.is_empty();
            let part = if lacks_mask { &mut without } else { &mut self.defects };
            part.push(KnownDefect { file, kind, masks: found });
        }
        if unmarked == 0 {
            self.defects.append(&mut without);
        }
        self.broken.extend(without.into_iter().map(|part| (part.file, MASK_MISSING.to_string())));
        if let Some(masks) = mask_folder.as_ref().filter(|_| purpose == Purpose::Evaluate) {
            let used: HashSet<PathBuf> =
                self.defects.iter().flat_map(|part| &part.masks).map(|mask| real(mask)).collect();
            // What cannot be listed has named itself where a mask was looked for.
            let all = picture_files(masks).unwrap_or_default();
            let mut left = all.iter().filter(|mask| !used.contains(&real(mask)));
            if let Some(first) = left.next() {
                let (count, first, masks) = (1 + left.count(), first.display(), masks.display());
                log::warn!(
                    "{masks}: {count} masks belong to no picture, the first is {first}: their folders and names must be those of the pictures"
                );
            }
        }
        let fate = match purpose {
            Purpose::Teach => "left out",
            Purpose::Evaluate => "counted as good parts",
        };
        let folder = folder.display();
        if of_good > 0 {
            log::info!("{folder}: {of_good} pictures of good parts by their folder's name or place: {fate}");
        }
        if unmarked > 0 {
            log::info!("{folder}: {unmarked} pictures whose masks beside them mark nothing: {fate}");
        }
        Ok(())
    }
}

/// Pictures of any kind on which a network is run: of a data set those that it has to learn from, else all that are no masks beside others.
///
/// # Errors
/// In one line, where the folder cannot be read or holds no picture.
pub fn samples(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let found = layout::folders(folder, DataSetLayout::Auto, Purpose::Teach);
    if let Some(folders) = &found {
        log::info!("{}: laid out as {}; taken: {}", folder.display(), folders.layout, folders.normal.display());
    }
    let folder = found.as_ref().map_or(folder, |folders| &folders.normal);
    let (pictures, masks) = list(folder, DataSetLayout::Auto)?;
    if !masks.is_empty() {
        log::info!("{}: masks beside the pictures, by their names: left out", folder.display());
    }
    Ok(pictures)
}

/// Of a picture of which nobody knows what it shows.
const MASK_MISSING: &str =
    "its mask is missing: good parts here have one that marks nothing, so this may be a good part or show a defect";

/// The pictures in a folder, and the masks among them.
fn list(folder: &Path, layout: DataSetLayout) -> anyhow::Result<(Vec<PathBuf>, MasksBeside)> {
    let files = picture_files(folder).map_err(anyhow::Error::msg)?;
    Ok(if layout == DataSetLayout::Plain { (files, MasksBeside::default()) } else { beside::without_masks(files) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::image::{GrayImage, Luma};

    /// Pictures of two pixels; those whose name is a mask's mark something unless they are `empty`.
    fn tree(names: &[&str], empty: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let level = if empty.contains(name) { 0 } else { 1 };
            // Whatever the name, the format is known by the content.
            let format = lineside_picture::image::ImageFormat::Png;
            GrayImage::from_pixel(2, 1, Luma([level])).save_with_format(path, format).unwrap();
        }
        folder
    }

    fn read(folder: &Path, [normal, defects, masks]: [&str; 3], purpose: Purpose) -> (Vec<String>, Vec<String>) {
        let path = |name: &str| (!name.is_empty()).then(|| folder.join(name));
        let (normal, defects, masks) = (path(normal), path(defects), path(masks));
        let named = Named {
            normal: normal.as_deref(),
            defects: defects.as_deref(),
            masks: masks.as_deref(),
            layout: DataSetLayout::Auto,
        };
        let set = DataSet::read(&named, purpose).unwrap();
        let name = |file: &Path| file.strip_prefix(folder).unwrap().display().to_string();
        let defect = |defect: &KnownDefect| {
            let masks: Vec<String> = defect.masks.iter().map(|mask| name(mask)).collect();
            format!("{} {} {}", name(&defect.file), defect.kind.as_deref().unwrap_or("-"), masks.join(" "))
        };
        (set.normal.iter().map(|file| name(file)).collect(), set.defects.iter().map(defect).collect())
    }

    #[test]
    fn mvtec_is_read_as_it_comes() {
        let folder = tree(
            &[
                "train/good/000.png",
                "test/good/000.png",
                "test/scratch/000.png",
                "test/hole/000.png",
                "ground_truth/scratch/000_mask.png",
                "ground_truth/hole/000_mask.png",
            ],
            &[],
        );
        let defects = [
            "test/hole/000.png hole ground_truth/hole/000_mask.png",
            "test/scratch/000.png scratch ground_truth/scratch/000_mask.png",
        ];
        for named in [["test/good", "test", "ground_truth"], ["", "", ""].map(|_| ".")] {
            let named = if named[0] == "." { [".", "", ""] } else { named };
            let (normal, found) = read(folder.path(), named, Purpose::Evaluate);
            assert_eq!(
                (normal, found),
                (vec!["test/good/000.png".to_string()], defects.map(String::from).to_vec()),
                "{named:?}"
            );
        }
        // Other good parts than those in the test's folder: both count.
        let (normal, found) = read(folder.path(), ["train/good", "test", "ground_truth"], Purpose::Evaluate);
        assert_eq!((normal.len(), found.len()), (2, 2));
        assert_eq!(read(folder.path(), [".", "", ""], Purpose::Teach).0, ["train/good/000.png"]);
        let (normal, found) = read(folder.path(), ["train/good", "test", "ground_truth"], Purpose::Teach);
        assert_eq!((normal.len(), found.len()), (1, 2));
    }

    #[test]
    fn visa_and_btad_are_read_as_they_come() {
        let folder = tree(&["Data/Images/Normal/0.JPG", "Data/Images/Anomaly/0.JPG", "Data/Masks/Anomaly/0.png"], &[]);
        let (normal, defects) = read(folder.path(), [".", "", ""], Purpose::Evaluate);
        assert_eq!(normal, ["Data/Images/Normal/0.JPG"]);
        assert_eq!(defects, ["Data/Images/Anomaly/0.JPG - Data/Masks/Anomaly/0.png"]);
        let folder = tree(&["train/ok/0.bmp", "test/ok/1.bmp", "test/ko/2.bmp", "ground_truth/ko/2.png"], &[]);
        let (normal, defects) = read(folder.path(), [".", "", ""], Purpose::Evaluate);
        assert_eq!(normal, ["test/ok/1.bmp"]);
        assert_eq!(defects, ["test/ko/2.bmp ko ground_truth/ko/2.png"]);
        assert_eq!(read(folder.path(), [".", "", ""], Purpose::Teach).0, ["train/ok/0.bmp"]);
    }

    #[test]
    fn masks_beside_pictures_part_good_from_bad() {
        let names = [
            "train/1.png",
            "train/1_GT.png",
            "train/2.png",
            "train/2_GT.png",
            "test/3.png",
            "test/3_GT.png",
            "test/4.png",
            "test/4_GT.png",
        ];
        let folder = tree(&names, &["train/1_GT.png", "test/3_GT.png"]);
        assert_eq!(read(folder.path(), [".", "", ""], Purpose::Teach), (vec!["train/1.png".into()], vec![]));
        assert_eq!(read(folder.path(), ["train", "", ""], Purpose::Teach), (vec!["train/1.png".into()], vec![]));
        for named in [[".", "", ""], ["test", "", ""]] {
            let (normal, defects) = read(folder.path(), named, Purpose::Evaluate);
            assert_eq!((normal, defects), (vec!["test/3.png".into()], vec!["test/4.png - test/4_GT.png".into()]));
        }
        for named in [["train", "test", "test"], ["train", "test", ""]] {
            let (normal, defects) = read(folder.path(), named, Purpose::Evaluate);
            assert_eq!(normal, ["train/1.png", "test/3.png"]);
            assert_eq!(defects, ["train/2.png - train/2_GT.png", "test/4.png - test/4_GT.png"]);
        }
    }

    #[test]
    fn a_picture_that_lost_its_mask_is_neither_good_nor_a_defect() {
        let names = ["train/1.png", "train/1_GT.png", "train/2.png", "test/3.png", "test/3_GT.png", "test/4.png"];
        let broken = |folder: &Path, purpose| {
            let layout = DataSetLayout::Auto;
            let named = Named { normal: Some(folder), defects: None, masks: None, layout };
            let set = DataSet::read(&named, purpose).unwrap();
            assert!(set.broken.iter().all(|(_, why)| why == MASK_MISSING));
            set.broken
                .iter()
                .map(|(file, _)| file.strip_prefix(folder).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        let folder = tree(&names, &["train/1_GT.png", "test/3_GT.png"]);
        assert_eq!(broken(folder.path(), Purpose::Teach), ["train/2.png"]);
        assert_eq!(broken(folder.path(), Purpose::Evaluate), ["test/4.png"]);
        assert_eq!(read(folder.path(), [".", "", ""], Purpose::Evaluate), (vec!["test/3.png".into()], vec![]));
        // Where every mask marks something, only defects have one.
        let folder = tree(&names, &[]);
        assert!(broken(folder.path(), Purpose::Teach).is_empty());
        assert_eq!(read(folder.path(), ["train", "", ""], Purpose::Teach).0, ["train/2.png"]);
    }

    #[test]
    fn a_plain_folder_is_taken_at_its_word() {
        let folder = tree(&["d/good/1.png", "d/a.png", "d/a_mask.png", "n/1.png"], &[]);
        let (normal, defects) = (folder.path().join("n"), folder.path().join("d"));
        let named = Named { normal: Some(&normal), defects: Some(&defects), masks: None, layout: DataSetLayout::Plain };
        let set = DataSet::read(&named, Purpose::Evaluate).unwrap();
        assert_eq!((set.normal.len(), set.defects.len()), (1, 3));
        let named = Named { layout: DataSetLayout::Visa, defects: None, ..named };
        assert!(
            DataSet::read(&named, Purpose::Evaluate)
                .unwrap_err()
                .to_string()
                .contains("lacks the folders of this layout")
        );
    }

    /// Never masks and defects as good parts, without a word.
    #[test]
    fn what_is_no_known_layout_and_holds_more_than_good_parts_is_refused() {
        let refusal = |names: &[&str], [normal, defects]: [&str; 2]| {
            let folder = tree(names, &[]);
            let normal = folder.path().join(normal);
            let defects = (!defects.is_empty()).then(|| folder.path().join(defects));
            let layout = DataSetLayout::Auto;
            let named = Named { normal: Some(&normal), defects: defects.as_deref(), masks: None, layout };
            DataSet::read(&named, Purpose::Evaluate).err().map(|error| error.to_string())
        };
        // Several data sets, one without its test/good, a part of one, two of people's own.
        for (names, normal, other) in [
            (&["m/a/train/good/1.png", "m/a/test/cut/1.png", "m/a/ground_truth/cut/1_mask.png"][..], "m", "m/a/test"),
            (&["m/train/good/1.png", "m/test/cut/1.png"], "m", "m/t"),
            (&["test/good/1.png", "test/cut/1.png"], "test", "test/cut"),
            (&["m/normal/1.png", "m/abnormal/1.png"], "m", "m/abnormal"),
            (&["m/parts/1.png", "m/Bad/1.png"], "m", "m/Bad"),
        ] {
            let refused = refusal(names, [normal, ""]).unwrap_or_else(|| panic!("{names:?}"));
            assert!(refused.contains(other) && refused.contains("--layout plain"), "{refused}");
        }
        let whole = ["n/1.png", "m/test/cut/1.png", "m/ground_truth/cut/1.png"];
        assert!(refusal(&whole, ["n", "m"]).unwrap().contains("than parts with defects"));
        // Names above the folder that is named, and sub-folders of other names, say nothing.
        assert_eq!(refusal(&["m/train/good/monday/1.png", "m/train/good/tuesday/1.png"], ["m/train/good", ""]), None);
    }
}
