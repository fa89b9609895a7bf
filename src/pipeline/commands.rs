//! What may be asked of a running line from outside: to inspect another product, and to acknowledge the alarm.
//!
//! Whoever asks (a PLC, a broker, a page, lines of GPIO) calls a method here with its name, and is answered at once. Inspection looks
//! at an atomic before each frame, so that nobody who asks can hold it up. What is asked, by whom, and what came of it, is a record
//! `command`; what changes nothing, such as a product that is chosen already, is none: PLCs write their registers again and again.

use crate::sink::AlarmLatch;
use crate::telemetry::{Record, Telemetry};
use log::Level;
use std::fmt;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Records of commands that may come at once, and each second: a line of records is no place for what a loose wire asks for.
const AT_ONCE: f64 = 20.0;
const EACH_SECOND: f64 = 2.0;
/// The longest name of who asked, in bytes.
const LONGEST_NAME: usize = 128;

/// A product by the two words that choose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductKey {
    /// As people and records call it.
    pub name: String,
    /// As machines do; never 0, which a wire that is off or broken says.
    pub code: u16,
}

/// How a product is named by whoever chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection<'a> {
    /// By its name.
    Name(&'a str),
    /// By its code.
    Code(u16),
}

/// The product that frames are judged as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenProduct {
    /// The line knows no products.
    Without,
    /// The one at this place of [`Commands::products`].
    Known(usize),
    /// One that the line does not know: nothing can be good.
    Unknown,
}

impl ChosenProduct {
    /// What records and counts call a product that the line does not know.
    pub const UNKNOWN_NAME: &str = "unknown";
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is nothing to choose from.
    #[error("this line has no [[product]]")]
    NoProducts,
    /// There are others. Every part is NOK until one of them is chosen.
    #[error("there is no product {0}: every part is NOK until a known one is chosen")]
    UnknownProduct(String),
    /// The alarm does not wait for anybody.
    #[error("alarm.latch is not set: there is nothing to acknowledge")]
    NoLatch,
    /// Whoever asked has no right to.
    #[error("{0}")]
    Forbidden(&'static str),
}

/// The commands of a line.
pub struct Commands {
    products: Vec<ProductKey>,
    /// [`ChosenProduct`] as a number: what is asked for, and what frames are judged as.
    wanted: AtomicU32,
    active: AtomicU32,
    latch: Option<Arc<AlarmLatch>>,
    records: Mutex<RecordBudget>,
    telemetry: Telemetry,
}

/// How many records may be written now, as of when, and how many were not since the last.
struct RecordBudget {
    left: f64,
    since: Instant,
    unrecorded: u64,
}

impl Commands {
    /// For a line that knows these products and judges by the one at `first`; `latch`: its alarm waits to be acknowledged.
    pub fn new(
        products: Vec<ProductKey>,
        first: ChosenProduct,
        latch: Option<Arc<AlarmLatch>>,
        telemetry: Telemetry,
    ) -> Commands {
        let records = Mutex::new(RecordBudget { left: AT_ONCE, since: Instant::now(), unrecorded: 0 });
        let number = if products.is_empty() { ChosenProduct::Without } else { first }.number();
        Commands { products, wanted: number.into(), active: number.into(), latch, records, telemetry }
    }

    /// The products, in the order of the configuration.
    pub fn products(&self) -> &[ProductKey] {
        &self.products
    }

    /// Asks for another product, from the next frame on.
    ///
    /// # Errors
    /// [`CommandError::NoProducts`] and [`CommandError::UnknownProduct`]. The latter is more than a refusal: who names a product that
    /// the line does not know is about to send parts of it, which must not be judged as those before.
    pub fn select(&self, selection: Selection, by: &str) -> Result<(), CommandError> {
        let record = |level| self.record(level, "product", by).with("product", selection.to_string());
        if self.products.is_empty() {
            return self.refuse(record(Level::Warn), CommandError::NoProducts);
        }
        let wanted = self.find(selection);
        let changed = self.wanted.swap(wanted.number(), AcqRel) != wanted.number();
        match wanted {
            ChosenProduct::Known(_) if !changed => Ok(()),
            ChosenProduct::Known(at) => {
                let key = &self.products[at];
                let record = self.record(Level::Info, "product", by).with("product", key.name.as_str());
                self.write(record.with("code", u64::from(key.code)));
                Ok(())
            }
            _ if !changed => Err(CommandError::UnknownProduct(selection.to_string())),
            _ => self.refuse(record(Level::Error), CommandError::UnknownProduct(selection.to_string())),
        }
    }

