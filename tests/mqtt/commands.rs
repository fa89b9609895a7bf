//! Commands by a broker whose access list decides who may command: that of docs/operations.md.

use super::broker::{Broker, has_mosquitto, until};
use super::common::{arg, config, records, root, succeed, write_secret};
use super::line::Line;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The access list in the documentation.
fn documented_acl() -> String {
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let begin = page.find("    user line-7\n").expect("docs/operations.md has an access list");
    let block = page[begin..].lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    block.map(|line| format!("{}\n", line.trim_start())).collect()
}

/// A broker with the users of the access list, whose passwords are their names.
fn guarded(folder: &Path, acl: &str) -> Broker {
    let file = |name: &str| folder.join(name);
    std::fs::write(file("acl"), acl).unwrap();
    std::fs::write(file("users"), "").unwrap();
    for user in ["line-7", "mes", "board-display", "listener"] {
        let done = Command::new("mosquitto_passwd").args(["-b", arg(&file("users")), user, user]).status();
        assert!(done.unwrap().success());
    }
    write_secret(&file("password"), "line-7\n");
    let (users, acl) = (file("users"), file("acl"));
    let more = format!("allow_anonymous false\npassword_file {}\nacl_file {}", users.display(), acl.display());
    Broker::start(folder, &more)
}

fn publish(broker: &Broker, user: &str, message: &str) {
    let mut command = broker.client("mosquitto_pub");
    command.args(["-u", user, "-P", user, "-q", "1", "-t", "hall-3/line-7/set", "-m", message]);
    assert!(command.status().unwrap().success());
}

/// A line of good parts; product 2 finds a defect in each.
fn line(folder: &Path, port: u16) -> std::path::PathBuf {
    let (results, password) = (folder.join("results"), folder.join("password"));
    config(
        folder,
        &format!(
            "[source.pattern]\nfps = 10\ndefect_every = 0\n[output]\nfolder = {results:?}\n[super_resolution]\n\
             when = \"never\"\n[mqtt]\nhost = \"localhost\"\nport = {port}\nclient_id = \"line-7\"\n\
             topic = \"hall-3/line-7\"\nusername = \"line-7\"\npassword_file = {password:?}\ncommands = true\n\
             pictures = true\n\
             [[product]]\nname = \"part\"\ncode = 1\nbundle = \"inspect-pattern\"\n\
             [[product]]\nname = \"strict\"\ncode = 2\nbundle = \"inspect-pattern\"\nthreshold = 0.0\n"
        ),
    )
}

fn commands(folder: &Path) -> Vec<Value> {
    let records = records(&folder.join("results"));
    records.into_iter().filter(|record| record["record"] == "command").collect()
}

#[test]
fn who_may_publish_there_chooses_the_product_and_nobody_else() {
    if !has_mosquitto() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = guarded(folder.path(), &documented_acl());
    let path = line(folder.path(), broker.port);
    succeed(&["check", arg(&path)]);
    let mut running = Line::start(&path);
    running.says("record=mqtt_connected");
    publish(&broker, "mes", r#"{"product": "strict", "by": "mes-1"}"#);
    until("the command", || commands(folder.path()).len() == 1);
    let strict = |record: &Value| record["record"] == "event" && record["product"] == "strict";
    until("a part of it", || records(&folder.path().join("results")).iter().any(strict));
    // Its picture is there for a display: a JPEG, retained.
    let picture = || {
        let mut command = broker.client("mosquitto_sub");
        command.args([
            "-u",
            "board-display",
            "-P",
            "board-display",
            "-C",
            "1",
            "-W",
            "5",
            "-N",
            "-t",
            "hall-3/line-7/picture",
        ]);
        command.output().unwrap().stdout
    };
    until("a picture", || picture().starts_with(&[0xff, 0xd8, 0xff]));
    let mut decoded = lineside_picture::Picture::default();
    lineside_picture::decode_file(&picture(), 1 << 20, &mut decoded).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (640, 480));
    // The broker keeps this one back.
    publish(&broker, "board-display", r#"{"product": "part"}"#);
    publish(&broker, "mes", "no command");
    publish(&broker, "mes", r#"{"acknowledge": true}"#);
    until("two more", || commands(folder.path()).len() == 3);
    running.stop();
    let commands = commands(folder.path());
    let said: Vec<_> =
        commands.iter().map(|one| (one["command"].as_str().unwrap(), one["by"].as_str().unwrap())).collect();
    assert_eq!(said, [("product", "mqtt, says mes-1"), ("message", "mqtt"), ("acknowledge", "mqtt")], "{commands:?}");
    assert!(commands[2]["refused"].as_str().unwrap().contains("alarm.latch is not set"), "{commands:?}");
    assert!(!running.log().contains("fault=mqtt"), "{}", running.log());
}
