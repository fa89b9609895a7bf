//! Counts of parts: by result, and by product and shift.

use super::outcome::PartResult;

/// Shifts of a day, at most.
pub const MAX_SHIFTS: usize = 8;

/// Counts of parts since the start of a run. `parts = ok + nok + no_result + in_flight`, exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartCounts {
    /// Announced by the trigger.
    pub parts: u64,
    /// Results by kind, in the order of [`PartResult::ALL`].
    pub results: [u64; 3],
    /// Verdicts that came after their part had got its result.
    pub late: u64,
    /// Parts that have no result yet.
    pub in_flight: u64,
}

impl PartCounts {
    /// How many parts got a result.
    pub fn of(&self, result: PartResult) -> u64 {
        self.results[result as usize]
    }
}

/// Results of one product in one shift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRow {
    /// The product; empty where there are none.
    pub product: String,
    /// When the shift begins, `06:00`; empty where there are none.
    pub shift: String,
    /// Results by kind, in the order of [`PartResult::ALL`].
    pub results: [u64; 3],
}

/// A product that parts are counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedProduct {
    /// As records and metrics call it.
    pub name: String,
    /// Its code; `None` for all that is no known product.
    pub code: Option<u16>,
}

/// Results by product and shift: a table of a fixed size, so that counting never allocates.
#[derive(Debug)]
pub(super) struct PartTable {
    products: Vec<CountedProduct>,
    shifts: Vec<String>,
    /// `[product][shift][result]`.
    cells: Vec<[[u64; 3]; MAX_SHIFTS]>,
    /// What parts count under now.
    product: usize,
    shift: usize,
}

impl PartTable {
    /// No result yet; without products or shifts everything counts under one that has no name.
    pub fn new(mut products: Vec<CountedProduct>, mut shifts: Vec<String>) -> PartTable {
        if products.is_empty() {
            products.push(CountedProduct { name: String::new(), code: None });
        }
        if shifts.is_empty() {
            shifts.push(String::new());
        }
        shifts.truncate(MAX_SHIFTS);
        let cells = vec![[[0; 3]; MAX_SHIFTS]; products.len()];
        PartTable { products, shifts, cells, product: 0, shift: 0 }
    }

    /// From now on parts count under this shift; one that is not there changes nothing.
    pub fn set_shift(&mut self, shift: usize) {
        if shift < self.shifts.len() {
            self.shift = shift;
        }
    }

    /// From now on parts count under this product; one that is not there changes nothing.
    pub fn set_product(&mut self, code: Option<u16>) {
        if let Some(at) = self.products.iter().position(|product| product.code == code) {
            self.product = at;
        }
    }

    /// The code of the product that parts count under now.
    pub fn product(&self) -> Option<u16> {
        self.products[self.product].code
    }

    pub fn add(&mut self, result: PartResult, count: u64) {
        self.cells[self.product][self.shift][result as usize] += count;
    }

    /// All rows, also those without a part.
    pub fn rows(&self) -> Vec<PartRow> {
        let row = |product: usize, shift: usize| PartRow {
            product: self.products[product].name.clone(),
            shift: self.shifts[shift].clone(),
            results: self.cells[product][shift],
        };
        (0..self.products.len())
            .flat_map(|product| (0..self.shifts.len()).map(move |shift| row(product, shift)))
            .collect()
    }
}
