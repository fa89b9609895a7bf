//! The backbone's features of all pictures so far, on disk: after a power cut training resumes where it stopped, and memory does
//! not grow with the number of pictures.
//!
//! A folder with three files. `sights.bin` holds samples of a fixed length, [`CacheLayout::samples`] per picture: first the
//! picture itself, then the same with synthetic defects, or for a labelled defect the normal pictures into which it is
//! transplanted. Varied copies of a picture follow it as pictures of their own. `details.bin` holds the features of the larger view
//! for some of the pictures, in the same order.
//! `pictures.jsonl` begins with a line that states the [`CacheLayout`]; a line per picture follows, written after its samples:
//! a picture without a line does not count.

use super::quality::PictureQuality;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A picture's line in the cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrainingPicture {
    /// The file's path.
    pub name: String,
    /// SHA-256 of the file, hexadecimal.
    pub key: String,
    /// Exposure, sharpness and thumbnail.
    pub quality: PictureQuality,
    /// Brightness and sharpness in the units of [`ImageStats`](crate::task::anomaly::ImageStats).
    #[serde(rename = "look")]
    pub image_stats: (u32, u32),
    /// 0 for a picture itself; varied copies of it follow it, with its key, counted from 1.
    #[serde(default)]
    pub copy: usize,
    /// Labelled defects only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<DefectLabel>,
}

/// The label of a defect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefectLabel {
    /// The kind of defect: the name of its folder.
    pub kind: String,
    /// The keys of the normal pictures into which it is transplanted, one for each further sample.
    pub hosts: Vec<String>,
}

/// What samples were made with, and the lengths of their parts. A cache of another layout is discarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheLayout {
    /// The program's version, the backbone's SHA-256 and all else that samples depend on.
    pub made_with: String,
    /// Samples per picture; the first is the picture itself.
    #[serde(rename = "sights")]
    pub samples: usize,
    /// Varied copies of each picture.
    pub copies: usize,
    /// Number of pooled features.
    pub pooled: usize,
    /// Bytes of the features of the patch-level view.
    pub features: usize,
    /// Cells of its grid.
    pub cells: usize,
    /// Bytes of the feature planes of the larger view that every sample has.
    pub planes: usize,
    /// Bytes of the features of the larger view, and cells of its grid.
    pub detail: (usize, usize),
    /// Every Nth picture has detail, from the first on.
    #[serde(rename = "detailed")]
    pub detail_step: usize,
    /// The number of its samples that have detail, from the first on.
    #[serde(rename = "detailed_sights")]
    pub detailed_samples: usize,
}

impl CacheLayout {
    /// Bytes of a sample without its detail.
    pub fn sample_bytes(&self) -> usize {
        2 * self.pooled + self.features + self.planes + self.cells + 1
    }

    /// Bytes of a sample's detail.
    pub fn detail_bytes(&self) -> usize {
        self.detail.0 + self.detail.1
    }

    fn picture_bytes(&self) -> u64 {
        (self.samples * self.sample_bytes()) as u64
    }

    /// Bytes of the details of the first `pictures` pictures.
    fn details_bytes(&self, pictures: usize) -> u64 {
        (pictures.div_ceil(self.detail_step.max(1)) * self.detailed_samples * self.detail_bytes()) as u64
    }

    /// Whether a sample has detail, by the numbers of picture and sample.
    fn has_detail(&self, picture: usize, sample: usize) -> bool {
        picture.is_multiple_of(self.detail_step.max(1)) && sample < self.detailed_samples
    }
}

/// The backbone's features of a picture, or of a copy with a synthetic or transplanted defect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeatureSample {
    /// Pooled features of the larger view.
    pub pooled: Vec<u16>,
    /// Features of the patch-level view.
    pub features: Vec<u8>,
    /// Some feature planes of the larger view.
    pub planes: Vec<u8>,
    /// How much of each cell the defect covers, 0..255.
    pub cover: Vec<u8>,
    /// The number of the defect's kind; without meaning where nothing is covered.
    pub kind: u8,
    /// Features of the larger view; empty for a sample without detail.
    pub detail: Vec<u8>,
    /// How much of each of its cells the defect covers, 0..255.
    pub detail_cover: Vec<u8>,
}

