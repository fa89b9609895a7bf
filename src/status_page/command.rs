//! `POST /product` and `POST /acknowledge`: what a PLC or a broker may ask of the line, asked by a page or a program.

use super::connection::{ANSWER_TIMEOUT, Connection};
use super::posted::{PostedBody, parse_json};
use super::request::{BodyLength, HttpRequest};
use super::response::{JSON, answer, refuse};
use crate::escape;
use crate::pipeline::{CommandError, Commands, Selection};
use serde::Deserialize;
use serde_json::json;
use std::io;

/// The longest body, in bytes.
const BODY_LIMIT: u64 = 1024;

/// A command whose body, where it has one, is to be read.
pub struct CommandRequest {
    kind: CommandKind,
    body: Option<PostedBody>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommandKind {
    Product,
    Acknowledge,
}

/// A product by its name, or by its code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductBody {
    product: Option<String>,
    code: Option<u16>,
}

impl CommandRequest {
    /// A request for another product.
    ///
    /// # Errors
    /// The status and the reason to answer with.
    pub fn product(request: &HttpRequest, begun: &[u8]) -> Result<CommandRequest, (u16, String)> {
        let body = PostedBody::accept_json(request, begun, BODY_LIMIT)?;
        Ok(CommandRequest { kind: CommandKind::Product, body: Some(body) })
    }

    /// A request to acknowledge the alarm. There is nothing to say; a body is read and passed over.
    ///
    /// # Errors
    /// As [`CommandRequest::product`].
    pub fn acknowledge(request: &HttpRequest, begun: &[u8]) -> Result<CommandRequest, (u16, String)> {
        let body = match request.body {
            BodyLength::Unstated | BodyLength::Bytes(0) => {
                PostedBody::refuse_other_sites(request)?;
                None
            }
            _ => Some(PostedBody::accept(request, begun, BODY_LIMIT)?),
        };
        Ok(CommandRequest { kind: CommandKind::Acknowledge, body })
    }
}

/// Reads a command, has it done and answers.
pub fn serve_command(commands: &Commands, request: CommandRequest, connection: &mut Connection) -> io::Result<()> {
    let by = format!("http {}", connection.peer());
    let body = match request.body {
        None => Some(Vec::new()),
        Some(body) => body.read(connection)?,
    };
    let Some(body) = body else { return Ok(()) };
    let outcome = match request.kind {
        CommandKind::Product => select(commands, &body, &by),
        CommandKind::Acknowledge => acknowledge(commands, &by),
    };
    connection.set_timeout(ANSWER_TIMEOUT);
    connection.write_all(&match outcome {
        Ok(text) => answer(200, JSON, "", escape::json(&text).as_bytes()),
        Err((status, problem)) => refuse(status, &escape::one_line(&problem)),
    })
}

fn select(commands: &Commands, body: &[u8], by: &str) -> Result<String, (u16, String)> {
    let body: ProductBody = parse_json(body)?;
    let selection = match (&body.product, body.code) {
        (Some(name), None) => Selection::Name(name),
        (None, Some(code)) => Selection::Code(code),
        _ => return Err((422, "name one product: {\"product\": NAME} or {\"code\": NUMBER}".into())),
    };
    commands.select(selection, by).map_err(refusal)?;
    let key = commands.key(commands.wanted());
    Ok(json!({ "product": key.map(|key| &key.name), "code": key.map(|key| key.code) }).to_string() + "\n")
}

fn acknowledge(commands: &Commands, by: &str) -> Result<String, (u16, String)> {
    let waited = commands.latched() == Some(true);
    commands.acknowledge(by).map_err(refusal)?;
    Ok(json!({ "acknowledged": waited }).to_string() + "\n")
}

fn refusal(error: CommandError) -> (u16, String) {
    let status = match error {
        CommandError::NoProducts | CommandError::NoLatch => 404,
        CommandError::UnknownProduct(_) => 422,
        CommandError::Forbidden(_) => 403,
    };
    (status, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{ChosenProduct, ProductKey};
    use crate::sink::AlarmLatch;
    use crate::telemetry::{Telemetry, text_line};
    use std::sync::Arc;

    fn commands(names: &[&str], latch: Option<Arc<AlarmLatch>>, telemetry: Telemetry) -> Commands {
        let products = (1..).zip(names).map(|(code, name)| ProductKey { name: (*name).into(), code });
        Commands::new(products.collect(), ChosenProduct::Known(0), latch, telemetry)
    }

    #[test]
    fn a_product_is_chosen_by_name_or_code() {
        let telemetry = Telemetry::default();
        let kept = telemetry.begin_run(1 << 32);
        let commands = commands(&["cap", "lid"], None, telemetry);
        let asked = |body: &str| select(&commands, body.as_bytes(), "http 10.0.0.5");
        assert_eq!(asked("{\"product\": \"lid\"}").unwrap(), "{\"code\":2,\"product\":\"lid\"}\n");
        let record: String = kept.try_iter().map(|record| text_line(&record)).collect();
        assert!(record.contains("by=\"http 10.0.0.5\"") && record.contains("product=lid"), "{record}");
        assert_eq!(asked("{\"code\": 1}").unwrap(), "{\"code\":1,\"product\":\"cap\"}\n");
        for body in
            ["", "[]", "{}", "{\"code\":1,\"product\":\"cap\"}", "{\"code\":70000}", "{\"kode\":1}", "{\"code\":-1}"]
        {
            assert_eq!(asked(body).unwrap_err().0, 422, "{body}");
            assert_eq!(commands.wanted(), ChosenProduct::Known(0), "{body}: nothing was named");
        }
        let (status, problem) = asked("{\"product\": \"nut\"}").unwrap_err();
        assert!(status == 422 && problem.contains("there is no product \"nut\": every part is NOK"), "{problem}");
        assert_eq!(commands.wanted(), ChosenProduct::Unknown);
    }

    #[test]
    fn what_a_line_does_not_have_is_not_found() {
        let without = commands(&[], None, Telemetry::default());
        let (status, problem) = select(&without, b"{\"code\": 1}", "http").unwrap_err();
        assert_eq!((status, problem.as_str()), (404, "this line has no [[product]]"));
        let (status, problem) = acknowledge(&without, "http").unwrap_err();
        assert!(status == 404 && problem.contains("alarm.latch is not set"), "{problem}");
    }

    #[test]
    fn an_alarm_is_acknowledged_and_the_answer_says_whether_it_waited() {
        let latch = Arc::<AlarmLatch>::default();
        let commands = commands(&[], Some(Arc::clone(&latch)), Telemetry::default());
        latch.set();
        assert_eq!(acknowledge(&commands, "http").unwrap(), "{\"acknowledged\":true}\n");
        assert!(!latch.is_set());
        assert_eq!(acknowledge(&commands, "http").unwrap(), "{\"acknowledged\":false}\n");
    }
}
