//! `hobnob send`: runs an errand.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::rc::Rc;

use async_channel::{Receiver, bounded};
use futures_lite::future::or;
use smol::LocalExecutor;

use super::errand_options::ErrandOptions;
use super::links::{self, Link, LinkNews};
use super::news::News;
use super::options::Places;
use super::reach::{Reached, reach};
use super::{json, mistaken, state_folder, trusting, wording};
use crate::client::Exit;
use crate::client::errand::{Action, Errand, Happening, Means, Reason, Recipient};
use crate::client::view::{Success, View};
use crate::shell::platform::{Platform as _, System, WallClock};
use crate::shell::visible::visible;
use crate::time::Time;
use crate::wire::{Code, Refusal};
use crate::words::wiped::WipedBytes;
use crate::words::{Password, Token};

/// Chunks of the server that may wait.
const INBOX: usize = 16;
/// How long the end waits for what is to be sent.
const END: std::time::Duration = std::time::Duration::from_secs(1);

/// Sends what the options say; returns the exit code.
///
/// # Errors
/// Nothing can be printed.
pub(super) fn run(options: ErrandOptions) -> io::Result<u8> {
    let ErrandOptions { places, mut orders, json, warning } = options;
    if let Some(warning) = warning {
        say(&format!("warning: {warning}"));
    }
    let server = places.server.to_string();
    let root = places.state.clone();
    let user = orders.user.clone();
    let folder = root.as_deref().ok().map(|root| (root, server.as_str(), user.as_str()));
    let token = folder.and_then(|(root, server, user)| state_folder::courier(root, server, user));
    let mut password = orders.means.password.take();
    if password.is_none() && token.is_none() && io::stdin().is_terminal() {
        password = Some(ask()?);
    }
    let refused =
        |password: &Password| folder.is_some_and(|place| mistaken::is_noted(place, password.reveal()));
    if token.is_none() && password.as_ref().is_some_and(refused) {
        say("the server has refused this password; it is tried again when the file holds another one");
        return Ok(Exit::LoginRefused.code());
    }
    let password = password.filter(|password| !refused(password));
    let tried = password.clone();
    orders.means = Means { password, token };
    let executor = Rc::new(LocalExecutor::new());
    let platform = System::new(WallClock::starting_after(Time::ZERO));
    let mut runner = Runner {
        recipient: orders.recipient.clone(),
        errand: Errand::new(orders),
        places,
        platform,
        executor: Rc::clone(&executor),
        link: None,
        wake: Time::MAX,
        json,
        exit: None,
        kept: Kept { token: None, refused: false },
    };
    let running = runner.run();
    let code = smol::block_on(executor.run(running))?;
    if let (Some((root, server, user)), kept) = (folder, runner.kept) {
        kept.write(root, server, user, tried.as_ref().map(|password| password.reveal()));
    }
    Ok(code)
}

/// Asks at a terminal.
fn ask() -> io::Result<Password> {
    rpassword::prompt_password("Password: ").map(Password::from)
}

/// What the state folder is to remember.
struct Kept {
    /// A new token, or that the old one is good no more.
    token: Option<Option<Token>>,
    refused: bool,
}

impl Kept {
    fn write(self, root: &Path, server: &str, user: &str, password: Option<&str>) {
        let token = self.token.map(|token| state_folder::keep_courier(root, server, user, token.as_ref()));
        let noted =
            password.filter(|_| self.refused).map(|password| mistaken::note((root, server, user), password));
        for failed in token.into_iter().chain(noted).filter_map(Result::err) {
            say(&format!("cannot write into the state folder: {failed}"));
        }
    }
}

/// The errand and everything around it.
struct Runner {
    errand: Errand,
    recipient: Recipient,
    places: Places,
    platform: System,
    executor: Rc<LocalExecutor<'static>>,
    link: Option<Link>,
    wake: Time,
    json: bool,
    exit: Option<Exit>,
    kept: Kept,
}

impl Runner {
    async fn run(&mut self) -> io::Result<u8> {
        let (inbox, news) = bounded::<News>(INBOX);
        let (linked, last_link) = bounded::<()>(1);
        self.tell(Happening::Started)?;
        // `Dial` is the first action of all.
        let late = async {
            self.platform.timer(self.wake).await;
            None
        };
        let reached = or(async { Some(reach(&self.platform, &self.places).await) }, late).await;
        match reached {
            None => self.tell(Happening::Tick)?,
            Some(Err(unreached)) => {
                say(&trusting::explain(&self.places.server, &unreached));
                return Ok(trusting::exit(&unreached).code());
            }
            Some(Ok(Reached { way, .. })) => {
                let (link, orders) = Link::new();
                let report = |news| match news {
                    LinkNews::Bytes(bytes) => News::FromServer { dial: 0, bytes },
                    LinkNews::Gone => News::ServerGone { dial: 0 },
                };
                let serving = links::serve(self.platform, way, orders, inbox, report);
                let task = async move {
                    serving.await;
                    drop(linked);
                };
                self.executor.spawn(task).detach();
                self.link = Some(link);
                self.tell(Happening::Connected)?;
            }
        }
        self.hear(&news).await?;
        // What was said last still leaves.
        self.link = None;
        news.close();
        or(async { last_link.recv().await.unwrap_or(()) }, self.platform.after(END)).await;
        Ok(self.exit.unwrap_or(Exit::Failed).code())
    }

