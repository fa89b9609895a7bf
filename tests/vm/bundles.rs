//! The life of a bundle on the board: signed, installed from a folder, judged beside the active one, confirmed, rolled back; and what is
//! refused on the way.

use super::journal;
use super::line::{restart_with, write_small_bundle};
use super::machine::Machine;
use super::service::small;
use anyhow::{Context, Result, ensure};
use lineside::bundle::{Bundle, sign};
use std::path::Path;
use std::process::Command;

/// Commands that change the store run as the service's user.
const AS_SERVICE: &str = "cd /tmp; setpriv --reuid=lineside --regid=lineside --init-groups lineside bundle";
const HOME: &str = "/var/lib/lineside/bundles/line";

/// Makes two keys and the versions that come to the board on a medium: `line-2` and `line-3` are signed by the key that the board
/// knows, `line-stranger` by another one, `line-newer` is for a later program. Nothing is a defect for `line-3`.
pub fn prepare(share: &Path) -> Result<()> {
    let keys = tempfile::tempdir()?;
    let factory = key(keys.path(), "factory")?;
    let stranger = key(keys.path(), "stranger")?;
    std::fs::copy(keys.path().join("factory.pub"), share.join("factory.pub"))?;
    for (name, secret) in [("2", &factory), ("3", &factory), ("stranger", &stranger), ("newer", &factory)] {
        let folder = share.join(format!("line-{name}"));
        write_small_bundle(&folder, |manifest| {
            manifest.version = name.into();
            manifest.requires = (name == "newer").then(|| "999.0.0".into());
            if let Some(anomaly) = manifest.anomaly.as_mut().filter(|_| name == "3") {
                anomaly.threshold = 1.0;
            }
        })?;
        if name != "newer" {
            std::fs::write(folder.join("bundle.sig"), sign(&Bundle::open(&folder)?, secret)?)?;
        }
    }
    Ok(())
}

/// A pair of keys without a password, made by minisign itself; gives the secret one.
fn key(folder: &Path, name: &str) -> Result<String> {
    let [public, secret] = ["pub", "key"].map(|ending| folder.join(format!("{name}.{ending}")));
    let made = Command::new("minisign").args(["-G", "-W", "-p"]).arg(&public).arg("-s").arg(&secret).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(std::fs::read_to_string(secret)?)
}

/// Exit code 78 and one line with these words.
fn refused(machine: &mut Machine, arguments: &str, words: &str) -> Result<()> {
    let (code, said) = machine.attempt(&format!("{AS_SERVICE} {arguments} 2>&1"))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(code == 78 && said.trim().lines().count() == 1, "{arguments}: exit code {code}: {said}");
    ensure!(said.contains(words), "\"{words}\" is not in: {said}");
    Ok(())
}

/// Has the service take the change, which must then judge with this version, in the same process.
fn taken(machine: &mut Machine, version: &str) -> Result<()> {
    let (process, begun) = (machine.run("property MainPID")?, machine.number("now")?);
    machine.run("reloads && goes_on 60")?;
    ensure!(machine.run("property MainPID")? == process, "the service was restarted");
    let starts = journal::records(machine, "start", begun)?;
    let last = starts.last().context("no run was begun")?;
    ensure!(last.text.contains(&format!("line {version} ")), "not version {version}: {}", last.text);
    Ok(())
}

pub fn change(machine: &mut Machine) -> Result<String> {
    machine.run("chown -R lineside:lineside /var/lib/lineside/bundles; install -D -m 644 /mnt/factory.pub -t /etc/lineside/keys")?;
    restart_with(machine, &small())?;
    let bundle = |machine: &mut Machine, arguments: &str| machine.run(&format!("{AS_SERVICE} {arguments}"));
    bundle(machine, "install /mnt/line-2")?;
    taken(machine, "2")?;
    bundle(machine, "confirm line")?;

    // From here on only what the factory signed.
    machine.write("/etc/lineside/lineside.toml", &(small() + "[bundles]\nrequire_signature = true\n"))?;
    machine.run("reloads && goes_on 60")?;
    refused(machine, "install /mnt/line-stranger", "signed by a key that is not in /etc/lineside/keys")?;
    refused(machine, "install /mnt/line", "bundles.require_signature is set")?;
    refused(machine, "install /mnt/line-newer", "requires Lineside 999.0.0 or newer")?;
    machine.run(&format!("cp -r /mnt/line-3 /tmp/line-broken; sed -i 's/threshold = 1.0/threshold = 0.5/' /tmp/line-broken/bundle.toml; {}",
        "chmod -R a+rX /tmp/line-broken"))?;
    refused(machine, "install /tmp/line-broken", "/tmp/line-broken")?;

    bundle(machine, "shadow /mnt/line-3")?;
    taken(machine, "2")?;
    // To the active version every frame of the webcam is a defect, to the shadow none is.
    let differs = "journalctl -b -u lineside -q -o cat | grep -q 'record=status.*shadow_differs=[1-9]'";
    machine.run(&format!("differs() {{ {differs}; }}; within 90 differs"))?;
    machine.run(&format!("grep -q '\"record\":\"shadow\"' {}/events.jsonl", super::line::RECORDS))?;

    bundle(machine, "confirm line")?;
    taken(machine, "3")?;
    bundle(machine, "rollback line")?;
    taken(machine, "2")?;
    // The line's other checks are of the bundle as it was.
    machine.run(&format!("systemctl stop lineside; rm -r {HOME}; cp -r /mnt/line {HOME}; chmod -R a+rX {HOME}"))?;
    restart_with(machine, &small())?;
    Ok("version 2 installed, 3 shadowed, confirmed, rolled back, in one process; four refused".into())
}
