//! The unit under systemd.

use super::journal;
use super::line::{config, restart_with};
use super::machine::Machine;
use anyhow::{Context, Result, ensure};
use lineside::times::WATCHDOG;

/// The webcam's smallest frames; two a second are judged by the small bundle without haste.
pub const SMALL: (usize, usize, f64) = (320, 180, 2.0);

/// A configuration for the webcam.
pub fn small() -> String {
    config(SMALL.0, SMALL.1, SMALL.2, "")
}

fn pid(machine: &mut Machine) -> Result<String> {
    Ok(machine.run("property MainPID")?.trim().to_string())
}

/// Systemd's patience with an emulated CPU, which takes seconds for a frame where a board's own takes a tenth of one, and more where
/// the machine that emulates has other work: a part of the unit in /run. What the watchdog is for is tried with a small bundle and the
/// unit as it is.
const PATIENCE: &str = "/run/systemd/system/lineside.service.d";

/// With the shipped bundles.
pub fn becomes_ready(machine: &mut Machine) -> Result<String> {
    with_patience(machine)?;
    // For a unit of Type=notify this returns once it said READY.
    machine.run("systemctl enable -q --now lineside && systemctl -q is-active lineside")?;
    let start = machine.number("property ExecMainStartTimestampMonotonic")?;
    let ready = machine.number("property ActiveEnterTimestampMonotonic")?;
    let started = journal::records(machine, "start", 0.0)?;
    ensure!(started.len() == 1, "one start in the journal: {started:?}");
    // For every later check.
    machine.run("mkdir -p /var/lib/lineside/bundles && cp -r /mnt/line /var/lib/lineside/bundles/")?;
    machine.run("chmod -R a+rX /var/lib/lineside/bundles")?;
    Ok(format!("{:.1} s after its start, shipped bundles, 640x480", (ready - start) / 1e6))
}

pub fn frames_flow(machine: &mut Machine) -> Result<String> {
    machine.run("goes_on 120 3")?;
    let told = machine.run("property StatusText")?;
    ensure!(told.contains("frames a second"), "{told}");
    // The journal has a record of it every ten seconds.
    let enough = "test $(journalctl -b -u lineside -q -o cat | grep -c record=status) -ge 2";
    machine.run(&format!("enough() {{ {enough}; }}; within 60 enough"))?;
    let records = journal::records(machine, "status", 0.0)?;
    let mut captured = 0.0;
    for record in &records {
        let count = |key| record.number(key);
        let fates = count("inspected")? + count("skipped_similar")? + count("dropped_stale")? + count("failed")?;
        ensure!(count("captured")? == fates, "every frame has one fate: {}", record.text);
        ensure!(count("captured")? > captured, "frames come: {records:?}");
        captured = count("captured")?;
    }
    Ok(told.trim().to_string())
}

/// The control group's view, with the shipped bundles.
pub fn stays_in_its_budget(machine: &mut Machine) -> Result<String> {
    let group = "/sys/fs/cgroup$(property ControlGroup)";
    let limit = machine.number(&format!("cat {group}/memory.max"))?;
    let peak = machine.number(&format!("cat {group}/memory.peak"))?;
    let budget = lineside::config::BudgetConfig::default().memory.get_ref().as_u64() as f64;
    ensure!(limit == budget && peak < budget, "peak {peak}, limit {limit}, budget {budget}");
    let records = journal::records(machine, "status", 0.0)?;
    let last = records.last().context("no status")?;
    let (rss, allocations) = (last.number("rss_bytes")?, last.number("allocs_since_sealed")?);
    // Opening the camera takes about ninety; see docs/architecture.md.
    ensure!(rss < budget && allocations < 150.0, "{}", last.text);
    let before = records.len();
    machine.run(&format!(
        "more() {{ test $(journalctl -b -u lineside -q -o cat | grep -c record=status) -gt {before}; }}; within 60 more"
    ))?;
    let records = journal::records(machine, "status", 0.0)?;
    let later = records.last().context("no status")?.number("allocs_since_sealed")?;
    ensure!(later <= allocations + 4.0, "allocations grow: {allocations}, then {later}");
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    Ok(format!(
        "peak {:.1} MiB of {:.0} MiB, resident {:.1} MiB, {later} allocations since sealed",
        mib(peak),
        mib(limit),
        mib(rss)
    ))
}

