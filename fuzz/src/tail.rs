//! The end of a file of records after a power cut.

use super::Target;
use super::file::file_with;
use lineside::sink::{is_ours, repair_tail};
use std::io::{Read, Seek};

/// This target.
pub const TARGET: Target = Target {
    name: "tail",
    run: target,
    max_len: 4096,
    max_memory: 1 << 20,
    iterations: 1000,
    words: &[
        b"{\"time\":\"2026-11-21T04:00:00Z\",\"record\":\"status\"}\n",
        b"\"record\":\"",
        b"}\n",
        b"\n",
        b"\t",
        b"\0\0\0\0",
        b"\t00000000\n",
        b"\r\n",
    ],
};

/// Repairs the end of a file. Files of somebody else are not repaired by the program; here they are, too.
pub fn target(data: &[u8]) {
    let mut file = file_with(data);
    let ours = is_ours(&file).expect("a file that can be read");
    let cut = repair_tail(&file).expect("a file that can be repaired") as usize;
    let mut left = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut left)).expect("a file that can be read");
    let kept = &data[..data.len() - cut];
    assert!(left == kept || left == [kept, b"\n"].concat(), "something else than the end was changed");
    assert!(left.is_empty() || left.ends_with(b"\n"), "the last line is not whole");
    assert_eq!(repair_tail(&file).expect("a file that can be repaired"), 0, "a second repair cuts more");
    // A whole line in front is never lost, nor is it any more somebody else's file.
    let line = b"{\"time\":\"2026-11-21T04:00:00Z\",\"record\":\"status\"}\n";
    if data.starts_with(line) {
        assert!(ours && left.starts_with(line), "a whole record was cut off");
    }
}
