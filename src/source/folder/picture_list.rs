//! The picture files of a folder.

use super::passed_over::{Kind, PassedOver};
use crate::files::describe_other;
use lineside_picture::{EXTENSIONS, is_picture_name};
use std::collections::HashSet;
use std::fs::{DirEntry, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The names of folders that are no part of what people keep there: of a NAS's thumbnails, snapshots and bin, of a desktop's bin, of a
/// check of the disk, of archives.
const FOLDERS_OF_SYSTEMS: [&str; 9] = [
    "@eaDir",
    "#recycle",
    "#snapshot",
    "@Recycle",
    "@Recently-Snapshot",
    "lost+found",
    "$RECYCLE.BIN",
    "System Volume Information",
    "__MACOSX",
];

/// The pictures of a folder, and what was passed over there.
#[derive(Debug, Default)]
pub struct PictureList {
    /// Sorted by file name, then by path.
    pub files: Vec<PathBuf>,
    /// What was passed over.
    pub passed_over: PassedOver,
}

/// The picture files ([`EXTENSIONS`]) below `folder`, sub-folders included. Passed over, and counted, is what has another name, what is
/// hidden, folders of systems such as `@eaDir`, and what is no file. Links are followed, but no folder is entered twice.
///
/// # Errors
/// In one line that names the folder, where it or a sub-folder cannot be read, or it holds no picture.
pub fn list_pictures(folder: &Path) -> Result<PictureList, String> {
    list_pictures_but(folder, &[])
}

/// As [`list_pictures`], but for the folders `own`: a line writes to them.
///
/// # Errors
/// As [`list_pictures`].
pub(super) fn list_pictures_but(folder: &Path, own: &[PathBuf]) -> Result<PictureList, String> {
    let mut list = PictureList::default();
    let mut found = |path, _: Option<Metadata>| list.files.push(path);
    if let Some(unreadable) = walk(folder, own, &mut list.passed_over, &mut |_| {}, &mut found)? {
        return Err(unreadable);
    }
    if list.files.is_empty() {
        let passed_over = match list.passed_over.is_empty() {
            true => String::new(),
            false => format!("; {}", list.passed_over),
        };
        return Err(format!("{}: no picture in it (.{}){passed_over}", folder.display(), EXTENSIONS.join(", .")));
    }
    list.files.sort_by(|a, b| (a.file_name(), a).cmp(&(b.file_name(), b)));
    Ok(list)
}

/// As [`list_pictures`]; the log has what was passed over.
///
/// # Errors
/// As [`list_pictures`].
pub fn picture_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let PictureList { files, passed_over } = list_pictures(folder)?;
    passed_over.log(folder);
    Ok(files)
}

/// Calls `entered` with each folder before it is read, and `found` with each picture file and what is known of it. The order depends on
/// names alone, but for links to folders, which come last. Sub-folders that cannot be read are counted; the first of these errors is
/// returned.
///
/// # Errors
/// In one line, where `root` cannot be read.
pub(super) fn walk(
    root: &Path,
    own: &[PathBuf],
    passed_over: &mut PassedOver,
    entered: &mut dyn FnMut(&Path),
    found: &mut dyn FnMut(PathBuf, Option<Metadata>),
) -> Result<Option<String>, String> {
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let own = own.iter().filter_map(|folder| std::fs::metadata(folder).ok().map(identity)).collect();
    let (known, links) = (HashSet::new(), Vec::new());
    let mut walk = Walk { root, own, known, links, passed_over, found };
    walk.know(root);
    let (mut folders, mut unreadable) = (vec![root.to_path_buf()], None);
    loop {
        while let Some(folder) = folders.pop() {
            entered(&folder);
            match walk.read(&folder) {
                Ok(inside) => folders.extend(inside.into_iter().rev()),
                Err(error) if folder == root => return Err(error),
                Err(error) => {
                    walk.passed_over.add(Kind::Unreadable, &folder);
                    unreadable.get_or_insert(error);
                }
            }
        }
        // Last: so a folder has its own name where a link leads to it, too.
        let mut links = std::mem::take(&mut walk.links);
        if links.is_empty() {
            return Ok(unreadable);
        }
        links.sort();
        folders.extend(links.into_iter().filter(|link| walk.is_to_be_read(link)).rev());
    }
}

