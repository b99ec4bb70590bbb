//! `hobnob send`: runs an errand.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::rc::Rc;

use async_channel::{Receiver, Sender, bounded};
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
    let ErrandOptions { places, mut orders, json, warnings } = options;
    for warning in warnings {
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
    let (inbox, news) = bounded(INBOX);
    let mut runner = Runner {
        recipient: orders.recipient.clone(),
        errand: Errand::new(orders),
        places,
        platform,
        executor: Rc::clone(&executor),
        link: None,
        dial: false,
        inbox,
        news,
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
    /// The link that there is, with the number of its dial.
    link: Option<(u64, Link)>,
    /// The server is to be dialled.
    dial: bool,
    inbox: Sender<News>,
    news: Receiver<News>,
    wake: Time,
    json: bool,
    exit: Option<Exit>,
    kept: Kept,
}

impl Runner {
    async fn run(&mut self) -> io::Result<u8> {
        let mut last_link = None;
        let mut dials = 0;
        self.tell(Happening::Started)?;
        while self.exit.is_none() {
            if self.dial {
                self.dial = false;
                dials += 1;
                match self.reach(dials).await? {
                    Some(Ok(linked)) => last_link = Some(linked),
                    Some(Err(exit)) => return Ok(exit.code()),
                    None => {}
                }
            } else {
                self.hear().await?;
            }
        }
        // What was said last still leaves.
        self.link = None;
        self.news.close();
        if let Some(linked) = last_link {
            or(async { linked.recv().await.unwrap_or(()) }, self.platform.after(END)).await;
        }
        Ok(self.exit.unwrap_or(Exit::Failed).code())
    }

    /// Connects to the server. Says when the link is over; or that the errand is, because the server was not reached
    /// the first time.
    async fn reach(&mut self, dial: u64) -> io::Result<Option<Result<Receiver<()>, Exit>>> {
        let late = async {
            self.platform.timer(self.wake).await;
            None
        };
        match or(async { Some(reach(&self.platform, &self.places).await) }, late).await {
            None => self.tell(Happening::Tick)?,
            Some(Err(unreached)) if dial == 1 => {
                say(&trusting::explain(&self.places.server, &unreached));
                return Ok(Some(Err(trusting::exit(&unreached))));
            }
            Some(Err(_)) => self.tell(Happening::Disconnected)?,
            Some(Ok(Reached { way, .. })) => {
                let (linked, last_link) = bounded::<()>(1);
                let (link, orders) = Link::new();
                let report = move |news| match news {
                    LinkNews::Bytes(bytes) => News::FromServer { dial, bytes },
                    LinkNews::Gone | LinkNews::Stranded => News::ServerGone { dial },
                };
                let serving = links::serve(self.platform, way, orders, self.inbox.clone(), report);
                let task = async move {
                    serving.await;
                    drop(linked);
                };
                self.executor.spawn(task).detach();
                self.link = Some((dial, link));
                self.tell(Happening::Connected)?;
                return Ok(Some(Ok(last_link)));
            }
        }
        Ok(None)
    }

    /// Waits for the next thing that happens.
    async fn hear(&mut self) -> io::Result<()> {
        let late = async {
            self.platform.timer(self.wake).await;
            None
        };
        let present = self.link.as_ref().map(|(dial, _)| *dial);
        match or(async { self.news.recv().await.ok() }, late).await {
            Some(News::FromServer { dial, bytes }) if Some(dial) == present => {
                self.tell(Happening::Received(&bytes))
            }
            Some(News::ServerGone { dial }) if Some(dial) == present => {
                self.link = None;
                self.tell(Happening::Disconnected)
            }
            // Of a link that was lost before.
            Some(_) => Ok(()),
            None => self.tell(Happening::Tick),
        }
    }

    fn tell(&mut self, happening: Happening<'_>) -> io::Result<()> {
        let now = self.platform.now();
        for action in self.errand.handle(happening, now) {
            match action {
                Action::Dial => (self.dial, self.link) = (true, None),
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
        if let Some((_, link)) = &self.link {
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
            match outcome {
                Err(failure) if failure.code == Code::Usage => {
                    say("this id was used within a day, for another message");
                }
                Err(failure) if failure.code == Code::Limit => {
                    say("the user has 10,000 ids of the last day; later again, or without --id");
                }
                Err(failure) => say(&wording::failure(command, failure)),
                Ok(_) => {}
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
                Refusal::BadName
                | Refusal::NameTaken
                | Refusal::AlreadyOnline
                | Refusal::InvalidInvite
                | Refusal::Stale,
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
        | Success::Ordered { .. }
        | Success::Help { .. }
        | Success::History { .. }
        | Success::Done
        | Success::Logout => Code::OutcomeUnknown.as_str().into(),
    }
}

fn say(words: &str) {
    let _ = writeln!(io::stderr(), "hobnob: {}", visible(words));
}
