//! What a message of the broker asks for.

use crate::pipeline::{Commands, Selection};
use crate::sink::mqtt::CommandHandler;
use serde::Deserialize;
use std::sync::Arc;

/// Who asks, in records: MQTT does not say who published a message.
const BY: &str = "mqtt";
/// The longest message, in bytes.
const LONGEST: usize = 1024;

/// One message: a JSON object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandMessage {
    /// A product by its name, or by its code.
    product: Option<String>,
    code: Option<u16>,
    /// True: acknowledges the alarm.
    #[serde(default)]
    acknowledge: bool,
    /// Who says that he sent it.
    by: Option<String>,
}

/// Obeys messages on the topic of commands.
pub(super) fn handler(commands: &Arc<Commands>) -> CommandHandler {
    let commands = Arc::clone(commands);
    Arc::new(move |message, is_retained| obey(&commands, message, is_retained))
}

fn obey(commands: &Commands, message: &[u8], is_retained: bool) {
    let refuse = |why| drop(commands.forbid("message", BY, why));
    if is_retained {
        return refuse("a retained message, which would be obeyed again at each connection: publish it without retain");
    }
    if message.len() > LONGEST {
        return refuse("a message of more than 1024 bytes");
    }
    let Ok(asked) = serde_json::from_slice::<CommandMessage>(message) else {
        return refuse("no command: {\"product\": NAME}, {\"code\": NUMBER} or {\"acknowledge\": true} is wanted");
    };
    let by = asked.by.map_or(BY.to_string(), |by| format!("{BY}, says {by}"));
    let selection = match (&asked.product, asked.code) {
        (Some(_), Some(_)) => return refuse("a product by name and by code: name it once"),
        (Some(name), None) => Some(Selection::Name(name)),
        (None, Some(code)) => Some(Selection::Code(code)),
        (None, None) if !asked.acknowledge => return refuse("a message that asks for nothing"),
        (None, None) => None,
    };
    // What comes of it is a record, which whoever sent it can hear on the broker.
    if let Some(selection) = selection {
        let _ = commands.select(selection, &by);
    }
    if asked.acknowledge {
        let _ = commands.acknowledge(&by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{ChosenProduct, ProductKey};
    use crate::sink::AlarmLatch;
    use crate::telemetry::{Telemetry, text_line};

    #[test]
    fn messages_are_obeyed_or_recorded_as_refused() {
        let telemetry = Telemetry::default();
        let kept = telemetry.begin_run(1 << 32);
        let latch = Arc::<AlarmLatch>::default();
        let products =
            ["cap", "lid"].into_iter().zip([1, 2]).map(|(name, code)| ProductKey { name: name.into(), code });
        let commands = Commands::new(products.collect(), ChosenProduct::Known(0), Some(Arc::clone(&latch)), telemetry);
        let commands = Arc::new(commands);
        let obey = handler(&commands);
        let said = |message: &[u8], is_retained| {
            obey(message, is_retained);
            kept.try_iter().map(|record| text_line(&record)).collect::<String>()
        };
        assert!(said(br#"{"product": "lid", "by": "mes-1"}"#, false).contains("by=\"mqtt, says mes-1\""));
        assert_eq!(commands.wanted(), ChosenProduct::Known(1));
        said(br#"{"code": 1}"#, false);
        assert_eq!(commands.wanted(), ChosenProduct::Known(0));
        latch.set();
        assert!(said(br#"{"acknowledge": true}"#, false).contains("command=acknowledge") && !latch.is_set());
        let long = [b" ".repeat(LONGEST).as_slice(), br#"{"code": 2}"#].concat();
        for (message, is_retained, expected) in [
            (&br#"{"code": 2}"#[..], true, "retained"),
            (br#"{"code": 2, "product": "lid"}"#, false, "name it once"),
            (br#"{"code": 70000}"#, false, "no command"),
            (br#"{"kode": 2}"#, false, "no command"),
            (b"{}", false, "asks for nothing"),
            (b"\xff\0", false, "no command"),
            (b"", false, "no command"),
            (&long, false, "more than 1024 bytes"),
        ] {
            let record = said(message, is_retained);
            assert!(record.contains("command=message") && record.contains(expected), "{record}");
        }
        assert_eq!(commands.wanted(), ChosenProduct::Known(0), "nothing of this was obeyed");
        said(br#"{"product": "nut"}"#, false);
        assert_eq!(commands.wanted(), ChosenProduct::Unknown);
    }
}
