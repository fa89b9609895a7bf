//! What cannot work is told in one line that says what to do, by `lineside check` on the board as the service's own user.

use super::line::{CAMERA, LOOP, LOOP_FPS, WEBCAM, config};
use super::machine::Machine;
use anyhow::{Result, ensure};

const CHECK: &str = "setpriv --reuid=lineside --regid=lineside GROUPS lineside check /tmp/line.toml";

/// Checks a configuration: exit code 1 or 78 and one line with these parts.
fn told(machine: &mut Machine, groups: &str, config: &str, code: i32, parts: &[&str]) -> Result<()> {
    machine.write("/tmp/line.toml", config)?;
    let (found, said) = machine.attempt(&format!("cd /tmp; {}", CHECK.replace("GROUPS", groups)))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("lineside: ")).collect();
    ensure!(found == code && lines.len() == 1, "exit code {found}, not {code}: {said}");
    for part in parts {
        ensure!(lines[0].contains(part), "\"{part}\" is not in: {}", lines[0]);
    }
    Ok(())
}

pub fn each_has_its_line(machine: &mut Machine) -> Result<String> {
    machine.run("systemctl stop lineside")?;
    machine.run(LOOP)?;
    machine.run("kill $(cat /run/player)")?;
    let mine = "--init-groups";
    let good = config(320, 240, LOOP_FPS, "");
    let camera = |other: &str| good.replace(CAMERA, other);
    told(machine, mine, &camera("/dev/video7"), 1, &["line.toml:2: /dev/video7: no such camera: plug it in"])?;
    told(machine, mine, &camera("/dev/null"), 78, &["line.toml:2: /dev/null: it is not a camera"])?;
    // The end of the cable that takes pictures.
    told(machine, mine, &camera("/dev/video8"), 78, &["line.toml:2: /dev/video8: it is not a camera"])?;

    told(machine, mine, &good.replace("line = 5", "line = 9"), 78, &["/dev/gpiochip0 has lines 0..7, no 9"])?;
    machine.run("gpioset --mode=signal gpiochip0 5=0 & echo $! >/run/holder; sleep 1")?;
    told(machine, mine, &good, 1, &["/dev/gpiochip0 line 5 is in use by \"gpioset\""])?;
    machine.run("kill $(cat /run/holder)")?;

    told(machine, "--clear-groups", &good, 1, &["its group is video", "usermod -aG video"])?;
    told(machine, "--groups=video", &good, 1, &["its group is gpio", "usermod -aG gpio"])?;

    machine.run("v4l2-ctl -d 0 --stream-mmap >/dev/null 2>&1 & echo $! >/run/holder; sleep 2")?;
    told(machine, mine, &good, 1, &["line.toml:2", "another program uses it: `fuser -v"])?;
    machine.run("kill $(cat /run/holder)")?;

    machine.run(WEBCAM)?;
    let lacks = ["line.toml:3", "it has no size 320x240; set width and height to 320x180, 640x360"];
    told(machine, mine, &good, 78, &lacks)?;
    Ok("nine faults of camera, line and permissions".into())
}
