//! The examples at the end of each command's help.

pub(super) const RUN: &str = "\
Examples:
  lineside run
  lineside run /etc/lineside/lineside.toml
  lineside run line.toml --frames 1000";

pub(super) const CHECK: &str = "\
Examples:
  lineside check /etc/lineside/lineside.toml";

pub(super) const DEVICES: &str = "\
Examples:
  lineside devices
  lineside devices --json";

pub(super) const INIT: &str = "\
Examples:
  lineside init
  lineside init line.toml --camera /dev/video2";

pub(super) const TEACH: &str = "\
Examples:
  lineside teach --normal good/ --out parts
  lineside teach --camera /etc/lineside/lineside.toml --frames 60 --out /var/lib/lineside/bundles/parts
  lineside teach --normal good/ --defects bad/ --masks masks/ --out parts
  lineside teach --normal good/ --region 160,120,320,240 --ignore display.png --out parts
  lineside teach --normal good/ --region 160,120,320,240 --align --out parts
  lineside teach --normal good/ --tolerance shift=5%,turn=3deg,light=20% --out parts
  lineside teach --normal good/ --detail fine --out parts
  lineside teach --normal tuesday/ --like parts --out parts-tuesday";

pub(super) const RECALIBRATE: &str = "\
Examples:
  lineside recalibrate parts --good monday/
  lineside eval /var/lib/lineside/bundles/parts.recalibrated --normal test/good --defect test/bad
  lineside recalibrate parts --confirm";

pub(super) const REPLAY: &str = "\
Examples:
  lineside replay lineside-out
  lineside replay /mnt/board/lineside --bundle parts";

pub(super) const EVAL: &str = "\
Examples:
  lineside eval parts --normal test/good --defect test/bad --sheet closest.png
  lineside eval part-types --classes test/
  lineside eval superres --hr Set5 --scale 3";

pub(super) const UPSCALE: &str = "\
Examples:
  lineside upscale part.jpg part-x3.png
  lineside upscale parts/ enlarged/ --bundle superres-x4-fine --threads 2";

pub(super) const INFER: &str = "\
Examples:
  lineside infer model.onnx -i x.npy -o y.npy";

pub(super) const QUANTIZE: &str = "\
Examples:
  lineside quantize model.onnx model-int8.onnx --calibrate pictures/ --mean 127 --std 128
  lineside quantize model.onnx model-int8.onnx --calibrate pictures/ --mean 0 --std 255 --size 320x320 --report report.json
  lineside quantize speech.onnx speech-int8.onnx --calibrate samples.npy --keep Softmax";

pub(super) const COMPARE: &str = "\
Examples:
  lineside compare model.onnx model-int8.onnx --data held-out/ --mean 127 --std 128
  lineside compare model.onnx model-int8.onnx --data held-out/ --mean 127 --std 128 --labels labels.csv --layers";

pub(super) const BENCH: &str = "\
Examples:
  lineside bench inspect-demo
  lineside bench model.onnx --shape 1,1,240,320 --threads 2 --ops";

pub(super) const PARITY: &str = "\
Examples:
  lineside parity
  lineside parity inspect-demo --json";

pub(super) const INSPECT: &str = "\
Examples:
  lineside inspect lineside-out/events.jsonl
  lineside inspect logs/ --since -3d --html report.html
  journalctl -u lineside -o json | lineside inspect -";
