//! A region is drawn on the live view, by pointer and finger, or stated in pixels; the page gives the lines for it.

use crate::chromium::{Browser, FAINT, NAMELESS};
use crate::visitor::Service;
use serde_json::json;

/// Frames of 640x480.
const LINE: &str = "[source.pattern]\nfps = 20\n";

/// The region that the page states: left, top, width, height.
fn stated(browser: &mut Browser) -> Vec<i64> {
    let text = browser.evaluate("document.getElementById('toml').textContent");
    let shape = text.as_str().unwrap().strip_prefix("region = \"").and_then(|text| text.strip_suffix('"')).unwrap();
    shape.split(',').map(|number| number.parse().unwrap()).collect()
}

/// Whether it is the one that was drawn: a pixel of the screen is more than one of the frame.
fn is_near(found: &[i64], expected: [i64; 4]) -> bool {
    found.len() == 4 && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 3)
}

#[test]
fn a_browser_draws_a_region_on_the_live_view() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(folder.path()) else { return };
    let service = Service::start(LINE, "max_fps = 10\n");
    browser.screen(1200, 900, "light");
    browser.ask("Page.navigate", json!({ "url": format!("http://{}/", service.address) }));
    browser.wait("document.getElementById('live')?.naturalWidth === 640 && document.getElementById('note').hidden");
    // While nobody asked for it, the view is only looked at.
    browser.drag("#live", [0.1, 0.1], [0.5, 0.5]);
    assert_eq!(browser.evaluate("document.getElementById('box').hidden"), true);
    browser.click("#region summary", false);
    browser.wait("document.querySelector('#region details').open");
    browser.drag("#live", [0.75, 0.75], [0.25, 0.125]);
    browser.wait("!document.getElementById('lines').hidden && !document.getElementById('box').hidden");
    let found = stated(&mut browser);
    assert!(is_near(&found, [160, 60, 320, 300]), "{found:?}");
    let shape: Vec<String> = found.iter().map(ToString::to_string).collect();
    let shape = shape.join(",");
    let teach = format!("lineside teach --normal GOOD-PICTURES --region {shape} --out NEW-BUNDLE");
    assert_eq!(browser.evaluate("document.getElementById('teach').textContent"), teach.as_str());
    browser.keep("region-1200-light");
    // Beyond the frame there is nothing.
    browser.drag("#live", [0.5, 0.5], [1.5, 1.2]);
    let found = stated(&mut browser);
    assert!(
        is_near(&found, [320, 240, 320, 240]) && found[0] + found[2] == 640 && found[1] + found[3] == 480,
        "{found:?}"
    );
    // By numbers: one that does not fit is no region.
    browser.evaluate("fields[2].value = 400; fields[2].oninput(); 0");
    assert_eq!(browser.evaluate("document.getElementById('lines').hidden"), true);
    browser.evaluate("[10, 20, 300, 200].forEach((v, at) => fields[at].value = v); fields[0].oninput(); 0");
    assert_eq!(stated(&mut browser), [10, 20, 300, 200]);
    // A finger, on a phone, in the dark.
    browser.screen(360, 740, "dark");
    browser.ask("Emulation.setTouchEmulationEnabled", json!({ "enabled": true }));
    browser.swipe("#live", [0.25, 0.25], [0.75, 0.5]);
    let found = stated(&mut browser);
    assert!(is_near(&found, [160, 120, 320, 120]), "{found:?}");
    let wide = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(wide <= 360, "{wide} of 360 pixels: the page does not fit");
    browser.keep("region-360-dark");
    for scheme in ["light", "dark"] {
        browser.screen(360, 740, scheme);
        assert_eq!(browser.evaluate(NAMELESS), json!([]));
        assert_eq!(browser.evaluate(FAINT), json!([]), "{scheme}");
    }
}
