//! Chromium without a window. `LINESIDE_SCREENSHOTS=FOLDER` keeps what was seen.

use crate::common::{HANGS, has};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Whatever of a page is operated and has no name for who does not see it.
pub const NAMELESS: &str = "[...document.querySelectorAll('button,input,select,a,[role=listbox],dialog')].filter(e => !(e.textContent.trim() ||
             e.getAttribute('aria-label') || e.labels?.length)).map(e => e.outerHTML)";

/// Texts of a page with less contrast than 4.5 to 1 (WCAG 2.1, 1.4.3), each with its contrast.
pub const FAINT: &str = "(() => { const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
               return .2126 * r + .7152 * g + .0722 * b };
             const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c)) return c } return 'rgb(255,255,255)' };
             return [...document.querySelectorAll('button:not(:disabled),label,.soft,.word,.tag,a,h1,#chosen')].filter(e => e.textContent.trim()).map(e => {
               const [a, b] = [light(getComputedStyle(e).color), light(back(e))].sort((x, y) => y - x);
               return [(a + .05) / (b + .05), e.textContent.slice(0, 30)] }).filter(([ratio]) => ratio < 4.5) })()";

/// Chromium without a window, spoken to by its own protocol through two pipes.
pub struct Browser {
    process: Child,
    to: File,
    from: File,
    heard: Vec<u8>,
    session: Option<String>,
    number: u64,
}

impl Browser {
    /// `None` where there is no Chromium.
    pub fn start(folder: &Path) -> Option<Browser> {
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

    pub fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.try_ask(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_ask(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.hear();
            if answer["id"] == self.number {
                return if answer["error"].is_null() { Ok(answer["result"].clone()) } else { Err(answer) };
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

    pub fn evaluate(&mut self, expression: &str) -> Value {
        self.try_evaluate(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    fn try_evaluate(&mut self, expression: &str) -> Result<Value, Value> {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.try_ask("Runtime.evaluate", parameters)?;
        if answer["exceptionDetails"].is_null() { Ok(answer["result"]["value"].clone()) } else { Err(answer) }
    }

    pub fn wait(&mut self, expression: &str) {
        let begun = Instant::now();
        // Another page may come meanwhile, on which it does not hold yet.
        while self.try_evaluate(expression).ok() != Some(Value::Bool(true)) {
            assert!(begun.elapsed() < HANGS, "never: {expression}: {}", self.evaluate("document.body.innerText"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn screen(&mut self, width: usize, height: usize, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", scheme);
    }

    /// Where the middle of the first element is that fits, scrolled into view.
    fn place_of(&mut self, selector: &str) -> (f64, f64) {
        let found = self.evaluate(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); if (!e) return null; e.scrollIntoView({{block: 'center'}});
              const r = e.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2] }})()"
        ));
        let at = |axis: usize| found[axis].as_f64().unwrap_or_else(|| panic!("there is no {selector}"));
        (at(0), at(1))
    }

    /// Presses and releases the mouse button over an element; `shift`: with that key.
    pub fn click(&mut self, selector: &str, shift: bool) {
        let (x, y) = self.place_of(selector);
        let modifiers = if shift { 8 } else { 0 };
        self.ask("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": x, "y": y }));
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1, "modifiers": modifiers });
            self.ask("Input.dispatchMouseEvent", event);
        }
    }

    /// Two places in an element, stated as shares of its width and height, which is scrolled into view.
    fn places_in(&mut self, selector: &str, shares: [[f64; 2]; 2]) -> [(f64, f64); 2] {
        let (x, y) = self.place_of(selector);
        let size = self.evaluate(&format!(
            "(() => {{ const r = document.querySelector({selector:?}).getBoundingClientRect(); return [r.width, r.height] }})()"
        ));
        let side = |axis: usize| size[axis].as_f64().unwrap();
        shares.map(|[right, down]| (x + (right - 0.5) * side(0), y + (down - 0.5) * side(1)))
    }

    /// Presses the mouse button in an element at one place and releases it at another; stated as shares of its width and height.
    pub fn drag(&mut self, selector: &str, from: [f64; 2], to: [f64; 2]) {
        let [from, to] = self.places_in(selector, [from, to]);
        for (kind, (x, y), buttons) in
            [("mouseMoved", from, 0), ("mousePressed", from, 1), ("mouseMoved", to, 1), ("mouseReleased", to, 0)]
        {
            let button = if kind == "mouseMoved" && buttons == 0 { "none" } else { "left" };
            let event = json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", event);
        }
    }

    /// The same with a finger.
    pub fn swipe(&mut self, selector: &str, from: [f64; 2], to: [f64; 2]) {
        let [from, to] = self.places_in(selector, [from, to]);
        for (kind, (x, y)) in [("touchStart", from), ("touchMove", to)] {
            self.ask("Input.dispatchTouchEvent", json!({ "type": kind, "touchPoints": [{ "x": x, "y": y }] }));
        }
        self.ask("Input.dispatchTouchEvent", json!({ "type": "touchEnd", "touchPoints": [] }));
    }

    /// Touches an element with a finger.
    pub fn tap(&mut self, selector: &str) {
        let (x, y) = self.place_of(selector);
        self.ask("Input.dispatchTouchEvent", json!({ "type": "touchStart", "touchPoints": [{ "x": x, "y": y }] }));
        self.ask("Input.dispatchTouchEvent", json!({ "type": "touchEnd", "touchPoints": [] }));
    }

    /// Presses and releases a key: one character, or a name as `ArrowRight`.
    pub fn key(&mut self, key: &str, shift: bool) {
        let modifiers = if shift { 8 } else { 0 };
        let mut down = json!({ "type": "keyDown", "key": key, "modifiers": modifiers });
        if key.len() == 1 {
            down["text"] = key.into();
        }
        if key == "Escape" {
            // What the browser itself does by a key it does by its code: closing a dialog.
            down["windowsVirtualKeyCode"] = 27.into();
        }
        self.ask("Input.dispatchKeyEvent", down);
        self.ask("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key, "modifiers": modifiers }));
    }

    /// Writes down what is seen, where somebody wants it.
    pub fn keep(&mut self, name: &str) {
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