struct Walk<'a> {
    root: &'a Path,
    /// Device and inode of folders that are not read.
    own: HashSet<(u64, u64)>,
    /// Those of the folders that were met.
    known: HashSet<(u64, u64)>,
    /// Links to folders that were met.
    links: Vec<PathBuf>,
    passed_over: &'a mut PassedOver,
    found: &'a mut dyn FnMut(PathBuf, Option<Metadata>),
}

impl Walk<'_> {
    /// Remembers a folder; returns why it is not to be read, where it is not.
    fn know(&mut self, folder: &Path) -> Option<Kind> {
        // What cannot be looked at is to be read, which reports why.
        let metadata = std::fs::metadata(folder).ok()?;
        let identity = (metadata.dev(), metadata.ino());
        if self.own.contains(&identity) && folder != self.root {
            return Some(Kind::Own);
        }
        (!self.known.insert(identity)).then_some(Kind::SecondWay)
    }

    fn is_to_be_read(&mut self, folder: &Path) -> bool {
        let reason = self.know(folder);
        if let Some(kind) = reason {
            self.passed_over.add(kind, folder);
        }
        reason.is_none()
    }

    /// Reads one folder; returns the folders in it, sorted.
    fn read(&mut self, folder: &Path) -> Result<Vec<PathBuf>, String> {
        let failed = |error: std::io::Error| unreadable(folder, &error);
        let mut entries =
            std::fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<DirEntry>, _>>().map_err(failed)?;
        entries.sort_by_key(DirEntry::file_name);
        let mut folders = Vec::new();
        for entry in entries {
            let path = entry.path();
            let kind = entry.file_type().map_err(failed)?;
            if let Some(kind) = kind_by_name(&entry) {
                self.passed_over.add(kind, &path);
            } else if kind.is_dir() {
                if self.is_to_be_read(&path) {
                    folders.push(path);
                }
            } else {
                self.file(path, kind.is_symlink());
            }
        }
        Ok(folders)
    }

    fn file(&mut self, path: PathBuf, is_link: bool) {
        let is_picture = is_picture_name(&path);
        if !is_picture && !is_link {
            return self.passed_over.add(Kind::OtherName, &path);
        }
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => self.links.push(path),
            Ok(_) if !is_picture => self.passed_over.add(Kind::OtherName, &path),
            Ok(metadata) => match describe_other(metadata.file_type()) {
                Some(what) => self.passed_over.add(Kind::NoFile(what), &path),
                None => (self.found)(path, Some(metadata)),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.passed_over.add(Kind::NoFile("a link to nothing"), &path)
            }
            Err(_) if !is_picture => self.passed_over.add(Kind::OtherName, &path),
            // Whoever reads it reports why.
            Err(_) => (self.found)(path, None),
        }
    }
}

/// Why an entry is passed over whatever it is. The folder that a user names is meant, whatever its name.
fn kind_by_name(entry: &DirEntry) -> Option<Kind> {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    if name.starts_with('.') {
        return Some(Kind::Hidden);
    }
    FOLDERS_OF_SYSTEMS.iter().any(|known| name.eq_ignore_ascii_case(known)).then_some(Kind::OfSystem)
}

