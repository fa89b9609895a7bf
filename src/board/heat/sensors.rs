//! The processor's temperature, and the throttling bits of a Raspberry Pi's firmware, from sysfs. What a board does not have is left
//! out.
//!
//! | file under `/sys` | holds |
//! |---|---|
//! | `class/thermal/thermal_zone*/{type,temp}` | thousandths of a degree (the kernel's `Documentation/driver-api/thermal/sysfs-api.rst`) |
//! | `devices/platform/soc*/*:firmware/get_throttled` | the bits of `vcgencmd get_throttled`, in hex; Raspberry Pi kernels until March 2025 |
//! | `class/hwmon/hwmon*/in0_lcrit_alarm` of `rpi_volt` | 1 where the supply was too weak in the last seconds; all kernels on a Pi |
//!
//! `get_throttled` holds what the voltage driver read last, so that reading it clears nothing. The first read since boot
//! makes the kernel log that the file is deprecated, and newer kernels do not have it
//! (<https://github.com/raspberrypi/linux/pull/6697>). `vcgencmd` is no alternative: it needs `/dev/vcio`, which gives a process
//! control over the firmware.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Which zones count: the hottest of those that name the processor, else of those that name the whole chip, else of all.
const ZONE_NAMES: [&[&str]; 3] = [&["cpu"], &["soc", "pkg", "package"], &[""]];

/// Thousandths of a degree that a working sensor may report.
const PLAUSIBLE: std::ops::RangeInclusive<i64> = -40_000..=150_000;

/// The supply is too weak now.
const UNDER_VOLTAGE: u32 = 1;
/// The firmware has lowered the processor's clock, slows it down, or has reached its soft limit (bits 1 to 3).
const SLOWED: u32 = 0b1110;

/// The sensors of this board.
#[derive(Debug, Default)]
pub struct Sensors {
    zones: Vec<Zone>,
    throttled: Option<PathBuf>,
    undervoltage: Option<PathBuf>,
}

#[derive(Debug)]
struct Zone {
    name: String,
    file: PathBuf,
}

/// A reading of the sensors.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// The processor's temperature in °C, to a tenth.
    pub temperature: Option<f64>,
    /// The Raspberry Pi's bits.
    pub throttled: Option<u32>,
    /// Whether the supply was too weak in the last seconds, where there are no bits.
    pub undervoltage: Option<bool>,
}

impl Sensors {
    /// Finds the sensors under `sysfs`, mostly `/sys`.
    pub fn find(sysfs: &Path) -> Sensors {
        let zones: Vec<Zone> = below(&sysfs.join("class/thermal"), "thermal_zone")
            .filter_map(|zone| Some(Zone { name: word(&zone.join("type"))?, file: zone.join("temp") }))
            .collect();
        let of = |names: &[&str], zone: &Zone| {
            let zone = zone.name.to_ascii_lowercase();
            names.iter().any(|name| zone.contains(name))
        };
        let names = ZONE_NAMES.iter().find(|names| zones.iter().any(|zone| of(names, zone)));
        let zones = zones.into_iter().filter(|zone| names.is_some_and(|names| of(names, zone))).collect();
        let firmware = below(&sysfs.join("devices/platform"), "soc")
            .flat_map(|soc| below(&soc, "soc"))
            .map(|device| device.join("get_throttled"))
            .find(|file| file.exists());
        let voltage = below(&sysfs.join("class/hwmon"), "hwmon")
            .find(|device| word(&device.join("name")).is_some_and(|name| name == "rpi_volt"))
            .map(|device| device.join("in0_lcrit_alarm"));
        Sensors { zones, throttled: firmware, undervoltage: voltage }
    }

    /// The names of the zones of which the hottest counts.
    pub fn zones(&self) -> impl Iterator<Item = &str> {
        self.zones.iter().map(|zone| zone.name.as_str())
    }

    /// Reads them. Allocates no memory.
    pub fn read(&self) -> Reading {
        let temperatures = self.zones.iter().filter_map(|zone| number(&zone.file, 10));
        let hottest = temperatures.filter(|temperature| PLAUSIBLE.contains(temperature)).max();
        let throttled = self.throttled.as_ref().and_then(|file| u32::try_from(number(file, 16)?).ok());
        let undervoltage = self.undervoltage.as_ref().filter(|_| throttled.is_none());
        Reading {
            temperature: hottest.map(|thousandths| (thousandths as f64 / 100.0).round() / 10.0),
            throttled,
            undervoltage: undervoltage.and_then(|file| number(file, 10)).map(|alarm| alarm != 0),
        }
    }
}

impl Reading {
    /// Whether the firmware slows the processor down, and not because of a weak supply.
    pub fn is_slowed(&self) -> bool {
        self.throttled.is_some_and(|bits| bits & SLOWED != 0 && bits & UNDER_VOLTAGE == 0)
    }

    /// The Raspberry Pi's bits in the notation of `vcgencmd get_throttled`: `0x50005`.
    pub fn bits(&self) -> Option<String> {
        self.throttled.map(|bits| format!("{bits:#x}"))
    }
}

/// The entries of a folder whose names begin with `name`, sorted; none where there is no folder.
fn below(folder: &Path, name: &str) -> std::vec::IntoIter<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(name))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.into_iter()
}

/// The text of a short file.
fn read<'a>(file: &Path, bytes: &'a mut [u8; 64]) -> Option<&'a str> {
    let length = File::open(file).ok()?.read(bytes).ok()?;
    Some(std::str::from_utf8(&bytes[..length]).ok()?.trim())
}

