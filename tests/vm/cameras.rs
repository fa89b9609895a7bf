//! Two cameras in one service: each inspects its own product with the camera's controls for it, and one that falls silent holds the other
//! up in nothing.

use super::line::{RECORDS, WEBCAM, restart_with};
use super::machine::Machine;
use super::service::{SMALL, small};
use anyhow::{Context, Result, ensure};

/// Two webcams.
const TWO: &str = "modprobe -r vivid; modprobe vivid n_devs=2 node_types=0x1,0x1 vid_cap_nr=0,1 && udevadm settle";
/// Where administrators put drop-ins.
const DROP_INS: &str = "/etc/systemd/system/lineside.service.d";
/// The network that a page needs, as docs/operations.md has it.
const NETWORK: &str =
    "[Service]\nPrivateNetwork=no\nRestrictAddressFamilies=AF_INET AF_INET6\nIPAddressAllow=localhost\n";

fn configuration() -> String {
    let product = |name: &str, code: u32, brightness: u32| {
        format!(
            "[[product]]\nname = \"{name}\"\ncode = {code}\nbundle = \"line\"\ncontrols = {{ brightness = {brightness} }}\n"
        )
    };
    let camera = |name: &str, number: u32| {
        format!(
            "[[camera]]\nname = \"{name}\"\n[camera.source.camera]\ndevice = \"/dev/video{number}\"\n\
             width = {}\nheight = {}\nfps = {:.1}\n",
            SMALL.0, SMALL.1, SMALL.2
        )
    };
    format!(
        "[super_resolution]\nwhen = \"never\"\n[output]\nfolder = \"{RECORDS}\"\nkeep_free = \"0 B\"\n[status_page]\ncontrol = true\n{}{}{}{}\
         [camera.products]\nstart = \"light\"\n",
        product("dark", 1, 40),
        product("light", 2, 200),
        camera("top", 0),
        camera("side", 1)
    )
}

/// Waits until a camera has recorded two more events of a product: every frame of a webcam is a defect.
fn goes_on(machine: &mut Machine, camera: &str, product: &str) -> Result<()> {
    let events = format!(
        "grep '\"record\":\"event\"' {RECORDS}/{camera}/events.jsonl 2>/dev/null | grep -c '\"product\":\"{product}\"'"
    );
    let script = format!("seen=$({events}); more() {{ [ \"$({events})\" -gt $((seen + 1)) ]; }}; within 90 more");
    machine.run(&script).map(drop).with_context(|| format!("camera {camera} does not inspect {product}"))
}

fn brightness(machine: &mut Machine, device: u32, wanted: u32) -> Result<()> {
    let is = format!("[ \"$(v4l2-ctl -d {device} -C brightness)\" = \"brightness: {wanted}\" ]");
    machine.run(&format!("is() {{ {is}; }}; within 60 is")).map(drop).with_context(|| format!("brightness of {device}"))
}

pub fn inspect_their_products(machine: &mut Machine) -> Result<String> {
    machine.run(&format!("systemctl stop lineside; {TWO} && mkdir -p {DROP_INS}"))?;
    machine.write(&format!("{DROP_INS}/page.conf"), NETWORK)?;
    machine.write("/etc/lineside/lineside.toml", &configuration())?;
    machine.run("systemctl daemon-reload && systemctl restart lineside")?;
    let process = machine.run("property MainPID")?;
    goes_on(machine, "top", "dark")?;
    goes_on(machine, "side", "light")?;
    brightness(machine, 0, 40)?;
    brightness(machine, 1, 200)?;
    let status = machine.run("property StatusText")?;
    ensure!(status.contains("top: ") && status.contains("side: "), "{status}");

    // Another product for one of them, on its page.
    let posted = machine.run(
        "version=$(lineside --version | cut -d ' ' -f 2); body='{\"code\":1}'; exec 4<>/dev/tcp/127.0.0.1/8081
         printf 'POST /product HTTP/1.1\\r\\nHost: 127.0.0.1:8081\\r\\nContent-Type: application/json\\r\\nLineside-Version: %s\\r\\nContent-Length: %d\\r\\n\\r\\n%s' \
             \"$version\" ${#body} \"$body\" >&4; cat <&4",
    )?;
    ensure!(posted.contains(" 200 "), "{posted}");
    goes_on(machine, "side", "dark")?;
    brightness(machine, 1, 40)?;
    brightness(machine, 0, 40)?;

    // One falls silent: the other goes on; back, it has the controls of its product again.
    machine.run("v4l2-ctl -d 1 -c percentage_of_dropped_buffers=100")?;
    let lost = "journalctl -b -u lineside -q -o cat | grep record=fault | grep camera=side | grep -q 'sent nothing'";
    machine.run(&format!("lost() {{ {lost}; }}; within 60 lost"))?;
    goes_on(machine, "top", "dark")?;
    machine.run("v4l2-ctl -d 1 -c percentage_of_dropped_buffers=0")?;
    goes_on(machine, "side", "dark")?;
    brightness(machine, 1, 40)?;
    ensure!(machine.run("property MainPID")? == process, "it was restarted");

    machine.run(&format!("systemctl stop lineside; rm -r {DROP_INS}; systemctl daemon-reload; {WEBCAM}"))?;
    restart_with(machine, &small())?;
    Ok("each its product and brightness; one silent, the other went on; one process".into())
}
