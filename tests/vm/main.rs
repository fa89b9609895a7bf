//! The service as it will run: an emulated board (cross/vm) boots Debian, installs the package with apt, and systemd runs the
//! unit with a virtual camera, a GPIO chip and the journal. `cross/vm/test` runs this and nothing else.

mod alarm;
mod bundles;
mod camera;
mod cameras;
mod clock;
#[path = "../common/mod.rs"]
mod common;
mod disk;
mod journal;
mod line;
mod machine;
mod package;
mod program;
mod refusals;
mod report;
mod service;

use anyhow::{Context, Result, ensure};
use common::{root, skip};
use machine::Machine;
use report::{Report, say};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn the_service_on_an_emulated_board() {
    if std::env::var_os("LINESIDE_VM").is_none() && std::env::var_os("LINESIDE_REQUIRE_ALL").is_none() {
        skip("ten minutes of time; cross/vm/test runs this");
        return;
    }
    // Sockets lie in it, whose paths must be short.
    let folder = tempfile::tempdir().unwrap();
    let (mut machine, board, mut report) = start(folder.path()).unwrap();
    let m = &mut machine;

    report.always("apt installs the package", || package::installs(m));
    report.always("the service is up and READY with a camera", || service::becomes_ready(m));
    report.check("frames flow, status and journal tell of them", || service::frames_flow(m));
    report.check("memory stays in its budget", || service::stays_in_its_budget(m));

    report.check("a defect raises the alarm within two frames", || alarm::follows_the_parts(m));
    report.check("the alarm's register, seen from outside the board", || alarm::is_seen_from_outside(m));

    report.check("wrong input is told in one line", || refusals::each_has_its_line(m));
    report.check("a bad configuration ends it with 78, for good", || service::refuses_a_bad_configuration(m));
    report.check("a reload with a bad configuration keeps the old one", || service::keeps_the_old_configuration(m));
    report.check("killed, it comes back", || service::comes_back_when_killed(m));
    report.check("stuck, the watchdog restarts it", || service::is_restarted_when_stuck(m));
    report.check("a silent camera is told and comes back", || camera::falls_silent(m));
    report.check("the camera goes and comes ten times", || camera::goes_and_comes(m));
    report.check("a camera whose planes lie apart", || camera::delivers_planes(m));
    report.check("two cameras inspect a product each", || cameras::inspect_their_products(m));
    report.check("programs deliver the frames, with the drop-ins", || program::delivers(m));
    report.check("a signed bundle is installed, shadowed, confirmed and left again", || bundles::change(m));
    report.check("the clock jumps a day ahead and two back", || clock::jumps(m));
    report.check("an upgrade keeps the edited configuration", || package::upgrades(m));
    report.check("a full disk does not stop it", || disk::gets_full(m));
    report.check("a disk that becomes read-only does not stop it", || disk::becomes_read_only(m));

    report.check("before the power cut it writes", || disk::is_written_to(m));
    let booted = machine.power_cut().and_then(|()| Machine::boot(folder.path(), &board));
    let mut machine = booted.unwrap();
    let m = &mut machine;
    report.check("after the power cut it starts by itself, nothing is torn", || disk::is_whole(m));
    report.check("removed, it leaves its data; purged, nothing", || package::removes(m));
    report.verdict();
}

/// Builds the package and the board where they are missing, and boots.
fn start(folder: &Path) -> Result<(Machine, PathBuf, Report)> {
    say("emulated board: the package");
    let package = match std::env::var_os("LINESIDE_DEB") {
        Some(package) => package.into(),
        None => last_line("cross/package", &["arm64"])?,
    };
    let share = folder.join("share");
    std::fs::create_dir(&share)?;
    package::prepare(&package, &share)?;
    disk::prepare(&share)?;
    line::write_small_bundle(&share.join("line"), |_| {})?;
    bundles::prepare(&share)?;
    line::write_pictures(&share.join("line.yuyv"))?;
    say("emulated board: the machine");
    let board = last_line("cross/vm/build", &[])?;
    let mut report = Report::new();
    let mut machine = None;
    report.always("it boots", || {
        let mut booted = Machine::boot(folder, &board)?;
        let seconds = booted.run("within 60 systemctl -q is-active multi-user.target; cut -d ' ' -f 1 /proc/uptime")?;
        machine = Some(booted);
        Ok(format!("{} s by its own clock", seconds.trim()))
    });
    Ok((machine.context("there is no board")?, board, report))
}

/// Runs a script of the project; its last line is a path.
fn last_line(script: &str, arguments: &[&str]) -> Result<PathBuf> {
    let output = Command::new(root().join(script)).args(arguments).stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{script} failed");
    Ok(said.lines().last().with_context(|| format!("{script} said nothing"))?.into())
}
