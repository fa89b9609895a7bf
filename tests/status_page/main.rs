//! The status page: over HTTP, and in a real browser.

#[path = "../common/mod.rs"]
mod common;
mod visitor;

mod browser;
mod pages;
mod places;