fn with_patience(machine: &mut Machine) -> Result<()> {
    let script = format!(
        "mkdir -p {PATIENCE}; printf '[Service]\\nWatchdogSec=90s\\nTimeoutStartSec=300s\\nTimeoutStopSec=60s\\n' >{PATIENCE}/patience.conf
         systemctl daemon-reload"
    );
    machine.run(&script).map(drop)
}

/// Until [`with_patience`], the unit is as it is shipped.
fn without_patience(machine: &mut Machine) -> Result<()> {
    machine.run(&format!("rm -r {PATIENCE}; systemctl daemon-reload")).map(drop)
}

pub fn refuses_a_bad_configuration(machine: &mut Machine) -> Result<String> {
    let begun = machine.number("now")?;
    machine.write("/etc/lineside/lineside.toml", &small().replace("fps = 2.0", "fps = -1"))?;
    let (code, _) = machine.attempt("systemctl restart lineside")?;
    ensure!(code != 0, "it started");
    // Several times RestartSec.
    let state = machine.run("sleep 4; property ActiveState; property ExecMainStatus; property NRestarts")?;
    ensure!(state == "failed\n78\n0\n", "state, exit code, restarts: {state:?}");
    let said = journal::since(machine, begun)?;
    let told: Vec<_> = said.iter().filter(|entry| entry.text.contains("lineside.toml:5: source.camera.fps")).collect();
    ensure!(told.len() == 1, "told in one line: {said:?}");
    restart_with(machine, &small())?;
    Ok("exit code 78, no restart, file and line in the journal".into())
}

pub fn keeps_the_old_configuration(machine: &mut Machine) -> Result<String> {
    let (before, begun) = (pid(machine)?, machine.number("now")?);
    machine.write("/etc/lineside/lineside.toml", &small().replace("\"line\"", "\"no-such-bundle\""))?;
    machine.run("systemctl reload lineside")?;
    let refused = "journalctl -b -u lineside -q -o cat | grep -q record=reload_refused";
    machine.run(&format!("refused() {{ {refused}; }}; within 30 refused; goes_on 30"))?;
    machine.write("/etc/lineside/lineside.toml", &small())?;
    machine.run("reloads && goes_on 30")?;
    let refusals = journal::records(machine, "reload_refused", begun)?;
    ensure!(refusals.len() == 1 && refusals[0].text.contains("no-such-bundle"), "{refusals:?}");
    let starts = journal::records(machine, "start", begun)?;
    ensure!(pid(machine)? == before, "it was restarted");
    Ok(format!("refused once, then taken, {} starts in one process", starts.len()))
}

pub fn comes_back_when_killed(machine: &mut Machine) -> Result<String> {
    let (before, restarts) = (pid(machine)?, machine.number("property NRestarts")?);
    let script = format!(
        "begun=$(now); kill -KILL {before}
         back() {{ [ \"$(property MainPID)\" != {before} ] && systemctl -q is-active lineside; }}
         within 60 back && echo $(($(now) - begun))"
    );
    let took = machine.number(&script)?;
    ensure!(machine.number("property NRestarts")? == restarts + 1.0, "one restart");
    machine.run("goes_on 30")?;
    Ok(format!("READY {:.1} s after SIGKILL", took / 1e3))
}

pub fn is_restarted_when_stuck(machine: &mut Machine) -> Result<String> {
    without_patience(machine)?;
    machine.run("systemctl restart lineside; goes_on 30")?;
    let (before, restarts) = (pid(machine)?, machine.number("property NRestarts")?);
    let stopped = machine.number(&format!("now; kill -STOP {before}"))?;
    machine.run(&format!(
        "back() {{ [ \"$(property MainPID)\" != {before} ] && systemctl -q is-active lineside; }}; within 60 back"
    ))?;
    let watchdog = journal::since(machine, stopped)?.into_iter().find(|entry| entry.text.contains("Watchdog timeout"));
    let found = watchdog.context("the journal tells of no watchdog")?.at - stopped;
    let again = machine.number("property ExecMainStartTimestampMonotonic")? / 1e3 - stopped;
    let limit = WATCHDOG.as_secs_f64() * 1e3;
    // It was fed up to a second before. Restarted because of that, and not by something else before.
    ensure!(found >= limit * 0.8 && again >= found - 500.0, "found after {found} ms, started again after {again} ms");
    ensure!(machine.number("property NRestarts")? == restarts + 1.0, "one restart");
    with_patience(machine)?;
    machine.run("systemctl restart lineside; goes_on 30")?;
    Ok(format!("found after {:.1} s, started again after {:.1} s", found / 1e3, again / 1e3))
}
