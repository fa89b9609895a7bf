//! Who may use a device file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What to do where this user may not open `path`: names the group that may.
pub(crate) fn permission_advice(path: &Path) -> String {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    match std::fs::metadata(path) {
        Ok(file) => advice(file.gid(), file.mode(), &groups),
        Err(_) => "no permission".into(),
    }
}

fn advice(gid: u32, mode: u32, groups: &str) -> String {
    if mode & 0o060 != 0o060 || gid == 0 {
        return "no permission: only root may use it; give it a group by a udev rule".into();
    }
    let name = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then_some(name)
    });
    let group = name.map_or_else(|| gid.to_string(), str::to_string);
    format!("no permission: its group is {group}; `usermod -aG {group} USER`, then log in again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_that_may_is_named() {
        let groups = "root:x:0:\nvideo:x:44:pi\ngpio:x:993:\n";
        assert!(advice(44, 0o020_660, groups).contains("its group is video; `usermod -aG video USER`"));
        assert!(advice(7, 0o020_660, groups).contains("its group is 7;"));
        assert!(advice(44, 0o020_600, groups).contains("only root"));
        assert!(advice(0, 0o020_660, groups).contains("only root"));
    }
}
