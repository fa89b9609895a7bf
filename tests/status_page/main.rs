//! The status page: over HTTP, and in a real browser.

#[path = "../common/mod.rs"]
mod common;
mod visitor;

mod api;
mod browser;
mod chromium;
mod commands;
mod judge;
mod marks;
mod pages;
mod places;
mod region;
mod teaching;
mod threshold;
mod tls;
