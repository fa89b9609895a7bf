//! What the teacher has seen so far, on disk: teaching goes on after a power cut where it stopped, and memory does not grow
//! with the number of pictures.
//!
//! A folder with three files. `sights.bin` holds sights of a fixed length, one after the other, [`Form::sights`] a picture:
//! the picture itself, then the same with synthetic defects, or of a labelled defect the normal pictures that it was
//! transplanted into. `details.bin` holds what is large of a few of the pictures, in the same order. `pictures.jsonl` begins
//! with a line that says what the sights were made with; then comes a line for each picture, written after its sights:
//! what has no line is not there.

use super::quality::Quality;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What is known of a picture beside its sights.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Picture {
    /// What people call it: a file's path, or a frame's number.
    pub name: String,
    /// SHA-256 of the file, hexadecimal, or the frame's number.
    pub key: String,
    /// Light, sharpness, and a small copy.
    pub quality: Quality,
    /// Its brightness and sharpness, as [`Look`](crate::task::anomaly::Look) has them.
    pub look: (u32, u32),
    /// What is known of a labelled defect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

/// What is known of a labelled defect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// What people call its kind.
    pub kind: String,
    /// The keys of the normal pictures in which its other sights show it.
    pub hosts: Vec<String>,
}

/// How long the parts of a sight are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// SHA-256 of the backbone, and all else that sights depend on.
    pub made_with: String,
    /// Sights of each picture; the first is the picture itself.
    pub sights: usize,
    /// Pooled values.
    pub pooled: usize,
    /// Bytes of features.
    pub features: usize,
    /// Cells of the grid.
    pub cells: usize,
    /// Bytes of the larger view's features, and cells of its grid.
    pub detail: (usize, usize),
    /// Every how-many-th picture is noted in detail, from the first on.
    pub detailed: usize,
    /// Of these the first so many sights.
    pub detailed_sights: usize,
}

impl Form {
    /// Bytes of a sight without its detail.
    pub fn sight_bytes(&self) -> usize {
        2 * self.pooled + self.features + self.cells + 1
    }

    /// Bytes of a sight's detail.
    pub fn detail_bytes(&self) -> usize {
        self.detail.0 + self.detail.1
    }

    fn picture_bytes(&self) -> u64 {
        (self.sights * self.sight_bytes()) as u64
    }

    /// Bytes of the details of so many pictures.
    fn details_bytes(&self, pictures: usize) -> u64 {
        (pictures.div_ceil(self.detailed.max(1)) * self.detailed_sights * self.detail_bytes()) as u64
    }

    /// Whether a sight of a picture, by their numbers, is noted in detail.
    fn is_detailed(&self, picture: usize, sight: usize) -> bool {
        picture.is_multiple_of(self.detailed.max(1)) && sight < self.detailed_sights
    }
}

/// What the backbone saw in a picture, or in the same picture with a synthetic defect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// Pooled values of the views, one after the other.
    pub pooled: Vec<u16>,
    /// Features of the view whose cells are taught.
    pub features: Vec<u8>,
    /// How much of each cell a defect covers, 0..255.
    pub cover: Vec<u8>,
    /// The number of the defect's kind; of no meaning where nothing is covered.
    pub kind: u8,
    /// Features of the larger view, of a sight that is noted in detail; of others empty.
    pub detail: Vec<u8>,
    /// How much of each of their cells a defect covers, 0..255.
    pub detail_cover: Vec<u8>,
}

/// The three files.
pub struct Notebook {
    folder: PathBuf,
    form: Form,
    pictures: Vec<Picture>,
    sights: File,
    details: File,
    lines: File,
}

