//! Honest users beside an attack: a pair that talks one message at a time, and people who log in.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;

use super::stage::Stage;
use super::talk::{Door, HELLO, PASSWORD, PATIENCE, Talk, host, is_timeout, token};

/// From one message to the next, if the first has been delivered by then.
const PACE: Duration = Duration::from_millis(1);
/// Commands until the answers are acknowledged.
const ACKNOWLEDGE_AFTER: u64 = 64;

/// How long messages took from being sent to `delivered`, in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    times: Histogram<u64>,
    /// Why the pair could not go on.
    pub(crate) cut: Option<String>,
}

impl Latencies {
    fn new() -> Result<Latencies> {
        Ok(Latencies { times: Histogram::new_with_bounds(1, 60_000_000, 3)?, cut: None })
    }

    /// In milliseconds.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        ms(self.times.value_at_quantile(quantile))
    }

    /// In milliseconds.
    pub(crate) fn worst(&self) -> f64 {
        ms(self.times.max())
    }

    pub(crate) fn count(&self) -> u64 {
        self.times.len()
    }
}

#[expect(clippy::cast_precision_loss, reason = "times are short")]
fn ms(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// Two who talk: h1 to h2, or to a real client.
#[derive(Debug)]
pub(crate) struct Pair {
    sender: Talk,
    receiver: Option<Talk>,
    to: &'static str,
    number: u64,
}

impl Pair {
    pub(crate) fn open(stage: &Stage) -> Result<Pair> {
        let (receiver, _) = Talk::log_in(host(1, 2), stage.door()?, "h2")?;
        Ok(Pair { receiver: Some(receiver), ..Pair::to_client(stage, "h2")? })
    }

    /// The receiver is a program that runs elsewhere and acknowledges what it has shown.
    pub(crate) fn to_client(stage: &Stage, to: &'static str) -> Result<Pair> {
        let (sender, _) = Talk::log_in(host(1, 1), stage.door()?, "h1")?;
        Ok(Pair { sender, receiver: None, to, number: 0 })
    }

    /// Talks for so long.
    pub(crate) fn run(&mut self, length: Duration) -> Result<Latencies> {
        let mut latencies = Latencies::new()?;
        let end = Instant::now() + length;
        while Instant::now() < end {
            let began = Instant::now();
            match self.say_one() {
                Ok(()) => latencies.times.record(micros(began))?,
                Err(error) => {
                    latencies.times.record(micros(began))?;
                    let what = if is_timeout(&error) { "nothing came for 10 s" } else { "cut off" };
                    latencies.cut = Some(format!("{what}: {error}"));
                    return Ok(latencies);
                }
            }
            thread::sleep(PACE.saturating_sub(began.elapsed()));
        }
        Ok(latencies)
    }

    fn say_one(&mut self) -> io::Result<()> {
        self.number += 1;
        let number = self.number;
        if number.is_multiple_of(ACKNOWLEDGE_AFTER) {
            self.sender.say(&format!("ack - {}", number - 1))?;
        }
        let to = self.to;
        self.sender.say(&format!("#{number} message {to} good day {number}"))?;
        if let Some(receiver) = &mut self.receiver {
            show(receiver, &format!(" good day {number}"))?;
        }
        let wanted = format!("ok #{number} message {to} ");
        let refused = format!("error #{number} ");
        let answer = self.sender.until(&[&wanted, &refused])?;
        if answer.starts_with(&wanted) { Ok(()) } else { Err(io::Error::other(answer)) }
    }
}

/// Reads and acknowledges messages up to the one that ends so.
fn show(receiver: &mut Talk, end: &str) -> io::Result<()> {
    loop {
        let line = receiver.until(&["message "])?;
        let id = line.split(' ').nth(1).unwrap_or_default();
        receiver.say(&format!("ack {id} -"))?;
        if line.ends_with(end) {
            return Ok(());
        }
    }
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX).clamp(1, 60_000_000)
}

/// How long logins took, in seconds; those that failed took as long as they were tried.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visited {
    pub(crate) seconds: Vec<f64>,
}

impl Visited {
    /// How many took no longer than this.
    pub(crate) fn within(&self, secs: f64) -> usize {
        self.seconds.iter().filter(|&&taken| taken <= secs).count()
    }

    pub(crate) fn worst(&self) -> f64 {
        self.seconds.iter().copied().fold(0.0, f64::max)
    }

    /// Such as `7 of 8 within 1 s, worst 1.25 s`.
    pub(crate) fn show(&self, secs: f64) -> String {
        let (within, all) = (self.within(secs), self.seconds.len());
        format!("{within} of {all} within {secs} s, worst {:.2} s", self.worst())
    }

    /// Whether there were any, and this share of them took no longer.
    pub(crate) fn holds(&self, secs: f64, share: f64) -> bool {
        let all = self.seconds.len();
        #[expect(clippy::cast_precision_loss, reason = "few")]
        let found = self.within(secs) as f64 >= share * all as f64;
        all > 0 && found
    }
}

