//! The status page in a real browser: it loads, the picture changes, a defect shows, on a phone and on a desk, light and dark.
//! `LINESIDE_SCREENSHOTS=FOLDER` keeps what was seen.

use crate::common::{HANGS, has};
use crate::visitor::Service;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Chromium without a window, spoken to by its own protocol through two pipes.
struct Browser {
    process: Child,
    to: File,
    from: File,
    heard: Vec<u8>,
    session: Option<String>,
    number: u64,
}

impl Browser {
    /// `None` where there is no Chromium.
    fn start(folder: &Path) -> Option<Browser> {
        if !has("chromium", &["--version"]) {
            return None;
        }
        let (to, from) = (folder.join("to"), folder.join("from"));
        assert!(Command::new("mkfifo").args([&to, &from]).status().unwrap().success());
        // The browser reads commands from 3 and answers on 4.
        let flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                     --disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe";
        let script =
            format!("exec chromium {flags} --user-data-dir=\"$0/profile\" about:blank 3<\"$0/to\" 4>\"$0/from\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let to = OpenOptions::new().write(true).open(to).unwrap();
        let from = File::open(from).unwrap();
        let mut browser = Browser { process, to, from, heard: Vec::new(), session: None, number: 0 };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let session = browser.ask("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = Some(session["sessionId"].as_str().unwrap().into());
        browser.ask("Page.enable", json!({}));
        Some(browser)
    }

    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.hear();
            if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// The next message: an answer, or an event.
    fn hear(&mut self) -> Value {
        loop {
            if let Some(end) = self.heard.iter().position(|&byte| byte == 0) {
                let message = serde_json::from_slice(&self.heard[..end]).unwrap();
                self.heard.drain(..=end);
                return message;
            }
            let mut more = [0; 65536];
            let read = self.from.read(&mut more).unwrap();
            assert!(read > 0, "the browser is gone");
            self.heard.extend(&more[..read]);
        }
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.ask("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    fn wait(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.evaluate(expression) != true {
            assert!(begun.elapsed() < HANGS, "never: {expression}: {}", self.evaluate("document.body.innerText"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn screen(&mut self, width: usize, height: usize, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", scheme);
    }

    /// Writes down what is seen, where somebody wants it.
    fn keep(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("LINESIDE_SCREENSHOTS") else { return };
        let height = self.evaluate("document.documentElement.scrollHeight");
        let width = self.evaluate("innerWidth");
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let shot =
            self.ask("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }));
        let file = File::create(Path::new(&folder).join(format!("{name}.png"))).unwrap();
        let mut decode = Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(file).spawn().unwrap();
        decode.stdin.take().unwrap().write_all(shot["data"].as_str().unwrap().as_bytes()).unwrap();
        assert!(decode.wait().unwrap().success());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes one number of all bytes of a picture; 0 where there is none.
const NUMBER: &str = "window.number = (i, width, height) => { if (!width) return 0;
    const c = document.createElement('canvas'); c.width = width; c.height = height;
    const d = c.getContext('2d'); d.drawImage(i, 0, 0);
    return d.getImageData(0, 0, width, height).data.reduce((sum, byte, at) => (sum * 31 + byte + at) % 1000003, 7) };
    window.numberShown = () => { const i = document.getElementById('live'); return number(i, i.naturalWidth, i.naturalHeight) }; 0";

/// Whether the live view shows the newest frame before the next one comes: it is the newest before and after the look.
const IS_NEWEST: &str = "(async () => {
    const newest = async () => {
        const i = await createImageBitmap(await (await fetch('/frame.jpg')).blob());
        return number(i, i.width, i.height) };
    const expected = await newest();
    while (numberShown() !== expected) {
        if (await newest() !== expected) return false;
        await new Promise(again => setTimeout(again, 20));
    }
    return await newest() === expected })()";

#[test]
fn a_browser_shows_a_line_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(folder.path()) else { return };
    let source = "[source.folder]\npath = \"models/inspect-demo/frames\"\nrepeat = true\nfps = 1.0\n";
    let service = Service::start(source, "max_fps = 10\n");
    browser.screen(1200, 900, "light");
    browser.ask("Page.navigate", json!({ "url": format!("http://{}/", service.address) }));
    browser.wait("document.title.includes('Lineside') && document.getElementById('live').naturalWidth > 0");
    browser.wait("document.getElementById('note').hidden");
    browser.evaluate(NUMBER);
    // The picture changes.
    let mut seen = std::collections::BTreeSet::new();
    let begun = Instant::now();
    while seen.len() < 4 {
        seen.insert(browser.evaluate("numberShown()").as_u64().unwrap());
        assert!(begun.elapsed() < HANGS, "the picture stands still: {seen:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    // It is the newest, not the one before: a busy machine may miss a moment, but not each.
    let begun = Instant::now();
    while browser.evaluate(IS_NEWEST) != true {
        assert!(begun.elapsed() < HANGS, "the live view lags behind");
    }
    // A defect shows: as a word, in the chart, and among the last events with its picture.
    browser.wait("document.getElementById('word').textContent == 'DEFECT'");
    browser.wait("document.querySelectorAll('#chart line[stroke=\"var(--bad)\"]').length > 1");
    browser.wait("[...document.querySelectorAll('#events img')].some(img => img.complete && img.naturalWidth > 0)");
    assert_eq!(service.status()["viewers"], 1);
    browser.wait("document.getElementById('frames').textContent.includes('captured')");

    if std::env::var_os("LINESIDE_SCREENSHOTS").is_some() {
        // Long enough that there is something of everything.
        service.wait("a history", |status| status["verdicts"].as_u64() >= Some(45));
        browser.wait("!document.getElementById('times').hidden");
    }
    for (width, height) in [(1200, 900), (360, 740)] {
        for scheme in ["light", "dark"] {
            browser.screen(width, height, scheme);
            browser.evaluate("document.querySelectorAll('#events img').forEach(img => img.loading = 'eager')");
            browser.wait(
                "[...document.querySelectorAll('#events img')].every(img => img.complete && img.naturalWidth > 0)",
            );
            let wide = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(wide <= width as u64, "{wide} of {width} pixels: the page does not fit");
            let view =
                browser.evaluate("document.getElementById('live').getBoundingClientRect().width").as_f64().unwrap();
            assert!(view > 0.55 * width as f64, "the live view is large: {view} of {width}");
            browser.wait("document.getElementById('ago').textContent == 'defect just now'");
            browser.wait("Number(document.getElementById('score').textContent) >= 1");
            browser.keep(&format!("{width}-{scheme}"));
        }
    }
    let dark = browser.evaluate("getComputedStyle(document.body).backgroundColor").to_string();
    browser.screen(360, 740, "light");
    assert_ne!(browser.evaluate("getComputedStyle(document.body).backgroundColor").to_string(), dark);

    // The seat is free again once nobody looks.
    browser.ask("Page.navigate", json!({ "url": "about:blank" }));
    service.wait("an empty seat", |status| status["viewers"] == 0);
}
