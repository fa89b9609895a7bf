//! Where each picture of a folder is written: no two to one name, none over an input.

use crate::commands::WrongArguments;
use crate::commands::outputs::identity;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// A picture and where its enlargement goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub input: PathBuf,
    pub output: PathBuf,
}

/// Refuses an output that is the input itself, by whatever name.
pub(super) fn refuse_same(input: &Path, output: &Path) -> Result<(), WrongArguments> {
    if identity(input).is_some_and(|file| Some(file) == identity(output)) {
        let (input, output) = (input.display(), output.display());
        return Err(WrongArguments(format!("{output}: is the picture {input} itself: give the output another name")));
    }
    Ok(())
}

/// The jobs for `files` below `folder`: the same tree below `to`, each name ending in .png. Where two would get one name, they keep
/// their own ending before it (`a.jpg.png`). What lies below `to` is no input.
pub(super) fn plan(folder: &Path, files: Vec<PathBuf>, to: &Path) -> Result<Vec<Job>, WrongArguments> {
    let refuse = |problem: String| Err(WrongArguments(problem));
    if to.exists() && !to.is_dir() {
        return refuse(format!("{}: is a file: give a folder for the pictures of {}", to.display(), folder.display()));
    }
    if identity(folder).is_some_and(|folder| Some(folder) == identity(to)) {
        return refuse(format!(
            "{}: is the folder of the pictures itself: give the output another folder",
            to.display()
        ));
    }
    // A folder that is not there yet holds nothing.
    let inside = to.canonicalize().ok();
    let is_output =
        |file: &Path| inside.as_ref().is_some_and(|to| file.canonicalize().is_ok_and(|file| file.starts_with(to)));
    let (there, files): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|file| is_output(file));
    if files.is_empty() {
        return refuse(format!("{}: no picture in it beside those in {}", folder.display(), to.display()));
    }
    let inputs: HashSet<(u64, u64)> = files.iter().filter_map(|file| identity(file)).collect();
    let jobs = name_outputs(folder, files, to)?;
    for Job { input, output } in &jobs {
        if identity(output).is_some_and(|file| inputs.contains(&file)) {
            let (input, output) = (input.display(), output.display());
            return refuse(format!(
                "{output}: is a picture to be enlarged, and {input} would be written over it: give the output another folder"
            ));
        }
    }
    let outputs: HashSet<(u64, u64)> = jobs.iter().filter_map(|job| identity(&job.output)).collect();
    let mut others = there.iter().filter(|file| identity(file).is_none_or(|file| !outputs.contains(&file)));
    if let Some(first) = others.next() {
        let (pictures, first) = (1 + others.count(), first.display().to_string());
        log::warn!(pictures = pictures, first = first.as_str(), reason = "in the folder of the output"; "passed_over");
    }
    Ok(jobs)
}

/// Refuses to write over a picture in a folder of pictures that is no enlargement by an earlier run: that is `scale` times as large as
/// its input. `size` is a picture's, `None` where it cannot be read.
pub(super) fn refuse_originals(
    folder: &Path,
    jobs: &[Job],
    scale: usize,
    size: impl Fn(&Path) -> Option<(usize, usize)>,
) -> Result<(), WrongArguments> {
    let Ok(folder) = folder.canonicalize() else { return Ok(()) };
    let is_inside = |output: &Path| output.canonicalize().is_ok_and(|output| output.starts_with(&folder));
    for Job { input, output } in jobs.iter().filter(|job| is_inside(&job.output)) {
        let enlarged = size(input).map(|(width, height)| (width * scale, height * scale));
        // What cannot be read is named when its turn comes, and nothing is written then.
        if enlarged.is_some_and(|enlarged| size(output) != Some(enlarged)) {
            let (input, output) = (input.display(), output.display());
            return Err(WrongArguments(format!(
                "{output}: is there already, and is no enlargement of {input}: give the output a folder outside the pictures"
            )));
        }
    }
    Ok(())
}

fn name_outputs(folder: &Path, files: Vec<PathBuf>, to: &Path) -> Result<Vec<Job>, WrongArguments> {
    // Some file systems take `A.png` and `a.png` for one.
    let key = |path: &Path| path.to_string_lossy().to_lowercase();
    let place = |file: &Path| to.join(file.strip_prefix(folder).unwrap_or(file));
    let mut wanted = HashMap::<String, usize>::new();
    for file in &files {
        *wanted.entry(key(&place(file).with_extension("png"))).or_default() += 1;
    }
    let mut taken = HashMap::<String, PathBuf>::new();
    let mut jobs = Vec::with_capacity(files.len());
    for input in files {
        let mut output = place(&input).with_extension("png");
        let is_png = input.extension().is_some_and(|extension| extension == "png");
        if wanted.get(&key(&output)).is_some_and(|count| *count > 1) && !is_png {
            let mut name = input.file_name().unwrap_or_default().to_os_string();
            name.push(".png");
            output.set_file_name(name);
        }
        if let Some(other) = taken.insert(key(&output), input.clone()) {
            let (input, other, output) = (input.display(), other.display(), output.display());
            return Err(WrongArguments(format!("{input} and {other} would both be written to {output}: rename one")));
        }
        jobs.push(Job { input, output });
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[&str]) -> Result<Vec<String>, String> {
        let files = files.iter().map(|name| Path::new("in").join(name)).collect();
        let jobs = name_outputs(Path::new("in"), files, Path::new("out")).map_err(|error| error.0)?;
        Ok(jobs.into_iter().map(|job| job.output.display().to_string()).collect())
    }

    #[test]
    fn no_two_pictures_get_one_name() {
        assert_eq!(names(&["a.jpg", "b.png", "s/a.jpg"]).unwrap(), ["out/a.png", "out/b.png", "out/s/a.png"]);
        assert_eq!(names(&["a.jpg", "a.png", "a.bmp"]).unwrap(), ["out/a.jpg.png", "out/a.png", "out/a.bmp.png"]);
        assert_eq!(names(&["A.jpg", "a.tif"]).unwrap(), ["out/A.jpg.png", "out/a.tif.png"]);
        assert_eq!(names(&["a.png", "a.PNG"]).unwrap(), ["out/a.png", "out/a.PNG.png"]);
        let error = names(&["a.jpg", "a.jpg.png", "a.png"]).unwrap_err();
        assert_eq!(error, "in/a.jpg.png and in/a.jpg would both be written to out/a.jpg.png: rename one");
    }
}
