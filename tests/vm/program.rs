//! Programs that deliver the frames, under the unit with the drop-ins of the package: what the sandbox lets through is seen only here.
//! No camera program is on the board: in its place stands a script that writes frames as it would.

use super::line::restart_with;
use super::machine::Machine;
use super::service::{SMALL, small};
use anyhow::{Context, Result, ensure};

/// Frames of yuv420, all different.
const FRAMES: &str = "/usr/local/bin/frames";
/// Where administrators put drop-ins.
const DROP_INS: &str = "/etc/systemd/system/lineside.service.d";

/// Puts the scripts in their places, and a server of frames at a port of the board: a socket of systemd's.
fn install(machine: &mut Machine) -> Result<()> {
    let bytes = SMALL.0 * SMALL.1 * 3 / 2;
    machine.write(FRAMES, &format!("#!/bin/sh\nwhile head -c {bytes} /dev/urandom; do sleep 0.3; done"))?;
    machine.write("/usr/local/bin/rpicam-vid", &format!("#!/bin/sh\nexec {FRAMES}"))?;
    machine.write("/usr/local/bin/ffmpeg", "#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/8554 && exec cat <&3")?;
    machine.run(&format!("chmod 755 {FRAMES} /usr/local/bin/rpicam-vid /usr/local/bin/ffmpeg"))?;
    let unit = |name: &str| format!("/run/systemd/system/frames{name}");
    machine.write(&unit(".socket"), "[Socket]\nListenStream=127.0.0.1:8554\nAccept=yes")?;
    machine.write(&unit("@.service"), &format!("[Service]\nExecStart={FRAMES}\nStandardOutput=socket"))?;
    machine.run("systemctl daemon-reload && systemctl start frames.socket").map(drop)
}

/// The line with another source, as `[source.camera]` of [`small`] is.
fn with_source(section: &str) -> String {
    let config = small();
    let rest = config.split_once("width").map_or("", |(_, rest)| rest);
    format!("{section}\nwidth{rest}")
}

/// Adds one of the package's drop-ins, or takes all away.
fn drop_in(machine: &mut Machine, name: Option<&str>) -> Result<()> {
    let add = name.map_or(String::new(), |name| {
        format!("install -D -m 644 /usr/share/lineside/systemd/{name}.conf -t {DROP_INS} && ")
    });
    machine.run(&format!("rm -rf {DROP_INS}; {add} systemctl daemon-reload")).map(drop)
}

/// The exposure that `systemd-analyze` finds, 0 to 10.
fn exposure(machine: &mut Machine) -> Result<f64> {
    let said = machine.run("systemd-analyze security lineside --no-pager | tail -n 1")?;
    let number = said.split_whitespace().find_map(|word| word.parse::<f64>().ok());
    number.with_context(|| said.clone())
}

pub fn delivers(machine: &mut Machine) -> Result<String> {
    install(machine)?;
    let rtsp = with_source("[source.rtsp]\nurl = \"rtsp://127.0.0.1:8554/\"");
    // The unit as it is has no network: the line starts, and waits for its camera.
    machine.write("/etc/lineside/lineside.toml", &rtsp)?;
    machine.run("systemctl restart lineside")?;
    let lost = "journalctl -b -u lineside -q -o cat | grep record=fault | grep -c fault=camera";
    machine.run(&format!("refused() {{ [ \"$({lost})\" -gt 0 ]; }}; within 60 refused"))?;
    let inspected = machine.run("inspected")?;
    ensure!(matches!(inspected.trim(), "" | "0"), "frames came through a network that is blocked: {inspected:?}");

    let mut exposures = Vec::new();
    for (name, config) in [("rtsp", rtsp), ("libcamera", with_source("[source.libcamera]"))] {
        drop_in(machine, Some(name))?;
        restart_with(machine, &config).with_context(|| format!("with {name}.conf"))?;
        exposures.push(exposure(machine)?);
        // Its program is killed, and started again.
        let program = "systemctl show lineside -P ControlGroup";
        machine.run(&format!(
            "pid() {{ for pid in $(cat /sys/fs/cgroup$({program})/cgroup.procs); do
                 [ $pid != $(property MainPID) ] && echo $pid; done; true; }}
             kill -KILL $(pid | tail -n 1); goes_on 60 3"
        ))?;
        machine.run(&format!("systemctl stop lineside; ! pgrep -f '^/bin/(ba)?sh {FRAMES}$' -u lineside"))?;
    }
    drop_in(machine, None)?;
    machine.run("systemctl stop frames.socket; rm -f /usr/local/bin/ffmpeg /usr/local/bin/rpicam-vid")?;
    restart_with(machine, &small())?;
    ensure!(exposures.iter().all(|exposure| *exposure < 2.0), "{exposures:?}");
    let [rtsp, libcamera] = exposures[..] else { unreachable!() };
    Ok(format!("none without a drop-in; killed, back; exposure {rtsp} with rtsp.conf, {libcamera} with libcamera.conf"))
}
