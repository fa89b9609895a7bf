//! Several products on a line: chosen while it runs, remembered, refused.

use crate::common::{arg, config, copy_folder, eventually, records, refuse, root, signal, succeed};
use crate::field_log::{check, documented};
use crate::plc::{Plc, Running, free_port};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Good parts all the time: product 1 finds them so, product 2 finds a defect in everything.
const PRODUCTS: &str = "[[product]]\nname = \"part\"\ncode = 1\nbundle = \"inspect-pattern\"\n\
                        [[product]]\nname = \"strict\"\ncode = 2\nbundle = \"inspect-pattern\"\nthreshold = 0.0\n";
const OK: u16 = 1;
const NOK: u16 = 2;

fn line(folder: &Path, port: u16, more: &str) -> PathBuf {
    let results = folder.join("results");
    config(
        folder,
        &format!(
            "[source.pattern]\nfps = 20\ndefect_every = 0\n[output]\nfolder = {results:?}\n\
             [super_resolution]\nwhen = \"never\"\n[modbus]\nlisten = \"127.0.0.1:{port}\"\nwrite = true\n{PRODUCTS}{more}"
        ),
    )
}

/// Results by kind and product: registers 3 and 8.
fn judged(kind: u16, code: u16) -> impl Fn(&[u16]) -> bool {
    move |registers| (registers[3], registers[8]) == (kind, code)
}

#[test]
fn a_product_is_chosen_while_the_line_runs_and_an_unknown_one_is_never_good() {
    let folder = tempfile::tempdir().unwrap();
    let plc = Plc(free_port());
    let path = line(folder.path(), plc.0, "");
    let checked = succeed(&["check", arg(&path)]);
    assert!(checked.contains("product  part, code 1: inspect-pattern, loaded"), "{checked}");
    let mut line = Running::start(&path);
    plc.until("a good part", judged(OK, 1));
    assert!(plc.write(100, 2));
    plc.until("a part of the strict product", judged(NOK, 2));
    assert!(!plc.write(100, 77), "an unknown code is refused");
    let unknown = plc.until("a part of an unknown product", judged(NOK, 0));
    assert_eq!(unknown[9..11], [0, 3]);
    // Back and forth as fast as it goes, as a PLC with a fault would do: it still inspects, and ends where it was told to.
    for at in 0..200 {
        plc.write(100, [1, 2, 50][at % 3]);
    }
    assert!(plc.write(100, 1));
    plc.until("a good part again", judged(OK, 1));
    let results = folder.path().join("results");
    // Who looks at the product reports it a moment later.
    eventually("the end of the fault", || {
        let text = std::fs::read_to_string(results.join("events.jsonl")).ok()?;
        // The last line may be written at this moment.
        let mut all = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        all.any(|record| record["fault"] == "product" && record["state"] == "end").then_some(())
    });
    line.stop();

    let (records, documented, mut seen) = (records(&results), documented(), BTreeSet::new());
    records.iter().for_each(|record| check(record, &documented, &mut seen));
    let of = |kind: &str| records.iter().filter(move |record| record["record"] == *kind).collect::<Vec<_>>();
    assert_eq!(of("start")[0]["product"], "part");
    let strict = of("event").into_iter().filter(|event| event["product"] == "strict").count();
    let unknown: Vec<_> = of("event").into_iter().filter(|event| event["cause"] == "product").collect();
    assert!(strict > 0 && !unknown.is_empty());
    assert!(unknown.iter().all(|event| event["product"].is_null() && event["bundle"] == ""), "{unknown:?}");
    assert!(of("fault").iter().any(|fault| fault["fault"] == "product" && fault["state"] == "end"));
    let commands = of("command");
    assert!(commands[0]["product"] == "strict" && commands[0]["by"] == "modbus 127.0.0.1", "{commands:?}");
    assert!(commands[1]["refused"].as_str().unwrap().contains("every part is NOK"), "{commands:?}");
    assert!(commands.len() < 100, "a flood of commands is no flood of records");
    // One or two by each thread that waits for another the first time; none by a switch, of which there were hundreds.
    assert!(of("stop")[0]["allocs_since_sealed"].as_u64().unwrap() <= 6, "{:?}", of("stop"));
    // Each by the bundle and threshold of its product.
    let replayed = succeed(&["replay", arg(&results)]);
    assert!(replayed.contains("equal to the last bit") && replayed.contains("unknown"), "{replayed}");
    assert!(!replayed.contains("wrong") && !replayed.contains("corrupt"), "{replayed}");
}

#[test]
fn the_last_product_holds_over_a_reload_and_where_asked_for_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let plc = Plc(free_port());
    let path = line(folder.path(), plc.0, "[products]\nremember = true\n");
    let mut line = Running::start(&path);
    plc.until("a good part", judged(OK, 1));
    assert!(plc.write(100, 2));
    plc.until("the strict product", judged(NOK, 2));
    signal(&line.process, "HUP");
    eventually("another run", || (line.log().matches("record=start ").count() == 2).then_some(()));
    plc.until("the strict product again", judged(NOK, 2));
    // Whoever chooses while the line loads its models is not forgotten.
    signal(&line.process, "HUP");
    assert!(plc.write(100, 1));
    plc.until("a good part", judged(OK, 1));
    let file = folder.path().join("results/product.txt");
    eventually("it is written down", || (std::fs::read_to_string(&file).ok()? == "part\n").then_some(()));
    assert!(plc.write(100, 2));
    eventually("it is written down", || (std::fs::read_to_string(&file).ok()? == "strict\n").then_some(()));
    line.stop();
    let mut line = Running::start(&path);
    plc.until("the strict product after a restart", judged(NOK, 2));
    line.stop();
    // A product that is not there any more is unknown, and told.
    std::fs::write(&file, "gone\n").unwrap();
    let mut line = Running::start(&path);
    plc.until("nothing is good", judged(NOK, 0));
    line.stop();
    assert!(line.log().contains("the product is unknown: every part is NOK"), "{}", line.log());
}