fn word(file: &Path) -> Option<String> {
    read(file, &mut [0; 64]).map(str::to_string)
}

fn number(file: &Path, radix: u32) -> Option<i64> {
    let mut bytes = [0; 64];
    let text = read(file, &mut bytes)?;
    i64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sysfs with these files.
    fn sysfs(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn read(files: &[(&str, &str)]) -> Reading {
        let root = sysfs(files);
        Sensors::find(root.path()).read()
    }

    const PI_4: &str = "devices/platform/soc/soc:firmware/get_throttled";
    const PI_5: &str = "devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled";
    const TYPE: &str = "class/thermal/thermal_zone0/type";
    const TEMP: &str = "class/thermal/thermal_zone0/temp";

    #[test]
    fn a_raspberry_pi_shows_its_temperature_and_its_bits() {
        for place in [PI_4, PI_5] {
            let reading = read(&[(TYPE, "cpu-thermal\n"), (TEMP, "61342\n"), (place, "e0008\n")]);
            assert_eq!(reading, Reading { temperature: Some(61.3), throttled: Some(0xe0008), undervoltage: None });
            assert_eq!(reading.bits().unwrap(), "0xe0008");
            assert!(reading.is_slowed());
        }
        // A kernel without the bits, and a weak supply.
        let volt = "class/hwmon/hwmon1";
        let (name, alarm) = (format!("{volt}/name"), format!("{volt}/in0_lcrit_alarm"));
        let files = [(TYPE, "cpu-thermal"), (TEMP, "55000"), ("class/hwmon/hwmon0/name", "cpu_thermal")];
        let files = [&files[..], &[(name.as_str(), "rpi_volt"), (alarm.as_str(), "1")]].concat();
        let reading = read(&files);
        assert_eq!((reading.throttled, reading.undervoltage), (None, Some(true)));
        assert!(!reading.is_slowed());
    }

    #[test]
    fn bits_of_the_past_and_of_a_weak_supply_are_not_heat() {
        let slowed = |bits| Reading { throttled: Some(bits), ..Reading::default() }.is_slowed();
        assert_eq!([0x0, 0xe0000, 0x1, 0x50005].map(slowed), [false; 4]);
        assert_eq!([0x2, 0x4, 0x8, 0xe0008].map(slowed), [true; 4]);
    }

    #[test]
    fn the_processors_zone_counts_then_the_chips_then_the_hottest() {
        let reading = |zones: &[(&str, &str)]| {
            let files: Vec<(String, &str)> = zones
                .iter()
                .enumerate()
                .flat_map(|(i, (name, temperature))| {
                    let file = |file| format!("class/thermal/thermal_zone{i}/{file}");
                    [(file("type"), *name), (file("temp"), *temperature)]
                })
                .collect();
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            read(&files).temperature
        };
        let many = [("gpu-thermal", "90000"), ("CPU-therm", "50000"), ("cpu1-thermal", "52000"), ("soc", "80000")];
        assert_eq!(reading(&many), Some(52.0));
        assert_eq!(reading(&many[..1]), Some(90.0));
        assert_eq!(reading(&[many[0], many[3]]), Some(80.0));
        assert_eq!(reading(&[("acpitz", "27800"), ("x86_pkg_temp", "44000")]), Some(44.0));
        assert_eq!(reading(&[("pmic", "30000"), ("ddr", "41950")]), Some(42.0));
    }

    #[test]
    fn nonsense_and_nothing_are_left_out() {
        assert_eq!(read(&[]), Reading::default());
        for temperature in ["", "hot", "-274000", "999999999999999999999", "200000", "\u{0}\u{1}", "12 34"] {
            assert_eq!(read(&[(TYPE, "cpu-thermal"), (TEMP, temperature)]).temperature, None, "{temperature:?}");
        }
        assert_eq!(read(&[(TYPE, "cpu-thermal"), (TEMP, "-5000")]).temperature, Some(-5.0));
        for bits in ["", "xyz", "-1", "100000000", "0x"] {
            assert_eq!(read(&[(PI_4, bits)]).throttled, None, "{bits:?}");
        }
        // A zone that fails does not hide the one beside it, and one without a name is none.
        let second = ("class/thermal/thermal_zone1/type", "cpu-thermal");
        let files = [(TYPE, "cpu-thermal"), (TEMP, "hot"), second, ("class/thermal/thermal_zone1/temp", "40000")];
        assert_eq!(read(&files).temperature, Some(40.0));
        assert_eq!(read(&[(TEMP, "40000")]).temperature, None);
    }

    #[test]
    fn a_sensor_may_come_and_go() {
        let root = sysfs(&[(TYPE, "cpu-thermal"), (TEMP, "40000")]);
        let sensors = Sensors::find(root.path());
        assert_eq!(sensors.zones().collect::<Vec<_>>(), ["cpu-thermal"]);
        std::fs::remove_file(root.path().join(TEMP)).unwrap();
        assert_eq!(sensors.read().temperature, None);
        std::fs::write(root.path().join(TEMP), "41000").unwrap();
        assert_eq!(sensors.read().temperature, Some(41.0));
    }

    /// This machine, whatever it has.
    #[test]
    fn a_real_sysfs_shows_nothing_impossible() {
        let reading = Sensors::find(Path::new("/sys")).read();
        assert!(reading.temperature.is_none_or(|temperature| (-40.0..=150.0).contains(&temperature)), "{reading:?}");
    }
}