    async fn hear(&mut self, news: &Receiver<News>) -> io::Result<()> {
        while self.exit.is_none() {
            let late = async {
                self.platform.timer(self.wake).await;
                None
            };
            match or(async { Some(news.recv().await) }, late).await {
                Some(Ok(News::FromServer { bytes, .. })) => self.tell(Happening::Received(&bytes))?,
                Some(_) => self.tell(Happening::Disconnected)?,
                None => self.tell(Happening::Tick)?,
            }
        }
        Ok(())
    }

    fn tell(&mut self, happening: Happening<'_>) -> io::Result<()> {
        let now = self.platform.now();
        for action in self.errand.handle(happening, now) {
            match action {
                Action::Dial => {}
                Action::Send(mut bytes) => self.send(&mut bytes),
                Action::KeepToken(token) => self.kept.token = Some(Some(token)),
                Action::ForgetToken => self.kept.token = Some(None),
                Action::PasswordRefused => self.kept.refused = true,
                Action::Show(view) => self.show(&view)?,
                Action::Explain(reason) => self.explain(reason),
                Action::WakeAt(at) => self.wake = at,
                Action::Exit(exit) => self.exit = Some(exit),
            }
        }
        Ok(())
    }

    fn send(&self, bytes: &mut WipedBytes) {
        if let Some(link) = &self.link {
            link.send(bytes);
        }
    }

    /// One line for each text: what has become of it.
    fn show(&self, view: &View) -> io::Result<()> {
        let mut out = Vec::new();
        if self.json {
            json::write(&mut out, view);
        } else if let View::Result { command, outcome, .. } = view {
            let to = match &self.recipient {
                Recipient::User(name) => visible(name).to_string(),
                Recipient::Group(name) => format!("group {}", visible(name)),
                Recipient::All => "all".into(),
            };
            let word = match outcome {
                Ok(success) => became(success),
                Err(failure) => failure.code.as_str().into(),
            };
            out = format!("{to}: {word}\n").into_bytes();
            if let Err(failure) = outcome {
                say(&wording::failure(command, failure));
            }
        }
        let mut output = io::stdout().lock();
        output.write_all(&out).and_then(|()| output.flush())
    }

    fn explain(&self, reason: Reason) {
        let server = &self.places.server;
        let words = match reason {
            Reason::NoAnswer => {
                format!("{server} did not let this in before the connection or the time was over")
            }
            Reason::Stranger => format!("{server} does not answer as a Hobnob server of this version"),
            Reason::NoCouriers => format!("{server} is too old for hobnob send"),
            Reason::NoPassword => "there is no password: say --password-file".into(),
            Reason::Refused(Refusal::InvalidCredentials { .. }) => "the server refuses the password".into(),
            Reason::Refused(Refusal::LockedOut { retry_after_secs }) => {
                format!("the name is locked for {retry_after_secs} s")
            }
            Reason::Refused(Refusal::Busy) => "the server was busy all the time".into(),
            Reason::Refused(
                Refusal::BadName | Refusal::NameTaken | Refusal::AlreadyOnline | Refusal::Stale,
            ) => "the server refuses the name".into(),
        };
        say(&words);
    }
}

/// What became of a text, in a word or two.
fn became(success: &Success) -> String {
    match success {
        Success::Message { status, .. } => status.as_str().into(),
        Success::GroupMessage { delivered, stored, refused, withheld, .. } => {
            let withheld = if *withheld { ", withheld from some" } else { "" };
            format!("{delivered} delivered, {stored} stored, {refused} refused{withheld}")
        }
        Success::Broadcast { recipients, withheld, .. } => {
            let withheld = if *withheld { ", withheld from some" } else { "" };
            format!("{recipients} reached{withheld}")
        }
        Success::Whoelse { .. }
        | Success::Users { .. }
        | Success::User { .. }
        | Success::Offline { .. }
        | Success::Ping { .. }
        | Success::Seen { .. }
        | Success::Verification { .. }
        | Success::Path { .. }
        | Success::Group { .. }
        | Success::Groups { .. }
        | Success::Private { .. }
        | Success::Help { .. }
        | Success::Done
        | Success::Logout => Code::OutcomeUnknown.as_str().into(),
    }
}

fn say(words: &str) {
    let _ = writeln!(io::stderr(), "hobnob: {}", visible(words));
}
