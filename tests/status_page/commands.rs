//! `/product` and `/acknowledge`: who may ask, what comes of it, and the page under a real pointer, a finger and keys.

use crate::chromium::Browser;
use crate::common::{records, text};
use crate::visitor::{Answer, Service, TOKEN};
use serde_json::{Value, json};

/// Good parts all the time: the product `part` finds them so, `strict` finds a defect in everything.
const LINE: &str = "[budget]\nmemory = \"512 MiB\"\n[source.pattern]\nfps = 20\ndefect_every = 0\n\
                    [[product]]\nname = \"part\"\ncode = 1\nbundle = \"inspect-pattern\"\n\
                    [[product]]\nname = \"strict\"\ncode = 2\nbundle = \"inspect-pattern\"\nthreshold = 0.0\n";
const TEACH: &str = "fedcba9876543210";
const VERSION: &str = concat!("Lineside-Version: ", env!("CARGO_PKG_VERSION"), "\r\n");

fn choose(service: &Service, headers: &str, body: &Value) -> Answer {
    service.post("/product", &format!("Content-Type: application/json\r\n{headers}"), body.to_string().as_bytes())
}

/// Waits until frames are judged as a product, and as defects or not.
fn judged_as(service: &Service, product: &Value, defect: bool) {
    service.wait("the product", |status| status["product"] == *product && status["defect"] == defect);
}

#[test]
fn a_product_is_chosen_and_an_unknown_one_makes_nothing_good() {
    let service = Service::start(LINE, "control = true\n");
    judged_as(&service, &"part".into(), false);
    let status = service.status();
    let products = json!([{ "name": "part", "code": 1 }, { "name": "strict", "code": 2 }]);
    assert_eq!(
        (&status["products"], &status["may_control"], &status["latched"]),
        (&products, &true.into(), &Value::Null)
    );
    let answer = choose(&service, VERSION, &json!({ "product": "strict" }));
    assert_eq!((answer.status, text(&answer.body).as_str()), (200, "{\"code\":2,\"product\":\"strict\"}\n"));
    judged_as(&service, &"strict".into(), true);
    assert_eq!(choose(&service, VERSION, &json!({ "code": 1 })).status, 200);
    judged_as(&service, &"part".into(), false);
    for body in
        [json!({}), json!([]), json!({ "product": 1 }), json!({ "code": 1, "product": "part" }), json!({ "code": -1 })]
    {
        assert_eq!(choose(&service, VERSION, &body).status, 422, "{body}");
    }
    assert_eq!(service.status()["product"], "part", "nothing was named");
    let answer = choose(&service, VERSION, &json!({ "product": "lid" }));
    let said = text(&answer.body);
    assert!(answer.status == 422 && said.starts_with("there is no product \"lid\": every part is NOK"), "{said}");
    judged_as(&service, &Value::Null, true);
    let answer = service.post("/acknowledge", VERSION, b"");
    let said = text(&answer.body);
    assert!(answer.status == 404 && said.starts_with("alarm.latch is not set") && said.lines().count() == 1, "{said}");
    service.wait_for("results/events.jsonl", "\"refused\":\"alarm.latch is not set");
    let records = records(&service.folder.path().join("results"));
    let command = records.iter().find(|one| one["record"] == "command").unwrap();
    assert_eq!((&command["by"], &command["product"]), (&"http 127.0.0.1".into(), &"strict".into()));
}

