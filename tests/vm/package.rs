//! The Debian package: installed, upgraded, removed by apt, without a network.

use super::line::{CAMERA, RECORDS, WEBCAM};
use super::machine::Machine;
use anyhow::{Result, ensure};
use std::path::Path;
use std::process::Command;

/// Asks nothing; where both sides changed a configuration, the user's stays.
const APT: &str = "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Options::=--force-confold";

/// Puts the package into the folder that the board sees, and a former one: the same program under an older version, with
/// another default configuration.
pub fn prepare(package: &Path, share: &Path) -> Result<()> {
    std::fs::copy(package, share.join("lineside.deb"))?;
    let script = "
        set -e
        dpkg-deb -R lineside.deb former
        sed -i 's/^Version: .*/&~former/' former/DEBIAN/control
        echo '# As it was shipped before.' >>former/etc/lineside/lineside.toml
        dpkg-deb --root-owner-group -Zgzip -z1 -b former former.deb
        rm -r former";
    let output = Command::new("sh").args(["-c", script]).current_dir(share).output()?;
    ensure!(output.status.success(), "dpkg-deb: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn version(machine: &mut Machine) -> Result<String> {
    machine.run("dpkg-query -W -f '${Version}' lineside")
}

/// The former package on a clean board.
pub fn installs(machine: &mut Machine) -> Result<String> {
    machine.run(&format!("{APT} install /mnt/former.deb"))?;
    let groups = machine.run("id -nG lineside")?;
    ensure!(groups.contains("video") && groups.contains("gpio"), "groups of its user: {groups}");
    let chip = machine.run("udevadm settle; stat -c '%G %a' /dev/gpiochip0")?;
    ensure!(chip.trim() == "gpio 660", "the GPIO chip: {chip}");
    let state = machine.run("systemctl is-enabled lineside; systemctl is-active lineside; true")?;
    ensure!(state == "disabled\ninactive\n", "it waits to be configured: {state}");
    machine.run("test -s /usr/share/man/man1/lineside.1.gz && systemd-analyze verify --man=no lineside.service")?;
    // What the engineer does, in the shipped file.
    let edit = format!(
        "{WEBCAM}
         sed -i 's#^device = .*#device = \"{CAMERA}\"#' /etc/lineside/lineside.toml
         printf '[alarm]\\nchip = \"gpiochip0\"\\nline = 5\\n' >>/etc/lineside/lineside.toml
         grep -qx 'device = \"{CAMERA}\"' /etc/lineside/lineside.toml"
    );
    machine.run(&edit)?;
    Ok(format!("version {}, groups {}", version(machine)?, groups.trim()))
}

/// From the former package to this one while the service runs.
pub fn upgrades(machine: &mut Machine) -> Result<String> {
    let edited = machine.file("/etc/lineside/lineside.toml")?;
    let former = (version(machine)?, machine.run("property MainPID")?);
    machine.run(&format!("{APT} install /mnt/lineside.deb"))?;
    ensure!(machine.file("/etc/lineside/lineside.toml")? == edited, "the configuration was changed");
    machine.run("test -e /etc/lineside/lineside.toml.dpkg-dist")?;
    let now = (version(machine)?, machine.run("within 60 systemctl -q is-active lineside; property MainPID")?);
    ensure!(former.0 != now.0 && former.1 != now.1, "the new one runs: {former:?} {now:?}");
    machine.run("goes_on 60")?;
    Ok(format!("{} to {}, restarted, edited file untouched", former.0, now.0))
}

/// `remove` leaves what is the user's, `purge` takes it.
pub fn removes(machine: &mut Machine) -> Result<String> {
    machine.run(&format!("{APT} remove lineside"))?;
    let gone = "! systemctl -q is-active lineside && test ! -e /usr/bin/lineside && ! pidof lineside";
    machine.run(gone)?;
    machine.run(&format!("test -s /etc/lineside/lineside.toml && test -s {RECORDS}/events.jsonl"))?;
    machine.run(&format!("{APT} purge lineside"))?;
    machine.run("test ! -e /etc/lineside && test ! -e /var/lib/lineside")?;
    Ok("configuration and records outlive a removal and no purge".into())
}
