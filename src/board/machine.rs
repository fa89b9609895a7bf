//! Identifies the machine: its name, its CPU, and its present boot. What cannot be determined is left out.

use rustix::system::uname;
use std::path::Path;

/// The machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its name in the network.
    pub host: String,
    /// The kernel's release.
    pub os: String,
    /// The model of the board (device tree).
    pub board: Option<String>,
    /// The CPU's name; with several kinds of cores, all of them.
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// The id of this boot, 32 hexadecimal digits.
    pub boot: Option<String>,
}

/// Identifies this machine.
pub fn machine() -> Machine {
    // The service cannot read it where /proc is restricted to its own processes, so the unit passes it (`%b`).
    let boot = std::env::var("LINESIDE_BOOT").ok();
    machine_below(Path::new("/"), boot)
}

fn machine_below(root: &Path, boot: Option<String>) -> Machine {
    let name = uname();
    let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let boot = boot.or_else(|| text("proc/sys/kernel/random/boot_id"));
    Machine {
        host: name.nodename().to_string_lossy().into_owned(),
        os: name.release().to_string_lossy().into_owned(),
        board: text("sys/firmware/devicetree/base/model").map(|model| model.trim_matches('\0').trim().to_string()),
        cpu: arm_cores(&root.join("sys/devices/system/cpu")).or_else(|| model_name(&text("proc/cpuinfo")?)),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        boot: boot
            .map(|boot| boot.chars().filter(char::is_ascii_hexdigit).collect::<String>())
            .filter(|b| b.len() == 32),
    }
}

/// The name of an x86 CPU.
fn model_name(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).trim().to_string()).filter(|name| !name.is_empty())
}

/// The kinds of cores that an ARM machine has, by their main id registers.
fn arm_cores(folder: &Path) -> Option<String> {
    let mut kinds: Vec<String> = Vec::new();
    for core in 0..4096 {
        let path = folder.join(format!("cpu{core}/regs/identification/midr_el1"));
        let Ok(text) = std::fs::read_to_string(path) else { break };
        let id = u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()?;
        let kind = arm_core(id);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    (!kinds.is_empty()).then(|| kinds.join(" + "))
}

/// The core with this main id register: bits 31 to 24 are the implementer, 15 to 4 the part number. The names are those of the
/// kernel's `arch/arm64/include/asm/cputype.h`.
fn arm_core(midr: u64) -> String {
    let (implementer, part) = (midr >> 24 & 0xFF, midr >> 4 & 0xFFF);
    let name = match (implementer, part) {
        (0x41, 0xD03) => "Cortex-A53",
        (0x41, 0xD04) => "Cortex-A35",
        (0x41, 0xD05) => "Cortex-A55",
        (0x41, 0xD07) => "Cortex-A57",
        (0x41, 0xD08) => "Cortex-A72",
        (0x41, 0xD09) => "Cortex-A73",
        (0x41, 0xD0A) => "Cortex-A75",
        (0x41, 0xD0B) => "Cortex-A76",
        (0x41, 0xD0C) => "Neoverse-N1",
        (0x41, 0xD0D) => "Cortex-A77",
        (0x41, 0xD40) => "Neoverse-V1",
        (0x41, 0xD41) => "Cortex-A78",
        (0x41, 0xD42) => "Cortex-A78AE",
        (0x41, 0xD46) => "Cortex-A510",
        (0x41, 0xD47) => "Cortex-A710",
        (0x41, 0xD48) => "Cortex-X2",
        (0x41, 0xD49) => "Neoverse-N2",
        (0x41, 0xD4B) => "Cortex-A78C",
        _ => return format!("ARM core {implementer:#x} {part:#x}"),
    };
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_board_is_known_by_its_files() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "sys/firmware/devicetree/base/model", "Raspberry Pi 4 Model B Rev 1.4\0");
        for (core, midr) in ["0x00000000410fd083", "0x410fd083", "0x411fd050", "0x610f0220"].iter().enumerate() {
            write(
                root.path(),
                &format!("sys/devices/system/cpu/cpu{core}/regs/identification/midr_el1"),
                &format!("{midr}\n"),
            );
        }
        write(root.path(), "proc/sys/kernel/random/boot_id", "0a1b2c3d-0a1b-2c3d-4e5f-00112233aabb\n");
        let machine = machine_below(root.path(), None);
        assert_eq!(machine.board.as_deref(), Some("Raspberry Pi 4 Model B Rev 1.4"));
        assert_eq!(machine.cpu.as_deref(), Some("Cortex-A72 + Cortex-A55 + ARM core 0x61 0x22"));
        assert_eq!(machine.boot.as_deref(), Some("0a1b2c3d0a1b2c3d4e5f00112233aabb"));
        assert!(machine.cores > 0 && !machine.os.is_empty());
        let machine = machine_below(root.path(), Some("f".repeat(32)));
        assert_eq!(machine.boot, Some("f".repeat(32)));
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        let machine = machine_below(root.path(), Some("%b".into()));
        assert_eq!((machine.board, machine.cpu, machine.boot), (None, None, None));
        write(root.path(), "proc/cpuinfo", "processor\t: 0\nmodel name\t: AMD Ryzen 9\nflags\t\t: fpu\n");
        assert_eq!(machine_below(root.path(), None).cpu.as_deref(), Some("AMD Ryzen 9"));
    }
}