/// Somebody who logs in again and again.
#[derive(Debug)]
pub(crate) struct Visitor {
    done: Arc<AtomicBool>,
    visits: JoinHandle<Visited>,
}

impl Visitor {
    /// By password, the first time after some time; the n-th time from the n-th address that `from` names.
    pub(crate) fn by_password(
        stage: &Stage,
        name: &'static str,
        times: (Duration, Duration),
        from: impl Fn(u8) -> Ipv4Addr + Send + 'static,
    ) -> Result<Visitor> {
        let to = stage.door()?;
        Ok(Visitor::patient(times, move |n| device_login(from(n), to.fresh()?, name, None)))
    }

    /// Tries again until a login succeeds or takes too long, and logs out.
    fn patient(
        times: (Duration, Duration),
        login: impl Fn(u8) -> io::Result<Talk> + Send + 'static,
    ) -> Visitor {
        Visitor::start(times, move |n| {
            let began = Instant::now();
            while began.elapsed() < PATIENCE {
                if let Ok(talk) = login(n) {
                    let taken = began.elapsed().as_secs_f64();
                    let _ = talk.log_out();
                    return taken;
                }
                thread::sleep(Duration::from_millis(50));
            }
            began.elapsed().as_secs_f64()
        })
    }

    /// By password, as a device that was in before, each time from an address that was not. It was in when this
    /// returns.
    pub(crate) fn by_device(
        stage: &Stage,
        name: &'static str,
        times: (Duration, Duration),
    ) -> Result<Visitor> {
        let to = stage.door()?;
        let cookie = cookie(Talk::open(host(1, 6), to.clone())?, name)?;
        Ok(Visitor::patient(times, move |n| device_login(host(4, n), to.fresh()?, name, cookie.as_deref())))
    }

    /// By token, the first time after some time; each time as a client whose connection was lost, the n-th time from
    /// the n-th address that `from` names. The token is handed out at once.
    pub(crate) fn by_token(
        stage: &Stage,
        name: &'static str,
        times: (Duration, Duration),
        from: impl Fn(u8) -> Ipv4Addr + Send + 'static,
    ) -> Result<Visitor> {
        let to = stage.door()?;
        let (first, welcome) = Talk::log_in(host(1, 3), to.clone(), name)?;
        let token = token(&welcome)?.to_owned();
        let mut last = first;
        Ok(Visitor::start(times, move |n| {
            let began = Instant::now();
            while began.elapsed() < PATIENCE {
                if let Ok(talk) = token_login(from(n), &to, name, &token) {
                    last = talk;
                    return began.elapsed().as_secs_f64();
                }
                thread::sleep(Duration::from_millis(50));
            }
            let _ = &last;
            began.elapsed().as_secs_f64()
        }))
    }

    fn start(
        (after, every): (Duration, Duration),
        mut visit: impl FnMut(u8) -> f64 + Send + 'static,
    ) -> Visitor {
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let visits = thread::spawn(move || {
            let mut visited = Visited::default();
            thread::sleep(after);
            for n in (0..=u8::MAX).cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                visited.seconds.push(visit(n));
                thread::sleep(every);
            }
            visited
        });
        Visitor { done, visits }
    }

    pub(crate) fn finish(self) -> Result<Visited> {
        self.done.store(true, Ordering::Relaxed);
        self.visits.join().ok().context("a visitor broke")
    }
}

/// Logs in and out; the cookie that the device was handed, if the server hands out any (R51).
pub(crate) fn cookie(mut talk: Talk, name: &str) -> Result<Option<String>> {
    talk.say(&format!("{HELLO} device\nlogin {name} {PASSWORD}\nping h1"))?;
    talk.until(&["welcome "])?;
    let line = talk.until(&["device ", "ok ping ", "error "])?;
    let cookie = line.strip_prefix("device ").map(str::to_owned);
    talk.log_out()?;
    Ok(cookie)
}

/// Logs in, as a device if there is a cookie, and tries again on the same connection while the server is busy.
pub(crate) fn device_login(
    from: Ipv4Addr,
    to: impl Into<Door>,
    name: &str,
    cookie: Option<&str>,
) -> io::Result<Talk> {
    let mut talk = Talk::open(from, to)?;
    talk.say(HELLO)?;
    if let Some(cookie) = cookie {
        talk.say(&format!("device {cookie}"))?;
    }
    loop {
        talk.say(&format!("login {name} {PASSWORD}"))?;
        let answer = talk.until(&["welcome ", "refused ", "bye "])?;
        match answer.as_str() {
            "refused busy" => thread::sleep(Duration::from_millis(100)),
            welcome if welcome.starts_with("welcome ") => return Ok(talk),
            other => return Err(io::Error::other(other.to_owned())),
        }
    }
}

fn token_login(from: Ipv4Addr, to: &Door, name: &str, token: &str) -> io::Result<Talk> {
    let mut talk = Talk::open(from, to.clone())?;
    talk.say(&format!("{HELLO}\nresume {name} {token}"))?;
    let answer = talk.until(&["resumed ", "refused ", "bye "])?;
    if answer.starts_with("resumed ") { Ok(talk) } else { Err(io::Error::other(answer)) }
}