/// The open cache.
pub struct FeatureCache {
    folder: PathBuf,
    layout: CacheLayout,
    pictures: Vec<TrainingPicture>,
    samples: File,
    details: File,
    lines: File,
}

impl FeatureCache {
    /// Opens the cache in `folder`, or creates it. One of another layout is emptied.
    ///
    /// # Errors
    /// [`io::Error`] where a file cannot be read or written.
    pub fn open(folder: &Path, layout: CacheLayout) -> io::Result<FeatureCache> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("pictures.jsonl");
        let open = |path: &Path| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let (mut lines, mut samples) = (open(&path)?, open(&folder.join("sights.bin"))?);
        let mut details = open(&folder.join("details.bin"))?;
        let (mut pictures, kept) = read_lines(&lines, &layout)?;
        let whole = samples.metadata()?.len() / layout.picture_bytes().max(1);
        pictures.truncate(usize::try_from(whole).unwrap_or(usize::MAX));
        while layout.details_bytes(pictures.len()) > details.metadata()?.len() {
            pictures.pop();
        }
        // A picture counts when all of its copies are there.
        pictures.truncate(pictures.len() - pictures.len() % (1 + layout.copies));
        // Removes what a power cut left half written.
        samples.set_len(pictures.len() as u64 * layout.picture_bytes())?;
        samples.seek(SeekFrom::End(0))?;
        details.set_len(layout.details_bytes(pictures.len()))?;
        details.seek(SeekFrom::End(0))?;
        lines.set_len(kept.get(pictures.len()).copied().unwrap_or(0))?;
        lines.seek(SeekFrom::End(0))?;
        if kept.is_empty() {
            writeln!(lines, "{}", serde_json::to_string(&layout)?)?;
        }
        Ok(FeatureCache { folder: folder.to_path_buf(), layout, pictures, samples, details, lines })
    }

    /// The layout of its samples.
    pub fn layout(&self) -> &CacheLayout {
        &self.layout
    }

    /// The pictures, in the order in which they were added.
    pub fn pictures(&self) -> &[TrainingPicture] {
        &self.pictures
    }

    /// Adds a picture with its samples.
    ///
    /// # Errors
    /// [`io::Error`] where nothing more can be written, as on a full disk, and where the samples have another layout. What was
    /// there before stays.
    pub fn add(&mut self, picture: TrainingPicture, samples: &[FeatureSample]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(self.layout.samples * self.layout.sample_bytes());
        let mut details = Vec::new();
        for (number, sample) in samples.iter().enumerate() {
            if self.layout.has_detail(self.pictures.len(), number) {
                details.extend_from_slice(&sample.detail);
                details.extend_from_slice(&sample.detail_cover);
            }
            bytes.extend(sample.pooled.iter().flat_map(|value| value.to_le_bytes()));
            bytes.extend_from_slice(&sample.features);
            bytes.extend_from_slice(&sample.planes);
            bytes.extend_from_slice(&sample.cover);
            bytes.push(sample.kind);
        }
        let (before, after) = (self.pictures.len(), self.pictures.len() + 1);
        let expected = self.layout.details_bytes(after) - self.layout.details_bytes(before);
        if bytes.len() as u64 != self.layout.picture_bytes() || details.len() as u64 != expected {
            return Err(io::Error::other("samples of another layout"));
        }
        self.samples.write_all(&bytes)?;
        self.details.write_all(&details)?;
        let mut line = serde_json::to_string(&picture)?;
        line.push('\n');
        self.lines.write_all(line.as_bytes())?;
        self.pictures.push(picture);
        Ok(())
    }

    /// Calls `visit` with the number of the picture, the number of the sample in it (0 is the picture itself) and the sample, for
    /// every sample in order.
    ///
    /// # Errors
    /// [`io::Error`] where a file cannot be read, and the first error of `visit`.
    pub fn read<E: From<io::Error>>(
        &self,
        mut visit: impl FnMut(usize, usize, &FeatureSample) -> Result<(), E>,
    ) -> Result<(), E> {
        let open = |name| File::open(self.folder.join(name)).map(|file| BufReader::with_capacity(1 << 18, file));
        let (mut reader, mut details) = (open("sights.bin")?, open("details.bin")?);
        let layout = &self.layout;
        let mut bytes = vec![0; layout.sample_bytes()];
        let mut sample = FeatureSample::default();
        for picture in 0..self.pictures.len() {
            for number in 0..layout.samples {
                reader.read_exact(&mut bytes)?;
                let (pooled, rest) = bytes.split_at(2 * layout.pooled);
                let (features, rest) = rest.split_at(layout.features);
                let (planes, cover) = rest.split_at(layout.planes);
                sample.pooled.clear();
                sample.pooled.extend(pooled.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)));
                sample.features.clear();
                sample.features.extend_from_slice(features);
                sample.planes.clear();
                sample.planes.extend_from_slice(planes);
                sample.cover.clear();
                sample.cover.extend_from_slice(&cover[..layout.cells]);
                sample.kind = cover[layout.cells];
                let (detail, covers) = if layout.has_detail(picture, number) { layout.detail } else { (0, 0) };
                sample.detail.resize(detail, 0);
                details.read_exact(&mut sample.detail)?;
                sample.detail_cover.resize(covers, 0);
                details.read_exact(&mut sample.detail_cover)?;
                visit(picture, number, &sample)?;
            }
        }
        Ok(())
    }
}