#[test]
fn products_that_do_not_fit_together_are_loaded_when_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let plc = Plc(free_port());
    let path = line(folder.path(), plc.0, "");
    let bill =
        |path: &Path| -> serde_json::Value { serde_json::from_str(&succeed(&["check", "--json", arg(path)])).unwrap() };
    let together = bill(&path)["bill_bytes"].as_u64().unwrap();
    let budget = format!("[budget]\nmemory = \"{} B\"\n", together - (512 << 10));
    let path = line(folder.path(), plc.0, &budget);
    let products = bill(&path)["products"].clone();
    assert!(products[1].as_str().unwrap().contains("by a new start: budget.memory does not hold"), "{products}");
    let mut line = Running::start(&path);
    plc.until("a good part", judged(OK, 1));
    assert!(plc.write(100, 2));
    plc.until("the strict product", judged(NOK, 2));
    line.stop();
    let records = records(&folder.path().join("results"));
    let loaded = records.iter().find(|record| record["record"] == "product_loaded").unwrap();
    assert!(loaded["product"] == "strict" && loaded["seconds"].as_f64().unwrap() > 0.0, "{loaded}");
    check(loaded, &documented(), &mut BTreeSet::new());
    let reasons: Vec<&str> = records.iter().filter_map(|record| record["reason"].as_str()).collect();
    assert!(reasons.contains(&"another product"), "{reasons:?}");
}

/// A product that is not loaded, and whose bundle was damaged since the start: its parts are NOK, and the others go on.
#[test]
fn a_product_whose_bundle_is_damaged_makes_its_parts_nok_and_ends_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let plc = Plc(free_port());
    let bundle = folder.path().join("bundle");
    copy_folder(&root().join("models/inspect-pattern"), &bundle);
    let of = |budget: &str| {
        let path = line(folder.path(), plc.0, budget);
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, after) = text.rsplit_once("bundle = \"inspect-pattern\"").unwrap();
        std::fs::write(&path, format!("{before}bundle = {bundle:?}{after}")).unwrap();
        path
    };
    let checked = succeed(&["check", "--json", arg(&of(""))]);
    let together = serde_json::from_str::<serde_json::Value>(&checked).unwrap()["bill_bytes"].as_u64().unwrap();
    let path = of(&format!("[budget]\nmemory = \"{} B\"\n", together - (512 << 10)));
    let mut line = Running::start(&path);
    plc.until("a good part", judged(OK, 1));
    let model = bundle.join("model.onnx");
    let whole = std::fs::read(&model).unwrap();
    std::fs::write(&model, [&whole[..], b"x"].concat()).unwrap();
    assert!(plc.write(100, 2));
    eventually("the next run", || (line.log().matches(" record=start ").count() == 2).then_some(()));
    assert!(line.log().contains("product strict is unknown until a reload"), "{}", line.log());
    plc.until("a part of a product that cannot be inspected", judged(NOK, 0));
    assert!(!plc.write(100, 2), "it is unknown until a reload");
    assert!(plc.write(100, 1));
    plc.until("a good part again", judged(OK, 1));
    std::fs::write(&model, whole).unwrap();
    signal(&line.process, "HUP");
    eventually("the other product", || plc.write(100, 2).then_some(()));
    plc.until("the strict product", judged(NOK, 2));
    line.stop();
}

#[test]
fn products_that_make_no_sense_are_refused_with_their_line_or_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |more: &str, parts: &[&str]| refuse(&["check", arg(&line(folder.path(), 1502, more))], 78, parts);
    refused(
        "[[product]]\nname = \"lid\"\ncode = 2\nbundle = \"x\"\n",
        &["product.code 2 is that of \"strict\"", "line.toml:22: "],
    );
    let region = "[[product]]\nname = \"lid\"\ncode = 3\nbundle = \"inspect-pattern\"\nregion = \"0,0,9999,9999\"\n";
    refused(region, &["line.toml:24: ", "product.region of \"lid\""]);
    refused("[[product]]\nname = \"lid\"\ncode = 3\nbundle = \"no-such\"\n", &["[[product]] \"lid\"", "no-such"]);
    // Damaged: its hash says so.
    let bundle = folder.path().join("damaged");
    copy_folder(&root().join("models/inspect-pattern"), &bundle);
    std::fs::write(bundle.join("golden/0.block7.npy"), "nothing").unwrap();
    refused(&format!("[[product]]\nname = \"lid\"\ncode = 3\nbundle = {bundle:?}\n"), &["[[product]] \"lid\""]);
}
