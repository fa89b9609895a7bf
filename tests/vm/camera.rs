//! A camera that goes and comes, one that falls silent, and one whose planes lie in memory of their own.

use super::journal;
use super::line::{RECORDS, WEBCAM, restart_with};
use super::machine::Machine;
use super::service::small;
use anyhow::{Context, Result, ensure};
use lineside_picture::{Picture, decode_file};
use serde_json::Value;

/// Losses that are reported one by one; of one that comes again and again, later ones are only counted.
const REPORTED_AT_ONCE: usize = 4;

/// The faults of the camera in the journal.
const LOST: &str = "journalctl -b -u lineside -q -o cat | grep record=fault | grep fault=camera";

/// Descriptors and resident KiB of the service.
fn held(machine: &mut Machine) -> Result<(f64, f64)> {
    let pid = "$(property MainPID)";
    // The least of some looks: a picture that is being written has one, too.
    let looks = format!("for look in 1 2 3 4 5; do ls /proc/{pid}/fd | wc -l; sleep 0.2; done | sort -n | head -n 1");
    let descriptors = machine.number(&looks)?;
    Ok((
        descriptors,
        machine.number(&format!("sed -n 's/^VmRSS:[[:space:]]*\\([0-9]*\\) kB/\\1/p' /proc/{pid}/status"))?,
    ))
}

/// Of the journal since `begun`: when the loss was told, where it was, and when frames came again.
fn outage(machine: &mut Machine, begun: f64) -> Result<(Option<f64>, f64)> {
    let entries = journal::since(machine, begun)?;
    let is_loss = |entry: &&journal::Entry| {
        entry.is("fault") && entry.value("fault") == Some("camera") && entry.value("state") == Some("begin")
    };
    let lost = entries.iter().find(is_loss).map(|entry| entry.at);
    let streams = entries.iter().find(|entry| entry.is("camera_streams")).map(|entry| entry.at);
    Ok((lost, streams.with_context(|| format!("no camera_streams: {entries:?}"))?))
}

pub fn goes_and_comes(machine: &mut Machine) -> Result<String> {
    let pid = machine.run("property MainPID")?;
    let (mut first, mut last, mut told, mut back) = (None, (0.0, 0.0), 0.0_f64, 0.0_f64);
    for round in 0..10 {
        // As a cable that is pulled; then the driver goes, too, as soon as the program lets it. The camera returns only when
        // its loss is reported.
        let reported = machine.number(&format!("{LOST} | grep -c state=begin; true"))?;
        let wait = if round < REPORTED_AT_ONCE { "within 20 more || exit 1" } else { "true" };
        let script = format!(
            "now; echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
             unloaded() {{ modprobe -r vivid 2>/dev/null; }}; within 10 unloaded || exit 1
             more() {{ [ \"$({LOST} | grep -c state=begin)\" -gt {reported} ]; }}; {wait}
             sleep 0.5; ({WEBCAM}) 2>/dev/null; now; goes_on 30 1"
        );
        let said = machine.run(&script).with_context(|| format!("round {round}"))?;
        let times = said.lines().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [begun, returned] = times[..] else { anyhow::bail!("{said:?}") };
        let (lost, streams) = outage(machine, begun)?;
        match lost {
            Some(lost) => told = told.max(lost - begun),
            None => ensure!(round >= REPORTED_AT_ONCE, "round {round}: the loss was not reported"),
        }
        back = back.max(streams - returned);
        last = held(machine)?;
        first = first.or((round == 1).then_some(last));
    }
    let first = first.context("two rounds")?;
    ensure!(first.0 == last.0, "descriptors: {} after two rounds, {} after ten", first.0, last.0);
    ensure!(last.1 <= first.1 + 1024.0, "resident KiB: {} after two rounds, {} after ten", first.1, last.1);
    ensure!(machine.run("property MainPID")? == pid, "it was restarted");
    Ok(format!(
        "told within {:.1} s, frames within {:.1} s, {} descriptors and {:.1} MiB, as after the second time {:.1}",
        told / 1e3,
        back / 1e3,
        last.0,
        last.1 / 1024.0,
        first.1 / 1024.0
    ))
}

pub fn falls_silent(machine: &mut Machine) -> Result<String> {
    let drop = |percent: u32| format!("v4l2-ctl -d 0 -c percentage_of_dropped_buffers={percent}");
    let begun = machine.number(&format!("now; {}", drop(100)))?;
    let lost = "journalctl -b -u lineside -q -o cat | grep record=fault | grep -q 'sent nothing'";
    machine.run(&format!("lost() {{ {lost}; }}; within 20 lost"))?;
    let returned = machine.number(&format!("{}; now", drop(0)))?;
    machine.run("goes_on 30 1")?;
    let (lost, streams) = outage(machine, begun)?;
    let (told, back) = (lost.context("not told")? - begun, streams - returned);
    Ok(format!("told after {:.1} s, frames {:.1} s after its return", told / 1e3, back / 1e3))
}

/// The same webcam by V4L2's multi-planar interface.
const OF_PLANES: &str =
    "modprobe -r vivid; modprobe vivid n_devs=1 node_types=0x1 vid_cap_nr=0 multiplanar=2 && udevadm settle";

/// What the line sees in a format: the frame of the last event.
fn frame_in(machine: &mut Machine, format: &str) -> Result<Picture> {
    // Nothing that moves.
    machine.run("v4l2-ctl -d 0 -c osd_text_mode=2")?;
    restart_with(machine, &small().replace("[anomaly]", &format!("format = \"{format}\"\n[anomaly]")))?;
    machine.run("goes_on 30 2; systemctl stop lineside")?;
    let text = machine.file(&format!("{RECORDS}/events.jsonl"))?;
    let mut records = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let last = records.rfind(|record| record["record"] == "event").context("no event")?;
    let name = last["files"]["original"].as_str().context("no picture")?;
    let mut picture = Picture::default();
    decode_file(&machine.file(&format!("{RECORDS}/{name}"))?, 1 << 20, &mut picture)
        .with_context(|| name.to_string())?;
    Ok(picture)
}

pub fn delivers_planes(machine: &mut Machine) -> Result<String> {
    let expected = frame_in(machine, "yuyv")?;
    machine.run(&format!("systemctl stop lineside; {OF_PLANES}"))?;
    let devices = machine.run("lineside devices")?;
    ensure!(devices.contains("NM12") && devices.contains("YM12"), "{devices}");
    let mut told = Vec::new();
    for format in ["nv12m", "nv21m", "nv16m", "yuv420m", "yvu420m", "nv12"] {
        let picture = frame_in(machine, format)?;
        ensure!((picture.width(), picture.height()) == (expected.width(), expected.height()), "{format}");
        // But for the edges of the bars, where chroma is coarser.
        let far = |(a, b): (&u8, &u8)| a.abs_diff(*b) > 4;
        let apart = picture.data().iter().zip(expected.data()).filter(|pair| far(*pair)).count();
        let share = apart as f64 / expected.data().len() as f64;
        ensure!(share < 0.05, "{format}: {share:.3} of the samples differ from YUYV's");
        told.push(format!("{format} {:.1} %", share * 100.0));
    }
    machine.run(&format!("systemctl stop lineside; {WEBCAM}"))?;
    restart_with(machine, &small())?;
    Ok(format!("samples that differ from YUYV's: {}", told.join(", ")))
}