/// The pictures of `pictures.jsonl`, and the offsets at which its lines end; nothing where it has another layout.
fn read_lines(file: &File, layout: &CacheLayout) -> io::Result<(Vec<TrainingPicture>, Vec<u64>)> {
    let mut reader = BufReader::new(file);
    let (mut pictures, mut ends, mut line, mut end) = (Vec::new(), Vec::new(), String::new(), 0);
    loop {
        line.clear();
        let read = reader.read_line(&mut line);
        if !matches!(read, Ok(1..)) || !line.ends_with('\n') {
            break;
        }
        end += line.len() as u64;
        if ends.is_empty() {
            if serde_json::from_str::<CacheLayout>(&line).ok().as_ref() != Some(layout) {
                break;
            }
        } else {
            match serde_json::from_str(&line) {
                Ok(picture) => pictures.push(picture),
                Err(_) => break,
            }
        }
        ends.push(end);
    }
    Ok((pictures, ends))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::anomaly::teach::folds::THUMBNAIL_SIDE;
    use lineside_picture::Layout;

    fn layout() -> CacheLayout {
        CacheLayout {
            made_with: "a".into(),
            samples: 2,
            copies: 0,
            pooled: 3,
            features: 4,
            cells: 1,
            planes: 2,
            detail: (3, 2),
            detail_step: 1,
            detailed_samples: 2,
        }
    }

    fn picture(number: usize) -> TrainingPicture {
        let quality = PictureQuality {
            thumbnail: lineside_picture::Picture::new(Layout::Grey, THUMBNAIL_SIDE, THUMBNAIL_SIDE),
            ..PictureQuality::default()
        };
        TrainingPicture {
            name: format!("{number}.png"),
            key: format!("{number}"),
            quality,
            image_stats: (5, 7),
            copy: 0,
            label: None,
        }
    }

    fn sample(number: u8) -> FeatureSample {
        FeatureSample {
            pooled: vec![u16::from(number) * 300; 3],
            features: vec![number; 4],
            planes: vec![number + 4; 2],
            cover: vec![number + 1],
            kind: number,
            detail: vec![number + 2; 3],
            detail_cover: vec![number + 3; 2],
        }
    }

    fn all_samples(cache: &FeatureCache) -> Vec<(usize, usize, FeatureSample)> {
        let mut all = Vec::new();
        cache
            .read(|picture, number, sample| {
                all.push((picture, number, sample.clone()));
                io::Result::Ok(())
            })
            .unwrap();
        all
    }

    #[test]
    fn written_pictures_are_read_again_and_others_are_added() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = FeatureCache::open(folder.path(), layout()).unwrap();
        cache.add(picture(0), &[sample(0), sample(1)]).unwrap();
        drop(cache);
        let mut cache = FeatureCache::open(folder.path(), layout()).unwrap();
        cache.add(picture(1), &[sample(2), sample(3)]).unwrap();
        let names: Vec<&str> = cache.pictures().iter().map(|picture| &picture.name[..]).collect();
        assert_eq!(names, ["0.png", "1.png"]);
        assert_eq!(all_samples(&cache), [(0, 0, sample(0)), (0, 1, sample(1)), (1, 0, sample(2)), (1, 1, sample(3))]);
        assert!(cache.add(picture(2), &[sample(4)]).is_err());
        assert_eq!(FeatureCache::open(folder.path(), layout()).unwrap().pictures().len(), 2);
    }

    #[test]
    fn a_picture_whose_copies_are_not_complete_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let layout = CacheLayout { copies: 2, ..layout() };
        let mut cache = FeatureCache::open(folder.path(), layout.clone()).unwrap();
        for number in 0..5 {
            let picture = TrainingPicture { copy: number % 3, ..picture(number / 3) };
            cache.add(picture, &[sample(number as u8), sample(9)]).unwrap();
        }
        drop(cache);
        let cache = FeatureCache::open(folder.path(), layout).unwrap();
        assert_eq!(cache.pictures().iter().map(|picture| picture.copy).collect::<Vec<usize>>(), [0, 1, 2]);
        assert_eq!(all_samples(&cache).len(), 6);
    }

    #[test]
    fn some_pictures_have_detail() {
        let folder = tempfile::tempdir().unwrap();
        let layout = CacheLayout { detail_step: 2, ..layout() };
        let plain = |number| FeatureSample { detail: Vec::new(), detail_cover: Vec::new(), ..sample(number) };
        let mut cache = FeatureCache::open(folder.path(), layout.clone()).unwrap();
        for number in 0..3 {
            cache.add(picture(number), &[sample(2 * number as u8), sample(2 * number as u8 + 1)]).unwrap();
        }
        let all: Vec<FeatureSample> = all_samples(&cache).into_iter().map(|(_, _, sample)| sample).collect();
        assert_eq!(all, [sample(0), sample(1), plain(2), plain(3), sample(4), sample(5)]);
        // A picture whose details were not written completely does not count.
        cache.details.set_len(cache.details.metadata().unwrap().len() - 1).unwrap();
        drop(cache);
        let cache = FeatureCache::open(folder.path(), layout).unwrap();
        assert_eq!(all_samples(&cache).into_iter().map(|(_, _, sample)| sample).collect::<Vec<_>>(), all[..4]);
    }

    #[test]
    fn what_a_power_cut_left_half_written_is_removed() {
        let pictures_left = |cut_lines: u64, cut_samples: u64| {
            let folder = tempfile::tempdir().unwrap();
            let mut cache = FeatureCache::open(folder.path(), layout()).unwrap();
            cache.add(picture(0), &[sample(0), sample(1)]).unwrap();
            cache.add(picture(1), &[sample(2), sample(3)]).unwrap();
            cache.lines.set_len(cache.lines.metadata().unwrap().len() - cut_lines).unwrap();
            cache.samples.set_len(cache.samples.metadata().unwrap().len() - cut_samples).unwrap();
            drop(cache);
            let mut cache = FeatureCache::open(folder.path(), layout()).unwrap();
            let left = cache.pictures().len();
            cache.add(picture(7), &[sample(7), sample(8)]).unwrap();
            let all = all_samples(&cache);
            assert_eq!(all[all.len() - 2..], [(left, 0, sample(7)), (left, 1, sample(8))]);
            assert_eq!(FeatureCache::open(folder.path(), layout()).unwrap().pictures().len(), left + 1);
            left
        };
        assert_eq!(pictures_left(0, 0), 2);
        assert_eq!(pictures_left(1, 0), 1);
        assert_eq!(pictures_left(0, 1), 1);
        assert_eq!(pictures_left(9, 14), 1);
        assert_eq!(pictures_left(0, 29), 0);
    }

    #[test]
    fn another_layout_empties_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        FeatureCache::open(folder.path(), layout()).unwrap().add(picture(0), &[sample(0), sample(1)]).unwrap();
        let other = CacheLayout { made_with: "b".into(), ..layout() };
        assert!(FeatureCache::open(folder.path(), other.clone()).unwrap().pictures().is_empty());
        assert!(FeatureCache::open(folder.path(), layout()).unwrap().pictures().is_empty());
    }
}