#[test]
fn only_who_may_teach_commands_and_each_try_without_the_right_is_recorded() {
    let service = Service::start(LINE, &format!("control = true\ntoken = \"{TOKEN}\"\nteach_token = \"{TEACH}\"\n"));
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let cookie = |token: &str| format!("Cookie: lineside={token}\r\n");
    let body = json!({ "product": "strict" });
    assert_eq!(choose(&service, VERSION, &body).status, 401);
    for refused in [format!("{VERSION}{}", bearer(TOKEN)), format!("{VERSION}{}", cookie(TOKEN)), cookie(TEACH)] {
        assert_eq!(choose(&service, &refused, &body).status, 403, "{refused}");
        assert_eq!(service.post("/acknowledge", &refused, b"").status, 403, "{refused}");
    }
    let site = format!("{VERSION}{}Origin: http://evil.example\r\n", cookie(TEACH));
    assert_eq!((choose(&service, &site, &body).status, service.post("/acknowledge", &site, b"").status), (403, 403));
    service.wait_for("results/events.jsonl", "\"what\":\"product\"");
    let old = format!("Lineside-Version: 0.0.1\r\n{}", cookie(TEACH));
    assert_eq!((choose(&service, &old, &body).status, service.post("/acknowledge", &old, b"").status), (409, 409));
    let status = service.send(&format!("GET /status.json HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer(TOKEN)));
    let status: Value = serde_json::from_slice(&status.body).unwrap();
    assert_eq!((&status["product"], &status["may_control"]), (&"part".into(), &false.into()));
    assert_eq!(choose(&service, &bearer(TEACH), &body).status, 200, "a program with the token");
    assert_eq!(choose(&service, &format!("{VERSION}{}", cookie(TEACH)), &body).status, 200, "the page");
    let long = service.post("/product", &format!("Content-Type: application/json\r\n{}", bearer(TEACH)), &[b' '; 2000]);
    assert_eq!(long.status, 413);
    assert_eq!(service.post("/product", &bearer(TEACH), b"{}").status, 415);
    drop(service);
    let service = Service::start(LINE, "");
    let off = choose(&service, VERSION, &body);
    assert_eq!(
        (off.status, text(&off.body).as_str()),
        (404, "commands are taken with status_page.control = true only\n")
    );
}

#[test]
fn a_browser_chooses_a_product_and_acknowledges() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(folder.path()) else { return };
    let service = Service::start(LINE, "control = true\n");
    browser.screen(1200, 900, "light");
    browser.ask("Page.navigate", json!({ "url": format!("http://{}/", service.address) }));
    browser.wait("document.getElementById('product')?.textContent === 'inspects part'");
    assert_eq!(browser.evaluate("document.getElementById('choose').disabled"), true);
    // By keys: the list, the next product, the button.
    browser.evaluate("document.getElementById('select').focus(); 0");
    browser.key("s", false);
    browser.wait("document.getElementById('select').value === 'strict' && !document.getElementById('choose').disabled");
    browser.keep("control-1200-light");
    browser.click("#choose", false);
    browser.wait("document.getElementById('product').textContent === 'inspects strict'");
    browser.wait("document.getElementById('asked').textContent === 'strict is inspected from now on'");
    judged_as(&service, &"strict".into(), true);
    // A finger, on a phone, in the dark; what somebody else chooses is followed.
    browser.screen(360, 740, "dark");
    browser.ask("Emulation.setTouchEmulationEnabled", json!({ "enabled": true }));
    assert_eq!(choose(&service, VERSION, &json!({ "code": 1 })).status, 200);
    browser.wait("document.getElementById('select').value === 'part'");
    browser.evaluate(
        "document.getElementById('select').value = 'strict'; document.getElementById('select').onchange(); 0",
    );
    browser.tap("#choose");
    browser.wait("document.getElementById('product').textContent === 'inspects strict'");
    assert_eq!(choose(&service, VERSION, &json!({ "code": 9 })).status, 422);
    browser.wait("document.getElementById('product').textContent === 'the product is unknown: every part is NOK'");
    // An alarm that waits, as a line with latched alarm has it.
    browser.evaluate("window.real = control; control = s => real({...s, latched: true}); 0");
    browser.wait("!document.getElementById('acknowledge').disabled");
    browser.tap("#acknowledge");
    browser.wait("document.getElementById('asked').textContent.startsWith('alarm.latch is not set')");
    let wide = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(wide <= 360, "{wide} of 360 pixels: the page does not fit");
    browser.keep("control-360-dark");
    // A page of before an update says so.
    browser.evaluate("version = '0.0.1'; 0");
    browser.tap("#acknowledge");
    browser.wait("document.getElementById('asked').textContent === 'this line was updated: reload the page'");
}