pub(super) fn unreadable(folder: &Path, error: &std::io::Error) -> String {
    format!("{}: cannot read this folder: {error}", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn files(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
    }

    fn names(folder: &Path, files: &[PathBuf]) -> Vec<String> {
        files.iter().map(|file| file.strip_prefix(folder).unwrap().to_str().unwrap().to_string()).collect()
    }

    #[test]
    fn pictures_are_sorted_by_name_across_sub_folders() {
        let folder = tempfile::tempdir().unwrap();
        files(folder.path(), &["b/02.png", "a/03.jpg", "01.JPEG", "a/notes.txt", "b/01.png"]);
        let listed = picture_files(folder.path()).unwrap();
        assert_eq!(names(folder.path(), &listed), ["01.JPEG", "b/01.png", "b/02.png", "a/03.jpg"]);
    }

    #[test]
    fn an_empty_folder_and_a_missing_one_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(picture_files(folder.path()).unwrap_err().contains("no picture in it (.png, .jpg, "));
        assert!(picture_files(&folder.path().join("x")).unwrap_err().contains("cannot read this folder"));
    }

    #[test]
    fn what_systems_and_tools_leave_in_folders_is_passed_over_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let strange = [
            "._1.png",
            ".hidden/1.png",
            ".ipynb_checkpoints/1-checkpoint.png",
            ".Trash-1000/files/1.png",
            "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg",
            "#recycle/1.png",
            "sub/@Recycle/1.png",
            "__MACOSX/1.png",
            "Thumbs.db",
            "readme.txt",
        ];
        files(folder.path(), &strange);
        files(folder.path(), &["1.png", "sub/1.png"]);
        let list = list_pictures(folder.path()).unwrap();
        assert_eq!(names(folder.path(), &list.files), ["1.png", "sub/1.png"]);
        let text = list.passed_over.to_string();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for part in [
            format!("passed over: 4 folders of a NAS or system, such as {}; ", at("#recycle")),
            format!("; 4 that are hidden, such as {}; ", at(".Trash-1000")),
            format!("; 2 whose names are no picture's, such as {}", at("Thumbs.db")),
        ] {
            assert!(text.contains(&part), "{text}");
        }
        assert!(!list.passed_over.is_suspicious());
        // A folder that the user names is meant, whatever its name.
        for named in ["@eaDir", ".hidden"] {
            assert_eq!(list_pictures(&folder.path().join(named)).unwrap().files.len(), 1, "{named}");
        }
    }

    #[test]
    fn links_to_folders_are_followed_once() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| folder.path().join(name);
        files(folder.path(), &["real/1.png", "real/deep/2.png"]);
        files(elsewhere.path(), &["3.png"]);
        symlink(elsewhere.path(), at("other")).unwrap();
        symlink(at("real"), at("again")).unwrap();
        symlink("..", at("real/up")).unwrap();
        symlink("loop", at("loop")).unwrap();
        // What is reached from two places is listed under its own name, and once.
        symlink(at("other"), elsewhere.path().join("round")).unwrap();
        let list = list_pictures(folder.path()).unwrap();
        assert_eq!(names(folder.path(), &list.files), ["real/1.png", "real/deep/2.png", "other/3.png"]);
        let text = list.passed_over.to_string();
        assert!(text.contains("3 links to folders that are listed already"), "{text}");
    }

    #[test]
    fn what_is_no_file_is_passed_over_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe.png"), rustix::fs::Mode::RWXU).unwrap();
        let error = picture_files(folder.path()).unwrap_err();
        assert!(
            error.contains("1 with a picture's name that are no file") && error.ends_with("pipe.png: a pipe (FIFO)"),
            "{error}"
        );
        let _socket = UnixListener::bind(at("socket.jpg")).unwrap();
        symlink("/dev/zero", at("device.bmp")).unwrap();
        symlink("nowhere", at("nothing.tif")).unwrap();
        symlink(".", at("loop.pgm")).unwrap();
        std::fs::write(at("file.dat"), b"").unwrap();
        symlink("file.dat", at("link.png")).unwrap();
        let list = list_pictures(folder.path()).unwrap();
        assert_eq!(list.files, [at("link.png")]);
        assert!(list.passed_over.is_suspicious());
        let text = list.passed_over.to_string();
        assert!(
            text.contains("4 with a picture's name that are no file, such as ")
                && text.contains("device.bmp: a device"),
            "{text}"
        );
    }

    #[test]
    fn a_sub_folder_that_cannot_be_read_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        files(folder.path(), &["1.png", "sub/2.png", "then/3.png"]);
        let (mut passed_over, mut listed) = (PassedOver::default(), Vec::new());
        // It vanishes while the walk is at the first file.
        let mut found = |path: PathBuf, _: Option<Metadata>| {
            let _ = std::fs::remove_dir_all(folder.path().join("sub"));
            listed.push(path);
        };
        let error = walk(folder.path(), &[], &mut passed_over, &mut |_| {}, &mut found).unwrap().unwrap();
        assert!(error.contains("sub: cannot read this folder"), "{error}");
        assert_eq!(names(folder.path(), &listed), ["1.png", "then/3.png"]);
        assert!(passed_over.to_string().contains("1 folders that cannot be read") && passed_over.is_suspicious());
    }

    #[test]
    fn what_a_line_writes_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        files(folder.path(), &["1.png", "out/1.png"]);
        let list = list_pictures_but(
            folder.path(),
            &[folder.path().join("../").join(folder.path().file_name().unwrap()).join("out")],
        )
        .unwrap();
        assert_eq!(names(folder.path(), &list.files), ["1.png"]);
        assert!(list.passed_over.to_string().contains("1 folders that this line writes to"));
    }
}
