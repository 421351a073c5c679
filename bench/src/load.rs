//! Clients that call a router without pause or at a steady rate, and what they saw.

use crate::http::Connection;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it was sent, or was to be.
    pub sent: Instant,
    /// How long its answer took from then on.
    pub took: Duration,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

impl Call {
    /// Whether it was under way at a time.
    pub fn spans(&self, at: Instant) -> bool {
        self.sent <= at && at < self.sent + self.took
    }
}

/// A request, made anew for each call.
pub struct Request {
    /// Its method.
    pub method: &'static str,
    /// Its path, with parameters.
    pub path: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// When a client calls.
#[derive(Clone, Copy)]
pub enum Pace {
    /// One call after the other.
    Steady,
    /// So long after the answer to the one before.
    After(Duration),
    /// Each at its time, so that one which takes long counts for those that had to wait for it.
    Every(Duration),
}

/// Calls until it is told to stop.
pub fn run(
    address: SocketAddr,
    pace: Pace,
    stop: &AtomicBool,
    mut next: impl FnMut(usize) -> Request,
) -> Vec<Call> {
    let begun = Instant::now();
    let mut connection = None;
    let mut calls: Vec<Call> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let sent = match pace {
            Pace::Steady => Instant::now(),
            Pace::After(pause) => {
                std::thread::sleep(pause);
                Instant::now()
            }
            Pace::Every(every) => {
                let due = begun + every * u32::try_from(calls.len()).unwrap_or(u32::MAX);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due
            }
        };
        let request = next(calls.len());
        let done = call(&mut connection, address, &request);
        if done.is_err() {
            // What is left of the answer must not be taken for the next one.
            connection = None;
        }
        calls.push(Call {
            sent,
            took: sent.elapsed(),
            failed: done.err(),
        });
    }
    calls
}

fn call(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    request: &Request,
) -> Result<(), String> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(address).map_err(|e| e.chain())?),
    };
    let answer = open.ask(request.method, &request.path, &request.body);
    answer.map(drop).map_err(|e| e.chain())
}

/// The time that so many hundredths of calls took at most.
pub fn percentile(calls: &[Call], hundredths: usize) -> Duration {
    let mut times: Vec<_> = calls.iter().map(|call| call.took).collect();
    times.sort_unstable();
    let at = (times.len() * hundredths).div_ceil(100);
    times.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

/// A duration in milliseconds, for people.
pub fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
