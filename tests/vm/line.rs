//! What the board inspects: a virtual camera (vivid), the pictures that it is shown, and the bundle that judges them.

use super::machine::Machine;
use anyhow::{Context, Result};
use lineside::bundle::{Bundle, Draft, Manifest};
use lineside_engine::{Tensor, npy};
use lineside_picture::{Picture, decode_file};
use std::path::Path;

/// The camera, by the name that stays the same.
pub const CAMERA: &str = "/dev/v4l/by-path/platform-vivid.0-video-index0";
/// Where the records of a run are.
pub const RECORDS: &str = "/var/lib/lineside/records";
/// The line that a defect raises, on the chip of the machine (PL061).
pub const ALARM: u32 = 5;
/// The line that toggles with each verdict.
pub const HEARTBEAT: u32 = 6;

/// A webcam, which shows colour bars: to a bundle that was taught with flanges every frame is a defect.
pub const WEBCAM: &str = "modprobe -r vivid; modprobe vivid n_devs=1 node_types=0x1 vid_cap_nr=0 && udevadm settle";

/// Frames a second of the camera that shows given pictures.
pub const LOOP_FPS: f64 = 14e6 / (4000.0 * 2175.0);

/// A camera on a cable: it shows what is written to /dev/video8, from which /mnt/line.yuyv goes round. A cable's rate follows
/// from its video timing. The slowest that vivid takes has 14 million pixels a second, and the largest picture for it is
/// 3840x2160 (CVT, reduced blanking); of that both ends scale a part to 320x240.
pub const LOOP: &str = "
    modprobe -r vivid
    modprobe vivid n_devs=1 node_types=0x101 num_inputs=1 input_types=3 num_outputs=1 output_types=1 vid_cap_nr=0 vid_out_nr=8
    udevadm settle
    for device in 0 8; do
        # The next keeps the standard that this one sets.
        v4l2-ctl -d $device --set-dv-bt-timings cvt,width=1280,height=960,fps=60 >/dev/null
        v4l2-ctl -d $device --set-dv-bt-timings width=3840,height=2160,interlaced=0,polarities=2,pixelclock=14000000,\
hfp=48,hs=32,hbp=80,vfp=3,vs=5,vbp=7 >/dev/null || exit 1
    done
    v4l2-ctl -d 0 -c loop_video=1,osd_text_mode=2
    v4l2-ctl -d 8 --set-fmt-video-out width=320,height=240,pixelformat=YUYV
    setsid v4l2-ctl -d 8 --stream-out-mmap --stream-from=/mnt/line.yuyv --stream-loop >/dev/null 2>&1 &
    echo $! >/run/player";

/// The configuration of a run with the small bundle; `more` is appended.
pub fn config(width: usize, height: usize, fps: f64, more: &str) -> String {
    format!(
        "[source.camera]\ndevice = \"{CAMERA}\"\nwidth = {width}\nheight = {height}\nfps = {fps:.1}\n\
         [anomaly]\nbundle = \"line\"\n[super_resolution]\nwhen = \"never\"\n[output]\nfolder = \"{RECORDS}\"\nkeep_free = \"0 B\"\n\
         [alarm]\nchip = \"gpiochip0\"\nline = {ALARM}\nhold_ms = 300\n\
         [heartbeat]\nchip = \"gpiochip0\"\nline = {HEARTBEAT}\n{more}"
    )
}

/// Starts the service anew with another configuration.
pub fn restart_with(machine: &mut Machine, config: &str) -> Result<()> {
    machine.write("/etc/lineside/lineside.toml", config)?;
    machine.run("systemctl restart lineside && goes_on 40 1").map(drop)
}

/// The frames that are shown: good parts first, then parts that lack a piece or are stained.
pub const GOOD: [&str; 7] = ["01", "02", "03", "04", "06", "07", "08"];
pub const BAD: [&str; 3] = ["12-missing", "09-stain", "24-missing"];

/// Writes the pictures as the camera's cable carries them: YUYV, 320x240, one after the other.
pub fn write_pictures(path: &Path) -> Result<()> {
    let folder = super::root().join("models/inspect-demo/frames");
    let good = GOOD.map(|part| folder.join(format!("normal/part-{part}.jpg")));
    let bad = BAD.map(|part| folder.join(format!("defect/part-{part}.jpg")));
    let mut bytes = Vec::new();
    for file in good.iter().chain(&bad) {
        let mut picture = Picture::default();
        let jpeg = std::fs::read(file).with_context(|| file.display().to_string())?;
        decode_file(&jpeg, 1 << 20, &mut picture)?;
        assert_eq!((picture.width(), picture.height(), picture.channels()), (320, 240, 3));
        for pair in picture.data().chunks_exact(6) {
            let [left, right] = [ycbcr(&pair[..3]), ycbcr(&pair[3..])];
            let between = |a: f64, b: f64| ((a + b) / 2.0).round() as u8;
            let (cb, cr) = (between(left[1], right[1]), between(left[2], right[2]));
            bytes.extend([left[0].round() as u8, cb, right[0].round() as u8, cr]);
        }
    }
    Ok(std::fs::write(path, bytes)?)
}

/// BT.601, limited range.
fn ycbcr(rgb: &[u8]) -> [f64; 3] {
    let [r, g, b] = [0, 1, 2].map(|at| f64::from(rgb[at]) / 255.0);
    let luma = 16.0 + 65.481 * r + 128.553 * g + 24.966 * b;
    [luma, 128.0 - 37.797 * r - 74.203 * g + 112.0 * b, 128.0 + 112.0 * r - 93.786 * g - 18.214 * b]
}

/// Writes the bundle `line`: of the demo's two views of a frame only the small one, which an emulated CPU judges in a part of
/// a frame's time. `change` makes another version of it.
pub fn write_small_bundle(folder: &Path, change: impl FnOnce(&mut Manifest)) -> Result<()> {
    let demo = Bundle::open(&super::root().join("models/inspect-demo"))?;
    let mut manifest = demo.manifest().clone();
    let anomaly = manifest.anomaly.as_mut().context("the demo inspects")?;
    let view = anomaly.views.len() - 1;
    let mut scorer =
        anomaly.scorer.iter().find(|scorer| scorer.view == view).context("it uses its small view")?.clone();
    scorer.view = 0;
    let size = anomaly.views[view];
    anomaly.views = vec![size];
    anomaly.heat.scorer = 0;
    let (statistics, calibration) = (scorer.statistics.clone(), anomaly.calibration.clone());
    let half_distances = anomaly.heat.half_distances.clone();
    anomaly.scorer = vec![scorer];
    manifest.golden.clear();
    manifest.name = "line".into();

    let mut draft = Draft::begin(folder)?;
    for file in [&manifest.model, &statistics, &calibration] {
        draft.add(file, &demo.read(file)?)?;
    }
    // The heat's cells are those of the small view now: one distance for all will do.
    let distances = npy::read(&demo.read(&half_distances)?)?;
    let distances = distances.values::<f32>().context("distances are floats")?;
    let mean = distances.iter().sum::<f32>() / distances.len() as f32;
    let cells = size.pixels() / 256;
    let mut bytes = Vec::new();
    npy::write(&mut bytes, &Tensor::new(vec![1, cells], vec![mean; cells])?)?;
    draft.add(&half_distances, &bytes)?;
    change(&mut manifest);
    Ok(draft.finish(manifest)?)
}
