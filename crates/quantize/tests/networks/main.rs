//! Networks of different kinds through the quantizer: the file is the same to the last byte everywhere, and ONNX Runtime computes from it
//! what the engine computes. README.md says where the networks and the answers come from.

mod cases;

use cases::{CASES, Case, HELD_OUT, here, stacked};
use lineside_engine::{Tensor, kernel_names, npy};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The names and hashes of `SHA256SUMS`.
fn sums() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(here().join("SHA256SUMS")).unwrap();
    let line = |line: &str| {
        let (sum, name) = line.split_once("  ").unwrap();
        (name.strip_suffix(".onnx").unwrap().to_string(), sum.to_string())
    };
    text.lines().map(line).collect()
}

fn answers(case: &Case) -> Vec<Tensor> {
    let path = |index: usize| here().join(format!("answers/{}.{index}.npy", case.name));
    let files = (0..).map(path).take_while(|path| path.exists());
    files.map(|path| npy::read(&std::fs::read(path).unwrap()).unwrap()).collect()
}

fn largest(tensor: &Tensor) -> f64 {
    tensor.values::<f32>().unwrap().iter().fold(0.0, |most, value| value.abs().max(most)).into()
}

#[test]
fn every_network_gives_its_file_and_what_onnx_runtime_computes_from_it() {
    let sums = sums();
    assert!(CASES.len() == sums.len() && sums.len() >= 10, "{sums:?}");
    let mut wrong = Vec::new();
    for (at, case) in CASES.iter().enumerate() {
        // Any number of threads gives the file.
        let file = case.quantized(1 + at % 3);
        let sum: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
        if !sums.contains(&(case.name.to_string(), sum.clone())) {
            wrong.push(format!("{}: another file, {sum}", case.name));
            continue;
        }
        let expected = answers(case);
        for kernel in kernel_names() {
            let outputs = case.outputs(&file, kernel, HELD_OUT..HELD_OUT + expected[0].shape()[0] as u32);
            assert_eq!(outputs.len(), expected.len(), "{}", case.name);
            for (index, (output, expected)) in outputs.iter().zip(&expected).enumerate() {
                assert_eq!((output.kind(), output.shape()), (expected.kind(), expected.shape()), "{}", case.name);
                let part = output.largest_difference(expected).unwrap() / largest(expected);
                if part.is_nan() || part > case.allowed {
                    wrong.push(format!("{} by {kernel}, output {index}: {part:.2e} of the largest value", case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\ncrates/quantize/tests/networks/README.md says how to make answers anew");
}

/// For each case a folder: the networks, samples that the quantizer did not see, and what the engine computes.
fn write_all(folder: &Path) {
    for case in &CASES {
        let folder = folder.join(case.name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = case.quantized(2);
        std::fs::write(folder.join("floats.onnx"), case.floats()).unwrap();
        std::fs::write(folder.join("quantized.onnx"), &file).unwrap();
        let numbers = HELD_OUT..HELD_OUT + 24;
        let samples: Vec<Tensor> = numbers.clone().map(|number| case.sample(number)).collect();
        let write = |name: &str, tensor: &Tensor| {
            npy::write(std::fs::File::create(folder.join(name)).unwrap(), tensor).unwrap();
        };
        write("inputs.npy", &stacked(samples.iter()));
        for (index, output) in case.outputs(&file, kernel_names()[0], numbers).iter().enumerate() {
            write(&format!("engine.{index}.npy"), output);
        }
    }
}

/// Where `cross/setup-debian.sh` installs the other runtimes.
fn python() -> Option<PathBuf> {
    let python = Path::new(&std::env::var_os("HOME")?).join(".cache/lineside/tools/onnx/bin/python");
    let tried = Command::new(&python).args(["-c", "import numpy, onnx, onnxruntime, openvino"]).output();
    tried.is_ok_and(|output| output.status.success()).then_some(python)
}

#[test]
fn onnx_checker_onnx_runtime_and_openvino_take_every_file() {
    let Some(python) = python() else {
        let missing = "Python with onnx, onnxruntime and openvino (cross/setup-debian.sh)";
        assert!(std::env::var_os("LINESIDE_REQUIRE_ALL").is_none(), "missing: {missing}");
        eprintln!("skipped: {missing}");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path());
    let output = Command::new(python).arg(here().join("make.py")).arg("check").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    if !std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default().contains("vnni") {
        println!("without VNNI ONNX Runtime saturates sums of two products: its outputs are not compared");
        return;
    }
    for case in &CASES {
        let read = |name: &str| npy::read(&std::fs::read(folder.path().join(case.name).join(name)).unwrap()).unwrap();
        for index in 0..answers(case).len() {
            let [engine, other] = ["engine", "onnxruntime"].map(|what| read(&format!("{what}.{index}.npy")));
            let part = engine.largest_difference(&other).unwrap() / largest(&other);
            // Another CPU than that of the answers may have other last bits in floats, and so another byte here and there.
            assert!(part <= 0.02, "{}, output {index}: {part:.2e} of the largest value", case.name);
        }
    }
}

/// Writes what `make.py` reads, into `NETWORKS`.
#[test]
#[ignore = "writes files for make.py"]
fn write_files() {
    write_all(&PathBuf::from(std::env::var_os("NETWORKS").expect("NETWORKS=FOLDER")));
}
