//! Faults: breaking links, the server, its disk and its hashing threads, and healing them all.

use alloc::vec::Vec;

use super::client_host::SEATS;
use super::link::Chunking;
use super::scenario::{Kind, Step};
use super::trace::{PeerSeen, Seen};
use super::weather::Weather;
use super::world::{DEAD_LINK_MICROS, Happening, World};
use crate::server::Settings;
use crate::server::settings::{
    BlockNotice, BroadcastReport, DuplicateLogin, HeldOnBlock, HistoryMode, OfflineDelivery, Registration,
    Takeover,
};
use crate::time::Time;
use crate::words::LinkId;

impl World {
    /// Steps that break or mend something.
    pub(super) fn take_fault(&mut self, step: Step) -> bool {
        let back =
            self.draw.between(1_000, if step.argument.is_multiple_of(8) { 90_000_000 } else { 3_000_000 });
        match step.kind {
            Kind::Cut | Kind::Silence | Kind::Heal => self.trouble_link(step),
            Kind::Latency => {
                let latency = [0, 200, 5_000, 100_000, 900_000];
                self.take_latency(latency[usize::from(step.argument) % latency.len()]);
                let chunking = [Chunking::Whole, Chunking::Sometimes, Chunking::Crumbs];
                self.chunking = chunking[usize::from(step.actor) % chunking.len()];
            }
            Kind::RefuseDials if step.salt.is_multiple_of(3) => {
                self.weather.lose_dials_until = Time(self.now.0 + back);
            }
            Kind::RefuseDials => self.weather.refuse_dials_until = Time(self.now.0 + back),
            Kind::Crash => {
                self.host.dies_at_start |= step.salt.is_multiple_of(4);
                if step.salt % 4 == 1 {
                    self.message_a_group_before(step);
                }
                self.crash_server(back);
            }
            Kind::Stop => self.stop_server(back),
            Kind::Restart => self.restart_server(back),
            Kind::Reload => self.change_accounts(step),
            Kind::StoreFull => {
                self.host.store.full = step.argument.is_multiple_of(2);
                let room = self.draw.below(120_000_000);
                self.after(room, Happening::Room);
            }
            Kind::StoreHold => self.host.store.held = true,
            Kind::StoreRelease => {
                self.host.store.held = false;
                self.weather.store_micros = [400, 400, 20_000, 3_000_000][usize::from(step.argument) % 4];
                self.wake_store();
            }
            Kind::SyncFails => self.host.store.sync_fails = true,
            Kind::HashSlow => {
                self.weather.hash_micros = [0, 30_000, 900_000, 20_000_000][usize::from(step.argument) % 4];
            }
            Kind::ClockJump => {
                let jumps = [-7_200_000_000, -5_000_000, 90_000_000, 86_400_000_000];
                self.host.wall_offset = jumps[usize::from(step.argument) % jumps.len()];
            }
            Kind::HashBusy => self.weather.hash_busy_until = Time(self.now.0 + back),
            _ => return false,
        }
        true
    }

    /// A member of a group writes to it, and another one wants to block them as soon as the server is back.
    fn message_a_group_before(&mut self, step: Step) {
        let seats =
            self.seats.iter().enumerate().filter_map(|(seat, here)| Some((seat, here.process.as_ref()?)));
        let users: Vec<_> = seats.filter_map(|(seat, here)| Some((seat, here.user.clone()?))).collect();
        let groups: Vec<_> = self.host.store.groups().collect();
        let Some((group, members)) = groups.get(usize::from(step.argument) % groups.len().max(1)) else {
            return;
        };
        let mut here = users.iter().filter(|(_, user)| members.contains(user));
        let (Some((from, sender)), Some((other, _))) = (here.next(), here.next_back()) else { return };
        let (from, other, line) = (*from, *other, alloc::format!("message group {group} "));
        let block = alloc::format!("block {sender}");
        let line = line + &self.new_text();
        self.enter(from, line.as_bytes());
        let micros = self.draw.below(3_000);
        self.pass(Time(self.now.0 + micros), super::steps::HAPPENINGS);
        self.enter(other, block.as_bytes());
    }

    /// What new links take from now on.
    pub(super) fn take_latency(&mut self, latency_micros: u64) {
        self.weather.latency_micros = latency_micros;
        self.see_peer(PeerSeen::Slow { latency_micros });
    }

    fn trouble_link(&mut self, step: Step) {
        let ids: Vec<LinkId> = self.links.keys().rev().take(12).copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[usize::from(step.actor) % ids.len()];
        match step.kind {
            Kind::Cut => self.cut(id, step.argument.is_multiple_of(2)),
            Kind::Heal => self.heal_link(id),
            _ => self.silence(id, [step.argument % 3 != 1, !step.argument.is_multiple_of(3)]),
        }
    }