    /// Acknowledges the alarm: it goes off once it has been held for its time.
    ///
    /// # Errors
    /// [`CommandError::NoLatch`]. With nothing to acknowledge it succeeds, and is no record.
    pub fn acknowledge(&self, by: &str) -> Result<(), CommandError> {
        let Some(latch) = &self.latch else {
            return self.refuse(self.record(Level::Warn, "acknowledge", by), CommandError::NoLatch);
        };
        if latch.acknowledge() {
            self.write(self.record(Level::Info, "acknowledge", by));
        }
        Ok(())
    }

    /// Records that somebody asked for what he has no right to; `what` is the command.
    pub fn forbid(&self, what: &'static str, by: &str, why: &'static str) -> CommandError {
        let error = CommandError::Forbidden(why);
        self.write(self.record(Level::Warn, what, by).with("refused", why));
        error
    }

    /// What is asked for.
    pub fn wanted(&self) -> ChosenProduct {
        ChosenProduct::of_number(self.wanted.load(Acquire))
    }

    /// What frames are judged as.
    pub fn active(&self) -> ChosenProduct {
        ChosenProduct::of_number(self.active.load(Acquire))
    }

    /// The product that frames are judged as; `None` where there is none, or an unknown one.
    pub fn active_product(&self) -> Option<&ProductKey> {
        self.key(self.active())
    }

    /// Notes what frames are judged as from now on: inspection's to call.
    pub fn set_active(&self, product: ChosenProduct) {
        self.active.store(product.number(), Release);
    }

    /// The name and code of a product.
    pub fn key(&self, product: ChosenProduct) -> Option<&ProductKey> {
        match product {
            ChosenProduct::Known(at) => self.products.get(at),
            _ => None,
        }
    }

    /// Whether the alarm can be acknowledged, and whether it waits for that.
    pub fn latched(&self) -> Option<bool> {
        self.latch.as_ref().map(|latch| latch.is_set())
    }

    fn find(&self, selection: Selection) -> ChosenProduct {
        let is_meant = |key: &ProductKey| match selection {
            Selection::Name(name) => key.name == name,
            Selection::Code(code) => key.code == code,
        };
        self.products.iter().position(is_meant).map_or(ChosenProduct::Unknown, ChosenProduct::Known)
    }

    fn record(&self, level: Level, command: &'static str, by: &str) -> Record {
        let end = by.floor_char_boundary(LONGEST_NAME);
        self.telemetry.record(level, "command").with("command", command).with("by", &by[..end])
    }

    fn refuse(&self, record: Record, error: CommandError) -> Result<(), CommandError> {
        self.write(record.with("refused", error.to_string()));
        Err(error)
    }

    /// Writes a record, where not too many came before; how many were left out is in the next.
    fn write(&self, record: Record) {
        let unrecorded = {
            let mut budget = self.records.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let earned = now.saturating_duration_since(budget.since).as_secs_f64() * EACH_SECOND;
            budget.left = (budget.left + earned).min(AT_ONCE);
            budget.since = now;
            if budget.left < 1.0 {
                budget.unrecorded += 1;
                return;
            }
            budget.left -= 1.0;
            std::mem::take(&mut budget.unrecorded)
        };
        self.telemetry.log_and_persist(record.with_known("unrecorded", (unrecorded > 0).then_some(unrecorded)));
    }
}

impl ChosenProduct {
    const WITHOUT: u32 = u32::MAX;
    const UNKNOWN: u32 = u32::MAX - 1;

    fn number(self) -> u32 {
        match self {
            ChosenProduct::Without => ChosenProduct::WITHOUT,
            ChosenProduct::Unknown => ChosenProduct::UNKNOWN,
            ChosenProduct::Known(at) => u32::try_from(at).unwrap_or(ChosenProduct::UNKNOWN),
        }
    }