impl Notebook {
    /// Opens the notebook in `folder`, or begins one. One of another form is begun anew.
    ///
    /// # Errors
    /// What cannot be read or written.
    pub fn open(folder: &Path, form: Form) -> io::Result<Notebook> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("pictures.jsonl");
        let open = |path: &Path| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let (mut lines, mut sights) = (open(&path)?, open(&folder.join("sights.bin"))?);
        let mut details = open(&folder.join("details.bin"))?;
        let (mut pictures, kept) = read_lines(&lines, &form)?;
        let whole = sights.metadata()?.len() / form.picture_bytes().max(1);
        pictures.truncate(usize::try_from(whole).unwrap_or(usize::MAX));
        while form.details_bytes(pictures.len()) > details.metadata()?.len() {
            pictures.pop();
        }
        // What a power cut left half written goes.
        sights.set_len(pictures.len() as u64 * form.picture_bytes())?;
        sights.seek(SeekFrom::End(0))?;
        details.set_len(form.details_bytes(pictures.len()))?;
        details.seek(SeekFrom::End(0))?;
        lines.set_len(kept.get(pictures.len()).copied().unwrap_or(0))?;
        lines.seek(SeekFrom::End(0))?;
        if kept.is_empty() {
            writeln!(lines, "{}", serde_json::to_string(&form)?)?;
        }
        Ok(Notebook { folder: folder.to_path_buf(), form, pictures, sights, details, lines })
    }

    /// The form of its sights.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// The pictures, in the order in which they were seen.
    pub fn pictures(&self) -> &[Picture] {
        &self.pictures
    }

    /// Adds a picture with its sights.
    ///
    /// # Errors
    /// What cannot be written, a full disk above all; what was there before stays.
    pub fn add(&mut self, picture: Picture, sights: &[Sight]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(self.form.sights * self.form.sight_bytes());
        let mut details = Vec::new();
        for (number, sight) in sights.iter().enumerate() {
            if self.form.is_detailed(self.pictures.len(), number) {
                details.extend_from_slice(&sight.detail);
                details.extend_from_slice(&sight.detail_cover);
            }
            bytes.extend(sight.pooled.iter().flat_map(|value| value.to_le_bytes()));
            bytes.extend_from_slice(&sight.features);
            bytes.extend_from_slice(&sight.cover);
            bytes.push(sight.kind);
        }
        let (before, after) = (self.pictures.len(), self.pictures.len() + 1);
        let expected = self.form.details_bytes(after) - self.form.details_bytes(before);
        if bytes.len() as u64 != self.form.picture_bytes() || details.len() as u64 != expected {
            return Err(io::Error::other("sights of another form"));
        }
        self.sights.write_all(&bytes)?;
        self.details.write_all(&details)?;
        let mut line = serde_json::to_string(&picture)?;
        line.push('\n');
        self.lines.write_all(line.as_bytes())?;
        self.pictures.push(picture);
        Ok(())
    }

    /// Hands every sight to `look`, with the number of its picture and its own number; 0 is the picture itself.
    ///
    /// # Errors
    /// What cannot be read, and what `look` returns.
    pub fn read<E: From<io::Error>>(
        &self,
        mut look: impl FnMut(usize, usize, &Sight) -> Result<(), E>,
    ) -> Result<(), E> {
        let open = |name| File::open(self.folder.join(name)).map(|file| BufReader::with_capacity(1 << 18, file));
        let (mut reader, mut details) = (open("sights.bin")?, open("details.bin")?);
        let form = &self.form;
        let mut bytes = vec![0; form.sight_bytes()];
        let mut sight = Sight::default();
        for picture in 0..self.pictures.len() {
            for number in 0..form.sights {
                reader.read_exact(&mut bytes)?;
                let (pooled, rest) = bytes.split_at(2 * form.pooled);
                let (features, cover) = rest.split_at(form.features);
                sight.pooled.clear();
                sight.pooled.extend(pooled.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)));
                sight.features.clear();
                sight.features.extend_from_slice(features);
                sight.cover.clear();
                sight.cover.extend_from_slice(&cover[..form.cells]);
                sight.kind = cover[form.cells];
                let (detail, covers) = if form.is_detailed(picture, number) { form.detail } else { (0, 0) };
                sight.detail.resize(detail, 0);
                details.read_exact(&mut sight.detail)?;
                sight.detail_cover.resize(covers, 0);
                details.read_exact(&mut sight.detail_cover)?;
                look(picture, number, &sight)?;
            }
        }
        Ok(())
    }
}

