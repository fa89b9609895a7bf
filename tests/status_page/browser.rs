//! The status page in a real browser: it loads, the picture changes, a defect shows, on a phone and on a desk, light and dark.

use crate::chromium::Browser;
use crate::common::HANGS;
use crate::visitor::Service;
use serde_json::json;
use std::time::{Duration, Instant};

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

#[test]
fn a_board_that_answers_nothing_shows_no_verdict_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(folder.path()) else { return };
    let source = "[source.folder]\npath = \"models/inspect-demo/frames/defect\"\nrepeat = true\nfps = 2.0\n";
    let service = Service::start(source, "");
    browser.screen(1200, 900, "light");
    browser.ask("Page.navigate", json!({ "url": format!("http://{}/", service.address) }));
    browser.wait("document.getElementById('word')?.textContent === 'DEFECT' && streaming");
    // As with a cable that is pulled: connections stay open, and nothing comes.
    let stop = |name: &str| {
        let done = std::process::Command::new("kill").args([name, &service.id().to_string()]).status().unwrap();
        assert!(done.success());
    };
    stop("-STOP");
    browser.wait("document.getElementById('word').textContent === '–'");
    browser.wait("document.querySelector('#health b').textContent === 'the board does not answer'");
    assert_eq!(browser.evaluate("document.getElementById('view').classList.contains('defect')"), false);
    assert_eq!(browser.evaluate("document.getElementById('score').textContent"), "");
    browser.wait("document.getElementById('note').textContent.startsWith('the board does not answer')");
    browser.keep("does-not-answer");
    stop("-CONT");
    browser.wait("document.getElementById('word').textContent === 'DEFECT' && document.getElementById('note').hidden");
}
