//! Pictures of another size than the bundle was taught with: scored, counted and named.

use crate::bundle::{SizeMatch, TaughtSection};
use crate::escape::one_line;
use std::path::{Path, PathBuf};

/// Counts pictures by how their size compares with what was taught.
pub struct SizeCounts<'a> {
    taught: Option<&'a TaughtSection>,
    /// All pictures.
    pictures: usize,
    /// Of another size, whatever their aspect ratio.
    pub other_size: usize,
    /// Those of them of another aspect ratio.
    pub other_aspect: usize,
    /// The first of another size, and its width and height.
    first: Option<(PathBuf, (usize, usize))>,
}

impl<'a> SizeCounts<'a> {
    /// For a bundle; one that does not say what it was taught with takes every size.
    pub fn new(taught: Option<&'a TaughtSection>) -> SizeCounts<'a> {
        SizeCounts { taught, pictures: 0, other_size: 0, other_aspect: 0, first: None }
    }

    /// Counts a picture by its width and height.
    pub fn add(&mut self, file: &Path, size: (usize, usize)) {
        self.pictures += 1;
        let found = self.taught.map_or(SizeMatch::Taught, |taught| taught.compare(size));
        if found == SizeMatch::Taught {
            return;
        }
        self.other_size += 1;
        self.other_aspect += usize::from(found == SizeMatch::OtherAspect);
        self.first.get_or_insert_with(|| (file.to_path_buf(), size));
    }

    /// What is to be reported, in one line; nothing where all pictures are of taught sizes.
    pub fn report(&self) -> Option<String> {
        let (taught, (file, (width, height))) = (self.taught?, self.first.as_ref()?);
        let SizeCounts { pictures, other_size, other_aspect, .. } = self;
        let file = file.display().to_string();
        Some(format!(
            "{other_size} of {pictures} pictures are of another size than taught ({taught}), {other_aspect} of them of another aspect \
             ratio, such as {} ({width}x{height}): a line refuses such frames, their scores say little",
            one_line(&file)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sizes_are_counted_and_the_first_is_named() {
        let taught = TaughtSection::new([((64, 48), false)], "2026-11-29".into());
        let mut counts = SizeCounts::new(Some(&taught));
        counts.add(Path::new("a.png"), (64, 48));
        assert_eq!(counts.report(), None);
        counts.add(Path::new("b.png"), (128, 96));
        counts.add(Path::new("c.png"), (64, 64));
        assert_eq!((counts.other_size, counts.other_aspect), (2, 1));
        let report = counts.report().unwrap();
        assert!(report.starts_with("2 of 3 pictures are of another size than taught (64x48), 1 of them"), "{report}");
        assert!(report.contains("b.png (128x96)"), "{report}");

        let mut unknown = SizeCounts::new(None);
        unknown.add(Path::new("a.png"), (1, 1));
        assert_eq!((unknown.other_size, unknown.report()), (0, None));
    }
}
