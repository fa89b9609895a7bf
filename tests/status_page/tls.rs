//! The page over https, with a certificate file, as curl and a browser's library see it.

use crate::common::{arg, config, eventually, has, lineside, text};
use crate::visitor::{Service, TOKEN};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LINE: &str = "[source.pattern]\nfps = 20\n";

/// A certificate for this machine and its key; `None` where nothing makes or asks for one.
fn certificate(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    if !has("openssl", &["version"]) || !has("curl", &["--version"]) {
        return None;
    }
    let (certificate, key) = (folder.join("page.pem"), folder.join("page.key"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    Command::new("chmod").arg("600").arg(&key).status().unwrap();
    Some((certificate, key))
}

fn table(certificate: &Path, key: &Path) -> String {
    format!("[status_page.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n")
}

/// What curl gets, with the head; empty where it gets nothing.
fn curl(certificate: &Path, url: &str, more: &[&str]) -> Vec<u8> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--include", "--max-time", "60", "--cacert"]).arg(certificate).args(more).arg(url);
    command.output().unwrap().stdout
}

#[test]
fn a_page_with_a_certificate_is_encrypted_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = certificate(folder.path()) else { return };
    let teach = "fedcba9876543210";
    let page = format!(
        "judge = true\ncontrol = true\ntoken = \"{TOKEN}\"\nteach_token = \"{teach}\"\n{}",
        table(&certificate, &key)
    );
    let service = Service::start(LINE, &page);
    let url = |path: &str| format!("https://{}{path}", service.address);
    let bearer = format!("Authorization: Bearer {teach}");
    let get = |path: &str| text(&curl(&certificate, &url(path), &["--header", &bearer]));
    eventually("a healthy line", || get("/healthz").ends_with("\r\n\r\nok\n").then_some(()));
    // Answers with a thread and without, short and long.
    for (path, holds) in [
        ("/", "<title>Lineside"),
        ("/review", "</html>"),
        ("/openapi.json", "\"paths\""),
        ("/status.json", "\"healthy\""),
        ("/metrics", "lineside_frames_total"),
    ] {
        let answer = get(path);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(holds), "{path}: {answer:.300}");
        let stated =
            answer.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse::<usize>().unwrap();
        assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), stated, "{path}");
    }
    assert!(get("/events/none.png").starts_with("HTTP/1.1 404"));
    let login = text(&curl(&certificate, &url(&format!("/?token={TOKEN}")), &[]));
    assert!(login.starts_with("HTTP/1.1 303") && login.contains("; Secure; "), "{login}");
    assert!(text(&curl(&certificate, &url("/"), &[])).starts_with("HTTP/1.1 401"));
    // Bodies: one that comes with the head, and a long one.
    let marks = folder.path().join("marks.json");
    let names: Vec<String> = (0..10_000).map(|at| format!("20261121T041500{at:05}Z-part.png")).collect();
    std::fs::write(&marks, serde_json::json!({ "files": names, "mark": "good" }).to_string()).unwrap();
    let data = format!("@{}", marks.display());
    let posted = curl(&certificate, &url("/marks"), &["--header", &bearer, "--json", &data]);
    assert!(text(&posted).contains("\"marked\":0"), "{:.300}", text(&posted));
    let posted = curl(&certificate, &url("/product"), &["--header", &bearer, "--json", "{\"code\":1}"]);
    assert!(text(&posted).contains("has no [[product]]"), "{}", text(&posted));
    // The live view: whole pictures, one after the other.
    let mut viewer = Command::new("curl");
    viewer.args(["--silent", "--no-buffer", "--header", &bearer, "--cacert"]).arg(&certificate).arg(url("/live.mjpeg"));
    let mut viewer = viewer.stdout(Stdio::piped()).spawn().unwrap();
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    while seen.windows(7).filter(|bytes| bytes == b"--frame").count() < 4 {
        let read = viewer.stdout.as_mut().unwrap().read(&mut piece).unwrap();
        assert!(read > 0, "the live view ended");
        seen.extend_from_slice(&piece[..read]);
    }
    viewer.kill().unwrap();
    viewer.wait().unwrap();
    // Who does not encrypt gets nothing, and holds up nobody.
    for nonsense in ["GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "\u{16}\u{3}\u{1}", "", "x"] {
        let mut socket = TcpStream::connect(&service.address).unwrap();
        socket.set_read_timeout(Some(crate::common::HANGS)).unwrap();
        socket.write_all(nonsense.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.read_to_end(&mut answer);
        assert!(!text(&answer).contains("HTTP/"), "{nonsense:?}: {}", text(&answer));
    }
    assert!(get("/healthz").ends_with("ok\n"));
    let memory: serde_json::Value =
        serde_json::from_str(get("/status.json").split_once("\r\n\r\n").unwrap().1).unwrap();
    let memory = &memory["memory"];
    assert!(memory["peak_bytes"].as_u64() <= memory["bill_bytes"].as_u64(), "{memory}");
    assert!(!service.log().contains("panicked"), "{}", service.log());
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = certificate(folder.path()) else { return };
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let (_, other_key) = self::certificate(&other).unwrap();
    let readable = folder.path().join("readable.key");
    std::fs::copy(&key, &readable).unwrap();
    Command::new("chmod").arg("644").arg(&readable).status().unwrap();
    let missing = folder.path().join("missing.pem");
    for (certificate, key, expected) in [
        (&missing, &key, "missing.pem: No such file"),
        (&key, &key, "page.key: holds no certificate"),
        (&certificate, &certificate, "page.pem"),
        (&certificate, &other_key, "page.key: is not that of"),
        (&certificate, &readable, "chmod"),
    ] {
        let path = config(
            folder.path(),
            &format!("{LINE}[status_page]\nlisten = \"127.0.0.1:0\"\n{}", table(certificate, key)),
        );
        let output = lineside().args(["check", arg(&path)]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(expected) && said.contains(".toml:") && said.lines().count() == 1, "{expected}: {said}");
    }
}