    /// A link falls silent: nothing of the given ends arrives any more.
    pub(super) fn silence(&mut self, id: LinkId, ends: [bool; 2]) {
        self.disturb_ends(id);
        let Some(link) = self.links.get_mut(&id) else { return };
        let silence = link.fall_silent(ends);
        let micros = self.draw.between(DEAD_LINK_MICROS - 1_000_000, DEAD_LINK_MICROS);
        self.after(micros, Happening::Silent { link: id, silence });
    }

    /// A silent link speaks again.
    pub(super) fn heal_link(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        // What waited comes now.
        if link.heal() {
            self.disturb_ends(id);
        }
        for end in [0, 1] {
            self.after(0, Happening::Arrive { link: id, end });
        }
    }

    /// A setting takes one of its choices: at once before the start, else by a reload.
    pub(super) fn choose_setting(&mut self, step: Step) {
        let choice = usize::from(step.argument);
        if step.kind == Kind::Limit {
            set_door(&mut self.host.settings, usize::from(step.actor), choice);
        } else if !set_mode(&mut self.host.settings, usize::from(step.actor), choice) {
            set_limit(&mut self.host.settings, usize::from(step.actor), choice);
        }
        if self.host.is_up() {
            self.reload_server();
        }
    }

    /// Ends all faults: the disk and the links work again, and whoever was frozen goes on.
    pub(crate) fn end_faults(&mut self) {
        self.trace.add(self.now, Seen::Healed);
        self.weather = Weather::fair();
        self.chunking = Chunking::Whole;
        self.host.store.full = false;
        self.host.store.held = false;
        self.host.store.sync_fails = false;
        self.host.dies_at_start = false;
        self.wake_store();
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        links.into_iter().for_each(|link| self.heal_link(link));
        for seat in 0..SEATS {
            self.freeze(seat, false);
            if let Some(process) = &mut self.seats[seat].process {
                process.display_micros = 0;
                process.doomed = false;
            }
        }
    }

    /// Whoever has a raw connection goes; stand-ins for clients stay.
    pub(crate) fn leave_by_hand(&mut self) {
        self.leave_private_links_by_hand();
        for hand in 0..self.hands.len() {
            if !self.seats.iter().any(|seat| seat.hand == Some(hand)) {
                self.close_hand(hand);
            }
        }
        // Nobody comes back for what is stored for them.
        self.dismiss_recruits();
    }

    /// Whether somebody who says nothing is logged out soon.
    pub(crate) const fn logs_out_the_idle(&self) -> bool {
        self.host.settings.timeout_secs > 0 && self.host.settings.timeout_secs < 3_600
    }
}

/// Settings with names for their values.
fn set_mode(settings: &mut Settings, which: usize, choice: usize) -> bool {
    let even = choice.is_multiple_of(2);
    match which % 28 {
        0 => settings.registration = if even { Registration::Open } else { Registration::Closed },
        1 => settings.duplicate_login = if even { DuplicateLogin::Replace } else { DuplicateLogin::Deny },
        2 => settings.block_notice = if even { BlockNotice::Silent } else { BlockNotice::Tell },
        3 => {
            let all = [OfflineDelivery::Manual, OfflineDelivery::Off, OfflineDelivery::Auto];
            settings.offline_delivery = all[choice % all.len()];
        }
        4 => {
            let all = [HeldOnBlock::Deliver, HeldOnBlock::Drop, HeldOnBlock::Hold];
            settings.held_on_block = all[choice % all.len()];
        }
        5 => {
            let all = [BroadcastReport::Names, BroadcastReport::None, BroadcastReport::Generic];
            settings.broadcast_report = all[choice % all.len()];
        }
        6 => settings.history_mode = if even { HistoryMode::Login } else { HistoryMode::Overlap },
        7 => settings.lock_extend = even,
        8 => settings.invalid_counts_as_activity = even,
        9 => settings.hide_blockers_in_whoelse = !even,
        10 => settings.whoelse_include_self = even,
        11 => settings.hide_blockers_in_history = !even,
        12 => settings.strict_block = !even,
        13 => settings.block_mutual = even,
        14 => settings.block_ends_private = even,
        15 => settings.ping_reveals_block = !even,
        _ => return false,
    }
    true
}

