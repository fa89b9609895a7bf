//! The GPIO line follows what the camera is shown.

use super::line::{ALARM, BAD, HEARTBEAT, LOOP, LOOP_FPS, RECORDS, WEBCAM, config, restart_with};
use super::machine::Machine;
use super::service::small;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// How often the lines are looked at, and how much the clocks of two looks differ.
const LOOK: Duration = Duration::from_millis(400);

/// How long they are looked at.
const WATCHED: Duration = Duration::from_secs(32);

/// Looks at both lines for $1 milliseconds by the kernel's list of them, which reads the chip; writes the time, by the wall
/// clock, of every change. Without a fork, so that it hardly takes time of the CPU.
const WATCH: &str = r#"
watch() {
    local base up line alarm heartbeat last_alarm= last_heartbeat= end=$(($(now) + $1))
    base=$(sed -n 's/^gpiochip0: GPIOs \([0-9]*\)-.*/\1/p' /sys/kernel/debug/gpio)
    exec 9<> <(:)
    while read -r up _ </proc/uptime && [ $((10#${up/./} * 10)) -lt $end ]; do
        alarm=low heartbeat=low
        while read -r line; do
            case $line in
                gpio-$((base + ALARM))\ *' out hi'*) alarm=high ;;
                gpio-$((base + HEARTBEAT))\ *' out hi'*) heartbeat=high ;;
            esac
        done </sys/kernel/debug/gpio
        [ $alarm = "$last_alarm" ] || echo "$EPOCHREALTIME alarm $alarm"
        [ $heartbeat = "$last_heartbeat" ] || echo "$EPOCHREALTIME heartbeat $heartbeat"
        last_alarm=$alarm last_heartbeat=$heartbeat
        read -rt 0.01 -u 9
    done
}
"#;

/// When a defect was seen and how long the verdict took, seconds.
struct Defect {
    seen: f64,
    latency: f64,
}

fn defects(machine: &mut Machine) -> Result<Vec<Defect>> {
    let text = String::from_utf8(machine.file(&format!("{RECORDS}/events.jsonl"))?)?;
    let mut defects = Vec::new();
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line)?;
        if record["record"] == "event" {
            let time: jiff::Timestamp = record["time"].as_str().context("no time")?.parse()?;
            let latency = record["latency_ms"].as_f64().context("no latency")? / 1e3;
            defects.push(Defect { seen: time.as_nanosecond() as f64 / 1e9, latency });
        }
    }
    Ok(defects)
}

pub fn follows_the_parts(machine: &mut Machine) -> Result<String> {
    machine.run(&format!("systemctl stop lineside; rm -rf {RECORDS}"))?;
    machine.run(LOOP)?;
    // Shorter than a frame, so that each bad part raises the line anew.
    restart_with(machine, &config(320, 240, LOOP_FPS, "").replace("hold_ms = 300", "hold_ms = 200"))?;
    let watch = WATCH.replace("ALARM", &ALARM.to_string()).replace("HEARTBEAT", &HEARTBEAT.to_string());
    let said = machine
        .run(&format!("{watch}\necho frames $(inspected); watch {}; echo frames $(inspected)", WATCHED.as_millis()))?;
    machine.run("kill $(cat /run/player); systemctl stop lineside")?;

    let words: Vec<Vec<&str>> = said.lines().map(|line| line.split(' ').collect()).collect();
    let frames: Vec<f64> =
        words.iter().filter(|line| line[0] == "frames").filter_map(|line| line[1].parse().ok()).collect();
    let changes = |line: &str| {
        let of: Vec<&Vec<&str>> = words.iter().filter(|words| words.len() == 3 && words[1] == line).collect();
        of.into_iter().map(|words| Ok((words[0].parse::<f64>()?, words[2] == "high"))).collect::<Result<Vec<_>>>()
    };
    let inspected = frames.last().context("no frame")? - frames[0];
    let beats = changes("heartbeat")?.len() as f64 - 1.0;
    // Once a verdict, and STATUS is up to two seconds old.
    ensure!((beats - inspected).abs() <= 8.0, "the heartbeat toggled {beats} times in {inspected} frames");

    let defects = defects(machine)?;
    // How the line stood at the beginning is no change.
    let rises: Vec<f64> = changes("alarm")?.into_iter().skip(1).filter(|(_, high)| *high).map(|(at, _)| at).collect();
    ensure!(rises.len() >= 4, "the line rose {} times: {said}", rises.len());
    let mut delays = Vec::new();
    for rise in &rises {
        // The defect whose verdict came last before it.
        let cause = defects.iter().rev().find(|defect| defect.seen + defect.latency <= rise + LOOK.as_secs_f64());
        let cause = cause.with_context(|| format!("the line rose at {rise} for no reason"))?;
        let delay = rise - cause.seen;
        ensure!(delay > 0.0, "{delay:.3} s after the frame whose verdict took {:.3} s", cause.latency);
        delays.push((delay, (delay - cause.latency).max(0.0)));
    }
    delays.sort_by(|a, b| a.0.total_cmp(&b.0));
    let [quick, median, longest] = [delays.len() / 4, delays.len() / 2, delays.len() - 1].map(|at| delays[at].0);
    let frame = 1.0 / LOOP_FPS;
    // What other programs of the machine that emulates take can only be added, to the verdict and to a look at the line: the
    // quickest of them is nearest to the board's own.
    let after_verdict = delays.iter().map(|delay| delay.1).fold(f64::INFINITY, f64::min);
    ensure!(after_verdict <= 2.0 * frame, "{delays:?} s after frame and verdict, a frame is {frame:.3} s");
    // Since the service started, as the records are. On a machine that cannot keep up, which parts are seen is left to chance.
    let (all, shown) = (*frames.last().context("no frame")?, WATCHED.as_secs_f64() * LOOP_FPS);
    let most = if inspected > 0.8 * shown { 0.5 * all } else { all - 1.0 };
    ensure!(defects.len() as f64 <= most, "good parts raise no alarm: {} of {all} frames are defects", defects.len());
    Ok(format!(
        "{} times by {} bad parts in a row of ten, {:.0} ms after the frame (the quickest quarter; \
         median {:.0}, longest {:.0}), a frame is {:.0} ms; heartbeat toggled {beats} times in {inspected} frames",
        rises.len(),
        BAD.len(),
        quick * 1e3,
        median * 1e3,
        longest * 1e3,
        frame * 1e3
    ))
}

/// The data register of the PL061 at its place in the machine; its address bits choose the lines.
const REGISTER: u64 = 0x0903_0000 + 0x3fc;

pub fn is_seen_from_outside(machine: &mut Machine) -> Result<String> {
    machine.run(WEBCAM)?;
    let alarm = |machine: &Machine| Ok::<bool, anyhow::Error>(machine.register(REGISTER)? >> ALARM & 1 == 1);
    ensure!(!alarm(machine)?, "it is on, and nobody inspects");
    restart_with(machine, &small().replace("hold_ms = 300", "hold_ms = 60000"))?;
    ensure!(alarm(machine)?, "every frame is a defect, and it is off");
    // The process dies, the kernel closes the line.
    machine.run("systemctl kill -s KILL lineside; dead() { [ \"$(property MainPID)\" = 0 ]; }; within 5 dead; true")?;
    let killed = alarm(machine)?;
    machine.run("goes_on 30; systemctl stop lineside")?;
    ensure!(!alarm(machine)?, "idle is off, and it is on after a stop");
    let word = if killed { "on" } else { "off" };
    Ok(format!("on with defects, off after a stop; after SIGKILL this chip leaves it {word}"))
}
