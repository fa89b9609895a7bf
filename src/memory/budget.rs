//! The bill: every large thing that the process will hold, added up before the first frame and compared with the budget.

use crate::escape::one_line;
use bytesize::ByteSize;
use std::fmt;

/// What the process will hold, item by item, in bytes.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Bill {
    items: Vec<Item>,
}

#[derive(Debug, Clone, serde::Serialize)]
struct Item {
    name: String,
    bytes: u64,
}

/// The bill exceeds the budget; names the largest items.
#[derive(Debug, thiserror::Error)]
#[error("budget.memory is {}, but {} are needed; the largest items: {largest}", ByteSize(*budget), ByteSize(*total))]
pub struct OverBudget {
    budget: u64,
    total: u64,
    largest: String,
}

impl Bill {
    /// Puts one item on the bill.
    pub fn add(&mut self, name: impl Into<String>, bytes: u64) {
        self.items.push(Item { name: name.into(), bytes });
    }

    /// Puts all items of another bill on this one.
    pub fn append(&mut self, mut other: Bill) {
        self.items.append(&mut other.items);
    }

    /// Puts all items of another bill on this one, each with the name of who takes it.
    pub fn append_of(&mut self, name: &str, other: &Bill) {
        let of = |item: &Item| Item { name: format!("{name}: {}", item.name), bytes: item.bytes };
        self.items.extend(other.items.iter().map(of));
    }

    /// The items in one line: `engine 12345; frames 678`.
    pub fn line(&self) -> String {
        let items = self.items.iter().map(|item| format!("{} {}", item.name, item.bytes));
        items.collect::<Vec<String>>().join("; ")
    }

    /// The sum of all items, in bytes.
    pub fn total(&self) -> u64 {
        self.items.iter().map(|item| item.bytes).sum()
    }

    /// Compares the bill with `budget` bytes.
    ///
    /// # Errors
    /// [`OverBudget`] where the sum is higher.
    pub fn check(&self, budget: u64) -> Result<(), OverBudget> {
        let total = self.total();
        if total <= budget {
            return Ok(());
        }
        let mut by_size: Vec<&Item> = self.items.iter().collect();
        by_size.sort_by_key(|item| std::cmp::Reverse(item.bytes));
        let largest: Vec<String> =
            by_size.iter().take(3).map(|item| format!("{} {}", item.name, ByteSize(item.bytes))).collect();
        Err(OverBudget { budget, total, largest: largest.join(", ") })
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            writeln!(f, "  {:<34} {:>12}", one_line(&item.name), ByteSize(item.bytes).to_string())?;
        }
        write!(f, "  {:<34} {:>12}", "sum", ByteSize(self.total()).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_over_budget_names_the_largest_items() {
        let mut bill = Bill::default();
        bill.add("weights", 3 << 20);
        bill.add("stacks", 1 << 20);
        bill.add("arena", 9 << 20);
        bill.add("frames", 2 << 20);
        assert_eq!(bill.total(), 15 << 20);
        assert!(bill.check(15 << 20).is_ok());
        let refusal = bill.check((15 << 20) - 1).unwrap_err().to_string();
        assert!(bill.line().starts_with("weights 3145728; stacks 1048576; "), "{}", bill.line());
        assert!(refusal.contains("arena 9.0 MiB, weights 3.0 MiB, frames 2.0 MiB"), "{refusal}");
    }
}
