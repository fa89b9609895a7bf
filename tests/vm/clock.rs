//! The wall clock jumps, as on a board without a battery whose time comes from the network.

use super::line::RECORDS;
use super::machine::Machine;
use anyhow::{Context, Result, ensure};

const DAY: i64 = 86_400;

pub fn jumps(machine: &mut Machine) -> Result<String> {
    let state = "property MainPID; property NRestarts";
    let before = machine.run(state)?;
    machine.run(&format!("reloads && goes_on 30; : >{RECORDS}/events.jsonl; goes_on 30"))?;
    for jump in [DAY, -2 * DAY, DAY] {
        machine.run(&format!("date -s @$(($(date +%s) + {jump})) >/dev/null; goes_on 30 3"))?;
        let told = machine.run("property StatusText")?;
        let fps: f64 = told.split(' ').next().unwrap_or("").parse().with_context(|| told.clone())?;
        // By a clock that jumped a day these would be two frames in a day, or none.
        ensure!((0.02..5.0).contains(&fps), "{told}");
    }
    ensure!(machine.run(state)? == before, "it was restarted");
    let text = String::from_utf8(machine.file(&format!("{RECORDS}/events.jsonl"))?)?;
    let (mut last, mut events, mut longest) = (0, 0, 0.0_f64);
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).with_context(|| line.to_string())?;
        let Some(frame) = record["frame"].as_str().and_then(|frame| frame.strip_prefix("camera-")) else { continue };
        let frame: u64 = frame.parse()?;
        ensure!(frame > last, "records keep the order of frames: {frame} after {last}");
        (last, events) = (frame, events + 1);
        longest = longest.max(record["latency_ms"].as_f64().context("no latency")?);
    }
    ensure!(events >= 6 && longest < 600e3, "{events} events, up to {longest} ms to a verdict");
    Ok(format!("{events} events in the order of their frames, no restart, at most {longest:.0} ms to a verdict"))
}
