//! A share that stalls keeps nobody: not a running line, not its stop, not a start. A small preloaded library stalls for ever
//! whoever opens a file or a folder that has "stalled" in its name.

use crate::common::{arg, config, ends, eventually, has, lineside, records, root, signal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static void stall(const char *path) {
    if (path == NULL || strstr(path, "stalled") == NULL) return;
    int file = syscall(SYS_openat, AT_FDCWD, getenv("TEST_STALL"), O_CREAT | O_WRONLY, 0600);
    if (file >= 0) close(file);
    for (;;) pause();
}
static int open_any(const char *path, int flags, int mode) {
    stall(path);
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more);
    return open_any(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more);
    return open_any(path, flags, mode);
}
DIR *opendir(const char *path) {
    stall(path);
    DIR *(*next)(const char *) = dlsym(RTLD_NEXT, "opendir");
    return next(path);
}
"#;

/// A line on the frames in `frames`, and the file that appears as soon as somebody is stalled.
fn start(folder: &Path, frames: &Path) -> Option<(Child, PathBuf)> {
    let (source, library, stalled) = (folder.join("stall.c"), folder.join("stall.so"), folder.join("waits"));
    std::fs::write(&source, SHIM).unwrap();
    if !has("cc", &["-shared", "-fPIC", "-O1", "-o", arg(&library), arg(&source), "-ldl"]) {
        return None;
    }
    let results = folder.join("results");
    let text = format!("[source.folder]\npath = {frames:?}\n[output]\nfolder = {results:?}\n");
    let mut command: Command = lineside();
    command.args(["run", arg(&config(folder, &text))]).env("LD_PRELOAD", &library).env("TEST_STALL", &stalled);
    Some((command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), stalled))
}

#[test]
fn a_file_on_a_stalled_share_is_reported_and_delays_no_stop() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    for name in ["1.jpg", "2-stalled.jpg"] {
        std::fs::copy(root().join("models/inspect-demo/frames/normal/part-01.jpg"), frames.join(name)).unwrap();
    }
    let Some((mut process, stalled)) = start(folder.path(), &frames) else { return };
    eventually("the stall", || stalled.exists().then_some(()));
    let results = folder.path().join("results");
    eventually("the report", || {
        let text = std::fs::read_to_string(results.join("events.jsonl")).unwrap();
        text.contains("2-stalled.jpg: reading it takes longer than").then_some(())
    });
    signal(&process, "TERM");
    assert!(ends(&mut process).success());
    let records = records(&results);
    let stop = records.last().unwrap();
    assert_eq!((&stop["record"], &stop["reason"]), (&"stop".into(), &"stop asked for".into()));
    assert_eq!((&stop["captured"], &stop["inspected"]), (&1.into(), &1.into()));
}

#[test]
fn a_start_from_a_stalled_share_ends_when_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("stalled-frames");
    std::fs::create_dir(&frames).unwrap();
    let Some((mut process, stalled)) = start(folder.path(), &frames) else { return };
    eventually("the stall", || stalled.exists().then_some(()));
    signal(&process, "TERM");
    assert!(ends(&mut process).success());
}
