//! The memory of this process, as the kernel reports it.

/// Resident bytes now (`VmRSS`), or `None` where `/proc` cannot be read.
pub fn resident_bytes() -> Option<u64> {
    status_field("VmRSS:")
}

/// The most that was ever resident (`VmHWM`), or `None` where `/proc` cannot be read.
pub fn peak_resident_bytes() -> Option<u64> {
    status_field("VmHWM:")
}

fn status_field(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_reports_a_plausible_size() {
        let now = super::resident_bytes().unwrap();
        let peak = super::peak_resident_bytes().unwrap();
        assert!(now > 100_000, "{now}");
        assert!(peak >= now / 2, "{peak} {now}");
    }
}
