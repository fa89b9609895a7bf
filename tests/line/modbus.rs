//! A PLC beside a running line: mbpoll, which is built on libmodbus, reads registers and writes them.

use crate::common::{arg, config, eventually, has, records, text};
use crate::plc::{Running, free_port};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A line of good parts and scratched ones, in turn.
fn line(folder: &Path, port: u16, more: &str) -> PathBuf {
    let results = folder.join("results");
    config(
        folder,
        &format!(
            "[source.pattern]\nfps = 20\ndefect_every = 2\n[output]\nfolder = {results:?}\n\
             [super_resolution]\nwhen = \"never\"\n{more}\n[modbus]\nlisten = \"127.0.0.1:{port}\"\n"
        ),
    )
}

/// The values that mbpoll reads, or its complaint.
fn mbpoll(port: u16, arguments: &[&str], values: &[&str]) -> Result<Vec<u32>, String> {
    let port = port.to_string();
    let mut command = Command::new("mbpoll");
    command.args(["-m", "tcp", "-p", &port, "-0", "-1"]).args(arguments).arg("127.0.0.1").args(values);
    let output = command.output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    if !output.status.success() {
        return Err(said);
    }
    // `[4]:   17`, and of numbers with the highest bit set `[4]:   65535 (-1)`.
    let value = |line: &str| line.strip_prefix('[')?.split_once("]:")?.1.split_whitespace().next()?.parse().ok();
    Ok(said.lines().filter_map(value).collect())
}

#[test]
fn a_plc_reads_state_result_and_counts_of_one_moment() {
    if !has("mbpoll", &["-V"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut line = Running::start(&line(folder.path(), port, "[anomaly]\nbundle = \"inspect-pattern\""));
    let read = || mbpoll(port, &["-r", "0", "-c", "19", "-t", "3"], &[]);
    // The first result may come before the state is no longer that of a start.
    let first = eventually("a result", || read().ok().filter(|registers| registers[3] > 0 && registers[1] > 1));
    assert_eq!((first.len(), first[0]), (19, 1));
    assert!([2, 3].contains(&first[1]), "{first:?}");
    let number = |registers: &[u32], at: usize| registers[at] << 16 | registers[at + 1];
    let mut last = number(&first, 4);
    for _ in 0..5 {
        let now = eventually("the next result", || read().ok().filter(|now| number(now, 4) != last));
        last = number(&now, 4);
        let counts = number(&now, 12) + number(&now, 14) + number(&now, 16);
        assert_eq!(last, counts, "the id is that of the counts: {now:?}");
    }
    // The same by the other function, and as a number of 32 bits.
    let id = mbpoll(port, &["-r", "4", "-c", "1", "-t", "4:int", "-B"], &[]).unwrap();
    assert!(id[0] >= last, "{id:?} {last}");
    let problem = mbpoll(port, &["-r", "19", "-c", "1", "-t", "3"], &[]).unwrap_err();
    assert!(problem.contains("Illegal data address"), "{problem}");
    // A command without a right changes nothing, and is a record.
    let problem = mbpoll(port, &["-r", "100", "-t", "4"], &["2"]).unwrap_err();
    assert!(problem.contains("Illegal function"), "{problem}");
    line.stop();
    let records = records(&folder.path().join("results"));
    let refused = records.iter().find(|record| record["record"] == "command").unwrap();
    assert_eq!((refused["command"].as_str(), refused["by"].as_str()), (Some("write"), Some("modbus 127.0.0.1")));
}

#[test]
fn a_plc_chooses_the_product_where_it_may() {
    if !has("mbpoll", &["-V"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let products = "[[product]]\nname = \"part\"\ncode = 1\nbundle = \"inspect-pattern\"\n\
                    [[product]]\nname = \"strict\"\ncode = 2\nbundle = \"inspect-pattern\"\nthreshold = 0.0\n";
    let path = line(folder.path(), port, products);
    let text = std::fs::read_to_string(&path).unwrap() + "write = true\n";
    std::fs::write(&path, text).unwrap();
    let mut line = Running::start(&path);
    let judged_as = |code: u32| {
        eventually(format!("a part judged as {code}"), || {
            let read = mbpoll(port, &["-r", "8", "-c", "3", "-t", "3"], &[]).ok()?;
            (read == [code, code, 1]).then_some(())
        });
    };
    judged_as(1);
    mbpoll(port, &["-r", "100", "-t", "4"], &["2"]).unwrap();
    judged_as(2);
    let problem = mbpoll(port, &["-r", "100", "-t", "4"], &["9"]).unwrap_err();
    assert!(problem.contains("Illegal data value"), "{problem}");
    let read = || mbpoll(port, &["-r", "3", "-c", "8", "-t", "3"], &[]).unwrap();
    eventually("a part of an unknown product", || (read()[5..] == [0, 0, 3] && read()[0] == 2).then_some(()));
    line.stop();
    assert!(arg(&path).ends_with("toml"));
}
