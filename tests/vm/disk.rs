//! Disks that get full, become read-only, or lose power.

use super::journal;
use super::line::{RECORDS, WEBCAM, restart_with};
use super::machine::Machine;
use super::service::small;
use anyhow::{Context, Result, ensure};
use lineside_picture::{Picture, decode_file};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Puts a small file system into the folder that the board sees.
pub fn prepare(share: &Path) -> Result<()> {
    let output = Command::new("mkfs.ext4").args(["-q", "small.ext4", "8M"]).current_dir(share).output()?;
    ensure!(output.status.success(), "mkfs.ext4: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The lines of `events.jsonl`; `None` is one that is no JSON.
fn lines(machine: &mut Machine) -> Result<Vec<Option<Value>>> {
    let text = machine.file(&format!("{RECORDS}/events.jsonl"))?;
    ensure!(text.ends_with(b"\n"), "the last line is not closed");
    Ok(text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).ok())
        .collect())
}

/// Waits until the journal tells of a fault of the disk with all these words.
fn wait_for(machine: &mut Machine, words: &[&str], begun: f64) -> Result<()> {
    for _ in 0..60 {
        let faults = journal::records(machine, "fault", begun)?;
        let mut of_disk = faults.iter().filter(|entry| entry.value("fault") == Some("disk"));
        if of_disk.any(|entry| words.iter().all(|words| entry.text.contains(words))) {
            return Ok(());
        }
        machine.run("sleep 0.5")?;
    }
    anyhow::bail!("no fault of the disk with {words:?} in the journal")
}

/// Runs the service on a file system of its own for its records.
fn with_records_on(
    machine: &mut Machine,
    mount: &str,
    check: impl FnOnce(&mut Machine) -> Result<String>,
) -> Result<String> {
    machine.run(&format!("systemctl stop lineside; rm -rf {RECORDS}; install -d -o lineside -g lineside {RECORDS}"))?;
    machine.run(&format!("mount {mount} {RECORDS} && chown lineside:lineside {RECORDS}"))?;
    let checked = restart_with(machine, &small()).and_then(|()| check(machine));
    let unmounted = machine.run(&format!("systemctl stop lineside; umount {RECORDS} || fuser -mv {RECORDS} 2>&1"));
    let measured = checked?;
    unmounted.map(|_| measured)
}

pub fn gets_full(machine: &mut Machine) -> Result<String> {
    // Pictures make way for each other and for records: as long as there is one, a new one finds room. So others take the
    // pictures away and their room, again and again until both faults were seen.
    const FILL: &str = "
        rm -f *.png; cat /dev/zero >>filler 2>/dev/null
        setsid sh -c 'while :; do rm -f *.png; cat /dev/zero >>filler; sleep 0.05; done' >/dev/null 2>&1 &
        echo $! >/run/filler";
    const ROOM: &str = "kill -- -$(cat /run/filler); sleep 0.2; rm filler";
    with_records_on(machine, "-t tmpfs -o size=256k tmpfs", |machine| {
        let begun = machine.number("now")?;
        machine.run(&format!("goes_on 30 4; cd {RECORDS}; {FILL}"))?;
        wait_for(machine, &[".png", "No space left"], begun)?;
        // The last bytes: from now on not even a line has room.
        wait_for(machine, &["events.jsonl", "No space left"], begun)?;
        machine.run("goes_on 30 4")?;
        machine.run(&format!(
            "cd {RECORDS}; {ROOM}; goes_on 30 4; within 30 sh -c 'ls *.png >/dev/null 2>&1' && systemctl stop lineside"
        ))?;
        let lines = lines(machine)?;
        ensure!(lines.iter().all(Option::is_some), "a line is torn: {lines:?}");

        // A board that starts with a full disk inspects all the same; the start is recorded as soon as there is room.
        machine.run(&format!("cd {RECORDS}; rm -f events.jsonl; {FILL}; systemctl start lineside && goes_on 30 4"))?;
        machine.run(&format!(
            "cd {RECORDS}; test ! -s events.jsonl && {{ {ROOM}; goes_on 30 4; }} && systemctl stop lineside"
        ))?;
        let late = self::lines(machine)?;
        let first = late.first().and_then(Option::as_ref).context("no record")?;
        ensure!(first["record"] == "start" && late.len() > 1, "the start comes first, though late: {late:?}");
        Ok(format!("goes on, starts on it; {} and {} lines whole", lines.len(), late.len()))
    })
}

pub fn becomes_read_only(machine: &mut Machine) -> Result<String> {
    machine.run("cp /mnt/small.ext4 /root/")?;
    with_records_on(machine, "-o loop /root/small.ext4", |machine| {
        let begun = machine.number("now")?;
        // As after a fault of the card.
        machine.run(&format!("mount -o remount,abort {RECORDS}"))?;
        wait_for(machine, &["events.jsonl"], begun)?;
        machine.run("goes_on 30 4")?;
        machine.run("systemctl restart lineside && goes_on 30 4")?;
        Ok("goes on, starts on it".into())
    })
}

/// Defects on the card itself, and a camera that is there from the boot on.
pub fn is_written_to(machine: &mut Machine) -> Result<String> {
    machine.run(&format!(
        "{WEBCAM}; echo vivid >/etc/modules-load.d/vivid.conf
         echo 'options vivid n_devs=1 node_types=0x1 vid_cap_nr=0' >/etc/modprobe.d/vivid.conf; sync"
    ))?;
    restart_with(machine, &small())?;
    machine.run("goes_on 60 12")?;
    Ok(format!("{} records", lines(machine)?.len()))
}

pub fn is_whole(machine: &mut Machine) -> Result<String> {
    machine.run("within 90 systemctl -q is-active lineside && goes_on 60")?;
    let lines = lines(machine)?;
    // A line that was being written is closed, and the next run begins after it.
    let mut torn = 0;
    for (at, line) in lines.iter().enumerate() {
        if line.is_none() {
            let next = lines.get(at + 1).and_then(Option::as_ref).context("it is the last line")?;
            ensure!(next["record"] == "start", "a torn line, and then {next}");
            torn += 1;
        }
    }
    let starts = lines.iter().flatten().filter(|line| line["record"] == "start").count();
    ensure!(starts >= 2 && torn <= 1, "{starts} starts, {torn} torn lines");
    let mut whole = 0;
    for event in lines.iter().flatten().filter(|line| line["record"] == "event") {
        let name = event["files"]["annotated"].as_str().context("no picture")?;
        let bytes = machine.file(&format!("{RECORDS}/{name}"))?;
        let mut picture = Picture::default();
        decode_file(&bytes, 1 << 20, &mut picture).with_context(|| name.to_string())?;
        ensure!((picture.width(), picture.height()) == (320, 180), "{name}");
        whole += 1;
    }
    let begun = machine.run(&format!("ls -A {RECORDS} | grep -c '[.]part$'; true"))?;
    ensure!(begun.trim() == "0", "pictures that were begun: {begun}");
    Ok(format!("{} lines, {torn} torn and closed, {whole} pictures whole, none half", lines.len()))
}