/// The pictures of a file of lines, and where its first, second, … line ends; nothing where it is of another form.
fn read_lines(file: &File, form: &Form) -> io::Result<(Vec<Picture>, Vec<u64>)> {
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
            if serde_json::from_str::<Form>(&line).ok().as_ref() != Some(form) {
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
    use crate::task::anomaly::teach::folds::SIDE;
    use lineside_picture::Layout;

    fn form() -> Form {
        Form {
            made_with: "a".into(),
            sights: 2,
            pooled: 3,
            features: 4,
            cells: 1,
            detail: (3, 2),
            detailed: 1,
            detailed_sights: 2,
        }
    }

    fn picture(number: usize) -> Picture {
        let quality =
            Quality { thumbnail: lineside_picture::Picture::new(Layout::Grey, SIDE, SIDE), ..Quality::default() };
        Picture { name: format!("{number}.png"), key: format!("{number}"), quality, look: (5, 7), label: None }
    }

    fn sight(number: u8) -> Sight {
        Sight {
            pooled: vec![u16::from(number) * 300; 3],
            features: vec![number; 4],
            cover: vec![number + 1],
            kind: number,
            detail: vec![number + 2; 3],
            detail_cover: vec![number + 3; 2],
        }
    }

    fn seen(notebook: &Notebook) -> Vec<(usize, usize, Sight)> {
        let mut all = Vec::new();
        notebook
            .read(|picture, number, sight| {
                all.push((picture, number, sight.clone()));
                io::Result::Ok(())
            })
            .unwrap();
        all
    }

    #[test]
    fn what_was_written_is_read_again_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut notebook = Notebook::open(folder.path(), form()).unwrap();
        notebook.add(picture(0), &[sight(0), sight(1)]).unwrap();
        drop(notebook);
        let mut notebook = Notebook::open(folder.path(), form()).unwrap();
        notebook.add(picture(1), &[sight(2), sight(3)]).unwrap();
        let names: Vec<&str> = notebook.pictures().iter().map(|picture| &picture.name[..]).collect();
        assert_eq!(names, ["0.png", "1.png"]);
        assert_eq!(seen(&notebook), [(0, 0, sight(0)), (0, 1, sight(1)), (1, 0, sight(2)), (1, 1, sight(3))]);
        assert!(notebook.add(picture(2), &[sight(4)]).is_err());
        assert_eq!(Notebook::open(folder.path(), form()).unwrap().pictures().len(), 2);
    }

    #[test]
    fn some_are_noted_in_detail() {
        let folder = tempfile::tempdir().unwrap();
        let form = Form { detailed: 2, ..form() };
        let plain = |number| Sight { detail: Vec::new(), detail_cover: Vec::new(), ..sight(number) };
        let mut notebook = Notebook::open(folder.path(), form.clone()).unwrap();
        for number in 0..3 {
            notebook.add(picture(number), &[sight(2 * number as u8), sight(2 * number as u8 + 1)]).unwrap();
        }
        let all: Vec<Sight> = seen(&notebook).into_iter().map(|(_, _, sight)| sight).collect();
        assert_eq!(all, [sight(0), sight(1), plain(2), plain(3), sight(4), sight(5)]);
        // A picture whose details were not written any more is not there.
        notebook.details.set_len(notebook.details.metadata().unwrap().len() - 1).unwrap();
        drop(notebook);
        let notebook = Notebook::open(folder.path(), form).unwrap();
        assert_eq!(seen(&notebook).into_iter().map(|(_, _, sight)| sight).collect::<Vec<_>>(), all[..4]);
    }

    #[test]
    fn what_a_power_cut_left_half_written_is_not_there() {
        let written = |cut_lines: u64, cut_sights: u64| {
            let folder = tempfile::tempdir().unwrap();
            let mut notebook = Notebook::open(folder.path(), form()).unwrap();
            notebook.add(picture(0), &[sight(0), sight(1)]).unwrap();
            notebook.add(picture(1), &[sight(2), sight(3)]).unwrap();
            notebook.lines.set_len(notebook.lines.metadata().unwrap().len() - cut_lines).unwrap();
            notebook.sights.set_len(notebook.sights.metadata().unwrap().len() - cut_sights).unwrap();
            drop(notebook);
            let mut notebook = Notebook::open(folder.path(), form()).unwrap();
            let left = notebook.pictures().len();
            notebook.add(picture(7), &[sight(7), sight(8)]).unwrap();
            let all = seen(&notebook);
            assert_eq!(all[all.len() - 2..], [(left, 0, sight(7)), (left, 1, sight(8))]);
            assert_eq!(Notebook::open(folder.path(), form()).unwrap().pictures().len(), left + 1);
            left
        };
        assert_eq!(written(0, 0), 2);
        assert_eq!(written(1, 0), 1);
        assert_eq!(written(0, 1), 1);
        assert_eq!(written(9, 12), 1);
        assert_eq!(written(0, 25), 0);
    }

    #[test]
    fn another_form_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        Notebook::open(folder.path(), form()).unwrap().add(picture(0), &[sight(0), sight(1)]).unwrap();
        let other = Form { made_with: "b".into(), ..form() };
        assert!(Notebook::open(folder.path(), other.clone()).unwrap().pictures().is_empty());
        assert!(Notebook::open(folder.path(), form()).unwrap().pictures().is_empty());
    }
}