/// Limits of the door and of lines.
fn set_door(settings: &mut Settings, which: usize, choice: usize) {
    match which % 24 {
        0 => settings.login_secs = [3, 30, 0][choice % 3],
        1 => settings.unauthenticated_max = [2, 4, 128, 0][choice % 4],
        2 => settings.unauthenticated_per_address = [1, 2, 16, 0][choice % 4],
        3 => settings.failures_per_address = [2, 9, 0][choice % 3],
        4 => settings.private_request_secs = [2, 60, 600, 0][choice % 4],
        5 => settings.line_bytes = [8_192, 0, 4_096][choice % 3],
        22 => settings.history_days = [1, 2, 30, 0][choice % 4],
        23 => settings.mailbox_days = [1, 2, 30, 0][choice % 4],
        6 | 20 | 21 => settings.block_ends_private = !choice.is_multiple_of(4),
        7 if choice >= 4 => settings.store_queue_bytes = [1_000, 67_108_864, 300, 0][choice % 4],
        7 => settings.unsettled_max = [1, 2, 64, 0][choice % 4],
        8 => {
            (settings.mailbox_share, settings.total_share) = [(1_000, 1_000), (8, 16), (1, 0)][choice % 3];
        }
        9 | 10 => {
            let told = [(1, 15), (1, 2), (4, 2), (4, 0), (0, 15), (4, 15)];
            (settings.presence_burst, settings.presence_settle_secs) = told[choice % told.len()];
        }
        11 => settings.motd = [None, Some("stand by".into()), Some("a\u{2028}b".into())][choice % 3].clone(),
        12 => settings.hash_queue = [1, 3, 0, 32][choice % 4],
        13 => settings.hashing_threads = [1, 2, 4][choice % 3],
        14 => settings.name_places = [2, 20, 40, 10_000][choice % 4],
        15 => settings.registrations_per_address = [1, 2, 0, 5][choice % 4],
        18 => settings.relay_bytes_per_s = [1_000, 65_536, 100, 0][choice % 4],
        19 => settings.relay_links_per_user = [1, 2, 4, 0][choice % 4],
        17 => settings.courier_max = [1, 2, 0, 4][choice % 4],
        16 => settings.takeover = if choice.is_multiple_of(2) { Takeover::Deny } else { Takeover::Allow },
        _ => {
            let rates = [(64, 1_000), (300, 100), (0, 20_000), (4_096, 20_000)];
            (settings.rate_burst, settings.rate_per_s) = rates[choice % rates.len()];
        }
    }
}

/// Settings that are numbers.
fn set_limit(settings: &mut Settings, which: usize, choice: usize) {
    match which % 28 {
        16 => settings.block_duration_secs = [5, 0, 60, 1][choice % 4],
        17 | 18 => settings.timeout_secs = [10, 60, 1_800, 0, 3][choice % 5],
        19 => settings.lock_attempts = [1, 2, 3, 5, 0][choice % 5],
        20 => settings.resume_grace_secs = [5, 30, 0, 120][choice % 4],
        21 => {
            settings.restart_grace_secs = [2, 60, 0, 15][choice % 4];
            settings.resume_grace_secs = [5, 30, 0, 120][choice / 4 % 4];
        }
        22 => settings.mailbox_messages = [3, 10, 10_000, 0][choice % 4],
        23 => settings.mailbox_bytes = [60, 400, 8_388_608, 0][choice % 4],
        24 => settings.mailbox_per_sender = [2, 5, 1_000, 0][choice % 4],
        25 => settings.mailbox_total_bytes = [100, 1_000, 268_435_456, 0][choice % 4],
        26 => {
            let all = [(5, 5), (2, 1), (4_096, 20_000), (0, 20_000), (5, 0)];
            (settings.rate_burst, settings.rate_per_s) = all[choice % all.len()];
        }
        _ => {
            let all = [(1, 200), (50, 3), (2, 2), (0, 0)];
            (settings.groups_per_user, settings.members_per_group) = all[choice % all.len()];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::string::String;

    #[test]
    fn every_setting_of_the_core_is_drawn() {
        let lines = |settings: &Settings| -> Vec<String> {
            format!("{settings:#?}").lines().map(|line| String::from(line.trim())).collect()
        };
        let usual = lines(&Settings::default());
        let mut changed = BTreeSet::new();
        for which in 0..28 {
            for choice in 0..60 {
                let (mut door, mut other) = (Settings::default(), Settings::default());
                set_door(&mut door, which, choice);
                if !set_mode(&mut other, which, choice) {
                    set_limit(&mut other, which, choice);
                }
                for drawn in [door, other] {
                    let differ = lines(&drawn).into_iter().zip(&usual).enumerate();
                    changed.extend(differ.filter(|(_, (line, usual))| line != *usual).map(|(at, _)| at));
                }
            }
        }
        // The first line and the last have no setting.
        let never: Vec<&String> =
            (1..usual.len() - 1).filter(|at| !changed.contains(at)).map(|at| &usual[at]).collect();
        assert!(never.is_empty(), "{never:?}");
    }
}