    fn of_number(number: u32) -> ChosenProduct {
        match number {
            ChosenProduct::WITHOUT => ChosenProduct::Without,
            ChosenProduct::UNKNOWN => ChosenProduct::Unknown,
            at => ChosenProduct::Known(at as usize),
        }
    }
}

impl fmt::Display for Selection<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            // In a line of a record, whatever somebody sent.
            Selection::Name(name) => write!(out, "{:?}", &name[..name.floor_char_boundary(LONGEST_NAME)]),
            Selection::Code(code) => write!(out, "with code {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::text_line;

    fn commands(latch: Option<Arc<AlarmLatch>>) -> (Commands, impl Fn() -> Vec<String>) {
        let telemetry = Telemetry::default();
        let kept = telemetry.begin_run(1 << 32);
        let key = |name: &str, code| ProductKey { name: name.into(), code };
        let products = vec![key("cap", 1), key("lid", 7)];
        let commands = Commands::new(products, ChosenProduct::Known(0), latch, telemetry);
        (commands, move || kept.try_iter().map(|record| text_line(&record)).collect())
    }

    #[test]
    fn a_product_is_chosen_by_name_or_code_and_each_change_is_a_record() {
        let (commands, records) = commands(None);
        commands.select(Selection::Name("cap"), "page").unwrap();
        assert_eq!((commands.wanted(), records()), (ChosenProduct::Known(0), vec![]), "it was chosen already");
        commands.select(Selection::Code(7), "modbus 10.0.0.5").unwrap();
        assert_eq!(commands.wanted(), ChosenProduct::Known(1));
        let [record] = &records()[..] else { panic!("one record") };
        for part in ["record=command", "command=product", "by=\"modbus 10.0.0.5\"", "product=lid", "code=7"] {
            assert!(record.contains(part), "{part}: {record}");
        }
        assert_eq!(commands.active(), ChosenProduct::Known(0), "inspection has not switched yet");
        commands.set_active(commands.wanted());
        assert_eq!(commands.active_product().unwrap().code, 7);
    }

    #[test]
    fn an_unknown_product_makes_nothing_good() {
        let (commands, records) = commands(None);
        for selection in [Selection::Code(0), Selection::Name("\n\u{1b}"), Selection::Code(0)] {
            assert!(matches!(commands.select(selection, "gpio"), Err(CommandError::UnknownProduct(_))));
            assert_eq!(commands.wanted(), ChosenProduct::Unknown);
        }
        let records = records();
        assert_eq!(records.len(), 1, "the second and the third change nothing");
        assert!(records[0].contains("refused=") && records[0].contains("with code 0"), "{records:?}");
        commands.select(Selection::Name("lid"), "gpio").unwrap();
        assert_eq!(commands.wanted(), ChosenProduct::Known(1));
    }

    #[test]
    fn without_products_there_is_nothing_to_choose() {
        let commands = Commands::new(Vec::new(), ChosenProduct::Known(0), None, Telemetry::default());
        assert_eq!(commands.select(Selection::Code(1), "page"), Err(CommandError::NoProducts));
        assert_eq!((commands.wanted(), commands.active_product()), (ChosenProduct::Without, None));
    }

    #[test]
    fn an_alarm_is_acknowledged_where_it_waits_for_that() {
        let (without, records) = commands(None);
        assert_eq!(without.acknowledge("mqtt"), Err(CommandError::NoLatch));
        assert_eq!((records().len(), without.latched()), (1, None));
        let latch = Arc::<AlarmLatch>::default();
        let (commands, records) = commands(Some(Arc::clone(&latch)));
        commands.acknowledge("mqtt").unwrap();
        assert!(records().is_empty(), "there was nothing");
        latch.set();
        commands.acknowledge("mqtt").unwrap();
        assert!(!latch.is_set() && records()[0].contains("command=acknowledge"));
    }

    #[test]
    fn a_flood_of_commands_is_no_flood_of_records_but_counted() {
        let (commands, records) = commands(None);
        for round in 0..1000 {
            commands.select(Selection::Code(if round % 2 == 0 { 7 } else { 1 }), "loose wire").unwrap();
        }
        let written = records().len();
        assert!((AT_ONCE as usize..100).contains(&written), "{written}");
        commands.records.lock().unwrap().left = 1.0;
        commands.forbid("product", "nobody", "no right");
        let last = records().pop().unwrap();
        assert!(last.contains(&format!("unrecorded={}", 1000 - written)) && last.contains("refused="), "{last}");
    }
}
