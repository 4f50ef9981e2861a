//! Followers of a set, and what each of them says that it enforces.
//!
//! A client reports every 30 seconds. One that is silent for [`LOST_AFTER`] is shown as lost, and
//! one that is silent for [`FORGOTTEN_AFTER`] is forgotten. Everything is kept in memory, within
//! limits of count and bytes. The table takes the time as an argument; [`Clients`] is the table
//! behind a lock and the machine's clock. Must not know HTTP.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use refguard_core::resolve::ObjectOnly;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use super::notes::lock_unpoisoned;

/// Clients at most.
pub const MAX_CLIENTS: usize = 10_000;
/// Bytes of one report at most.
pub const MAX_REPORT_BYTES: usize = 64 << 10;
/// Bytes of all reports together at most: a listing holds all of them.
const MAX_TOTAL_BYTES: usize = 64 << 20;
/// Clients and bytes of all tokens at most.
const ALL: Share = Share {
    clients: MAX_CLIENTS,
    bytes: MAX_TOTAL_BYTES,
};
/// Clients and bytes of one token at most where there are several: none takes the places of all
/// others.
const SHARE: Share = Share {
    clients: MAX_CLIENTS / 2,
    bytes: MAX_TOTAL_BYTES / 2,
};
/// What is hashed before a token's hash, so that an owner's label is no part of what a file of
/// tokens holds.
const LABEL: &[u8] = b"refguard: the owner of a client\0";
/// Bytes of an owner's label.
const LABEL_BYTES: usize = 6;
/// Silence after which a client is lost.
const LOST_AFTER: Duration = Duration::from_secs(90);
/// Silence after which a client is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How it stands with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientState {
    /// It enforces what the daemon serves.
    Current,
    /// It enforces what the daemon serves, and the daemon holds back a commit that it rejected.
    Behind,
    /// It did not reach the daemon, or has no set yet.
    Away,
    /// It cannot enforce what the daemon serves.
    Rejected,
    /// It is silent. No client says this of itself.
    #[serde(skip_deserializing)]
    Lost,
}

impl ClientState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Current,
        Self::Behind,
        Self::Away,
        Self::Rejected,
        Self::Lost,
    ];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Behind => "behind",
            Self::Away => "away",
            Self::Rejected => "rejected",
            Self::Lost => "lost",
        }
    }
}

/// A guardrail that a client can run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientGuardrail {
    /// Its name.
    pub name: String,
    /// The modes that it runs in.
    pub modes: Vec<String>,
}

/// A list of objects: what is derived would read lists in it too.
fn read_guardrails<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ClientGuardrail>, D::Error> {
    let given = Vec::<ObjectOnly<ClientGuardrail>>::deserialize(deserializer)?;
    Ok(given.into_iter().map(|ObjectOnly(it)| it).collect())
}

/// What a client says of itself: the body of `PUT /v1/clients/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientReport {
    /// The set that it follows; absent: the one that requests without a set are answered from.
    #[serde(default)]
    pub set: Option<String>,
    /// The commit that it enforces; null where it has none yet.
    #[serde(default)]
    pub commit: Option<String>,
    /// The instant of the snapshot that it enforces.
    #[serde(default)]
    pub instant: Option<Timestamp>,
    /// How it stands with it.
    pub state: ClientState,
    /// Why, where it is not `current`.
    #[serde(default)]
    pub reason: Option<String>,
    /// The guardrails that it can run.
    #[serde(default, deserialize_with = "read_guardrails")]
    pub guardrails: Vec<ClientGuardrail>,
}

/// Who reports: the SHA-256 of a token, or anybody where no tokens are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub Option<[u8; 32]>);

impl Owner {
    /// A short name of the token, the same at every daemon that accepts it: an id is one client's
    /// only together with it. It tells nothing of the token. `None` where no tokens are asked for.
    pub fn label(self) -> Option<String> {
        let hash = Sha256::new()
            .chain_update(LABEL)
            .chain_update(self.0?)
            .finalize();
        Some(
            hash.get(..LABEL_BYTES)
                .map(|bytes| HEXLOWER.encode(bytes))
                .unwrap_or_default(),
        )
    }
}

/// The tokens that are accepted now.
#[derive(Debug, Clone, Copy)]
pub struct Accepted<F> {
    /// How many there are.
    pub tokens: usize,
    /// Whether one of them, or nobody where none is asked for, is an owner's.
    pub includes: F,
}

/// Why a report is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportRefused {
    /// The id belongs to another token.
    #[error("this id belongs to another token: choose another id")]
    Owned,
    /// The token has its share of the places.
    #[error(
        "too many clients report with this token: the limit is 5,000 clients and 32 MiB of \
         reports, half of all"
    )]
    Share,
    /// There is no place for one more.
    #[error("too many clients report: the limit is 10,000 clients and 64 MiB of reports")]
    Full,
}

/// Why a client is not taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Kept {
    /// There is none of that id.
    #[error("no client has this id")]
    Unknown,
    /// It reports, and belongs to another token.
    #[error("this client belongs to another token, and it is not lost")]
    Owned,
}

/// One client as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedClient {
    /// Its id.
    pub id: Arc<str>,
    /// Whose it is: the same id of another owner is another client. Null where no tokens are asked
    /// for.
    pub owner: Option<String>,
    /// What it said, with the name of its set.
    #[serde(flatten)]
    pub report: Arc<ClientReport>,
    /// When it reported last.
    pub seen_at: Timestamp,
}

/// How many clients there are of each set, by state and by commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTally {
    /// By set and state.
    pub states: BTreeMap<(String, ClientState), u64>,
    /// By set and the commit that is enforced.
    pub commits: BTreeMap<(String, String), u64>,
}

impl ClientTally {
    /// Sentences for people: which sets have clients that do not enforce what is served.
    pub(super) fn notes(&self) -> Vec<String> {
        let told = self.states.iter().filter_map(|((set, state), count)| {
            let clients = if *count == 1 { "client" } else { "clients" };
            let what = match state {
                ClientState::Rejected => "cannot enforce what is served",
                ClientState::Lost => "reported within the last day and no more",
                ClientState::Current | ClientState::Behind | ClientState::Away => return None,
            };
            Some(format!(
                "{count} {clients} of `{set}` {what}: see `/v1/clients`"
            ))
        });
        told.collect()
    }
}

/// An instant, as durations are measured and as people read it.
#[derive(Debug, Clone, Copy)]
struct Moment {
    instant: Instant,
    time: Timestamp,
}

impl Moment {
    fn now() -> Self {
        Self {
            instant: Instant::now(),
            time: Timestamp::now(),
        }
    }
}

#[derive(Debug)]
struct Client {
    owner: Owner,
    report: Arc<ClientReport>,
    bytes: usize,
    seen: Moment,
}

impl Client {
    fn silent_for(&self, now: Moment) -> Duration {
        now.instant.saturating_duration_since(self.seen.instant)
    }

    fn state_at(&self, now: Moment) -> ClientState {
        if self.silent_for(now) >= LOST_AFTER {
            ClientState::Lost
        } else {
            self.report.state
        }
    }
}

/// How much of the table there is, or is somebody's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    clients: usize,
    bytes: usize,
}

impl Share {
    fn add_client(&mut self, client: &Client) {
        self.clients += 1;
        self.bytes += client.bytes;
    }

    fn subtract_client(&mut self, client: &Client) {
        self.clients -= 1;
        self.bytes -= client.bytes;
    }

    fn is_beyond(self, most: Self) -> bool {
        self.clients > most.clients || self.bytes > most.bytes
    }
}

/// The clients by id, without a clock.
#[derive(Debug, Default)]
struct Table {
    clients: BTreeMap<Arc<str>, Client>,
    all: Share,
    shares: HashMap<Owner, Share>,
}

impl Table {
    /// Takes a report. An id whose owner is no longer accepted is free for another one: tokens are
    /// replaced.
    fn put_report(
        &mut self,
        now: Moment,
        id: &str,
        owner: Owner,
        report: ClientReport,
        bytes: usize,
        accepted: Accepted<impl Fn(Owner) -> bool>,
    ) -> Result<(), ReportRefused> {
        let is_accepted = accepted.includes;
        let known = self.clients.get(id);
        if known.is_none_or(|known| known.silent_for(now) >= FORGOTTEN_AFTER) {
            self.forget_silent(now);
        }

        let before = self.clients.get(id);
        if before.is_some_and(|known| known.owner != owner && is_accepted(known.owner)) {
            return Err(ReportRefused::Owned);
        }

        let client = Client {
            owner,
            report: Arc::new(report),
            bytes,
            seen: now,
        };
        // A fleet with one token has all places: there is nobody to keep some for.
        let most = match accepted.tokens {
            0 | 1 => ALL,
            _ => SHARE,
        };
        let refused = self.judge_room(id, &client, most);
        if refused == Err(ReportRefused::Full) {
            // What a token left behind that is no longer accepted makes place.
            self.retain_clients(|known| {
                known.state_at(now) != ClientState::Lost || is_accepted(known.owner)
            });
            self.judge_room(id, &client, most)?;
        } else {
            refused?;
        }
        self.drop_client(id);
        self.all.add_client(&client);
        self.shares.entry(owner).or_default().add_client(&client);
        self.clients.insert(id.into(), client);
        Ok(())
    }

    /// Whether there is room for a client in the place of the one that has its id, where its owner
    /// may have so much.
    fn judge_room(&self, id: &str, client: &Client, most: Share) -> Result<(), ReportRefused> {
        let before = self.clients.get(id);
        let mut all = self.all;
        let mut own = self.shares.get(&client.owner).copied().unwrap_or_default();
        if let Some(before) = before {
            all.subtract_client(before);
        }
        if let Some(before) = before.filter(|before| before.owner == client.owner) {
            own.subtract_client(before);
        }
        all.add_client(client);
        own.add_client(client);

        if all.is_beyond(ALL) {
            return Err(ReportRefused::Full);
        }
        // Where no tokens are asked for, nobody is told from another.
        if client.owner.0.is_some() && own.is_beyond(most) {
            return Err(ReportRefused::Share);
        }
        Ok(())
    }

    fn drop_client(&mut self, id: &str) {
        let Some(client) = self.clients.remove(id) else {
            return;
        };
        self.all.subtract_client(&client);
        if let Some(share) = self.shares.get_mut(&client.owner) {
            share.subtract_client(&client);
        }
    }

    /// Takes a client out: one that ends says so itself, and one that is lost can be forgotten by
    /// anybody who may ask.
    fn remove_client(&mut self, now: Moment, id: &str, owner: Owner) -> Result<(), Kept> {
        let client = self.clients.get(id).ok_or(Kept::Unknown)?;
        if client.owner != owner && client.state_at(now) != ClientState::Lost {
            return Err(Kept::Owned);
        }
        self.drop_client(id);
        Ok(())
    }

    /// Forgets those that are silent for too long.
    fn forget_silent(&mut self, now: Moment) {
        self.retain_clients(|client| client.silent_for(now) < FORGOTTEN_AFTER);
    }

    fn retain_clients(&mut self, is_kept: impl Fn(&Client) -> bool) {
        let before = self.clients.len();
        self.clients.retain(|_, client| is_kept(client));
        if self.clients.len() == before {
            return;
        }

        (self.all, self.shares) = (Share::default(), HashMap::new());
        for client in self.clients.values() {
            self.all.add_client(client);
            self.shares
                .entry(client.owner)
                .or_default()
                .add_client(client);
        }
    }

    /// The clients that are wanted, by id.
    fn list_clients(&mut self, now: Moment, wanted: impl Fn(&Client) -> bool) -> Vec<ListedClient> {
        self.forget_silent(now);
        let clients = self.clients.iter().filter(|(_, client)| wanted(client));
        clients
            .map(|(id, client)| show_client(id, client, now))
            .collect()
    }

    fn tally_clients(&mut self, now: Moment) -> ClientTally {
        self.forget_silent(now);
        let mut tally = ClientTally::default();
        for client in self.clients.values() {
            let set = client.report.set.clone().unwrap_or_default();
            *tally
                .states
                .entry((set.clone(), client.state_at(now)))
                .or_default() += 1;
            if let Some(commit) = &client.report.commit {
                *tally.commits.entry((set, commit.clone())).or_default() += 1;
            }
        }
        tally
    }
}

fn show_client(id: &Arc<str>, client: &Client, now: Moment) -> ListedClient {
    let state = client.state_at(now);
    let report = match state == client.report.state {
        true => client.report.clone(),
        false => Arc::new(ClientReport {
            state,
            ..ClientReport::clone(&client.report)
        }),
    };
    let owner = client.owner.label();
    ListedClient {
        id: id.clone(),
        owner,
        report,
        seen_at: client.seen.time,
    }
}

/// The clients of a daemon.
#[derive(Debug, Default)]
pub struct Clients(Mutex<Table>);

impl Clients {
    /// Takes a client's report, whose set is named. `bytes` is its size as it came.
    ///
    /// # Errors
    /// Where the id is another token's, which is `accepted` still, or there is no place for one
    /// more client.
    pub fn put_report(
        &self,
        id: &str,
        owner: Owner,
        report: ClientReport,
        bytes: usize,
        accepted: Accepted<impl Fn(Owner) -> bool>,
    ) -> Result<(), ReportRefused> {
        lock_unpoisoned(&self.0).put_report(Moment::now(), id, owner, report, bytes, accepted)
    }

    /// Takes a client out.
    ///
    /// # Errors
    /// Where there is none, or it is another token's and not lost.
    pub fn remove_client(&self, id: &str, owner: Owner) -> Result<(), Kept> {
        lock_unpoisoned(&self.0).remove_client(Moment::now(), id, owner)
    }

    /// The clients that cannot enforce what is served, by id.
    pub(super) fn clients_rejecting(&self) -> Vec<ListedClient> {
        let now = Moment::now();
        lock_unpoisoned(&self.0)
            .list_clients(now, |client| client.state_at(now) == ClientState::Rejected)
    }

    /// Every client of a set, or of all sets, by id.
    pub fn list_clients(&self, set: Option<&str>) -> Vec<ListedClient> {
        let wanted =
            |client: &Client| set.is_none_or(|set| client.report.set.as_deref() == Some(set));
        lock_unpoisoned(&self.0).list_clients(Moment::now(), wanted)
    }

    /// How many there are.
    pub fn tally_clients(&self) -> ClientTally {
        lock_unpoisoned(&self.0).tally_clients(Moment::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANYBODY: Owner = Owner(None);
    const FIRST: Owner = Owner(Some([1; 32]));
    const SECOND: Owner = Owner(Some([2; 32]));

    /// A table and its clock.
    struct World {
        table: Table,
        began: Moment,
        seconds: u64,
    }

    impl World {
        fn new() -> Self {
            Self {
                table: Table::default(),
                began: Moment::now(),
                seconds: 0,
            }
        }

        fn now(&self) -> Moment {
            let since = Duration::from_secs(self.seconds);
            Moment {
                instant: self.began.instant + since,
                time: self.began.time + since,
            }
        }

        fn put(&mut self, id: &str, owner: Owner, commit: &str) -> Result<(), ReportRefused> {
            self.put_sized(id, owner, commit, 100)
        }

        fn put_sized(
            &mut self,
            id: &str,
            owner: Owner,
            commit: &str,
            bytes: usize,
        ) -> Result<(), ReportRefused> {
            let now = self.now();
            let accepted = Accepted {
                tokens: 2,
                includes: |owner| owner != SECOND,
            };
            self.table
                .put_report(now, id, owner, report(commit), bytes, accepted)
        }

        fn states(&mut self) -> Vec<(String, ClientState)> {
            let now = self.now();
            let listed = self.table.list_clients(now, |_| true).into_iter();
            listed
                .map(|client| (client.id.to_string(), client.report.state))
                .collect()
        }
    }

    fn report(commit: &str) -> ClientReport {
        ClientReport {
            set: Some("production".to_owned()),
            commit: Some(commit.to_owned()),
            instant: None,
            state: ClientState::Current,
            reason: None,
            guardrails: Vec::new(),
        }
    }

    fn named(id: &str, state: ClientState) -> (String, ClientState) {
        (id.to_owned(), state)
    }

    #[test]
    fn a_silent_client_is_lost_then_forgotten_and_a_report_brings_it_back() {
        let mut world = World::new();
        world.put("a", ANYBODY, "c1").unwrap();
        world.seconds = 89;
        world.put("b", ANYBODY, "c1").unwrap();
        assert_eq!(
            world.states(),
            [
                named("a", ClientState::Current),
                named("b", ClientState::Current)
            ]
        );
        world.seconds = 90;
        assert_eq!(world.states()[0], named("a", ClientState::Lost));
        let now = world.now();
        let tally = world.table.tally_clients(now);
        let lost = ("production".to_owned(), ClientState::Lost);
        assert_eq!(tally.states.get(&lost), Some(&1));
        // Silence is no reason to believe that it enforces something else.
        assert_eq!(
            tally
                .commits
                .get(&("production".to_owned(), "c1".to_owned())),
            Some(&2)
        );
        world.put("a", ANYBODY, "c2").unwrap();
        assert_eq!(world.states()[0], named("a", ClientState::Current));
        world.seconds += 24 * 60 * 60;
        assert!(world.states().is_empty());
    }

    #[test]
    fn an_id_belongs_to_the_token_that_first_used_it() {
        let mut world = World::new();
        world.put("a", FIRST, "c1").unwrap();
        assert_eq!(world.put("a", ANYBODY, "c2"), Err(ReportRefused::Owned));
        // The second token was taken out of the file since.
        world.put("b", SECOND, "c1").unwrap();
        world.put("b", FIRST, "c2").unwrap();
        assert_eq!(world.put("b", ANYBODY, "c3"), Err(ReportRefused::Owned));
        // A lost client still owns its id; a forgotten one does not.
        world.seconds = 100;
        assert_eq!(world.put("a", ANYBODY, "c2"), Err(ReportRefused::Owned));
        world.seconds = 24 * 60 * 60;
        assert_eq!(world.put("a", ANYBODY, "c2"), Ok(()));
    }

    #[test]
    fn a_client_is_taken_out_by_its_owner_and_a_lost_one_by_anybody() {
        let mut world = World::new();
        world.put("a", FIRST, "c1").unwrap();
        world.put("b", FIRST, "c1").unwrap();
        let now = world.now();
        assert_eq!(
            world.table.remove_client(now, "a", ANYBODY),
            Err(Kept::Owned)
        );
        assert_eq!(world.table.remove_client(now, "a", FIRST), Ok(()));
        assert_eq!(
            world.table.remove_client(now, "a", FIRST),
            Err(Kept::Unknown)
        );
        world.seconds = 90;
        let now = world.now();
        assert_eq!(world.table.remove_client(now, "b", SECOND), Ok(()));
        assert_eq!(
            (world.table.all, world.states().len()),
            (Share::default(), 0)
        );
    }

    #[test]
    fn count_and_bytes_have_limits_and_what_is_forgotten_makes_room() {
        let mut world = World::new();
        for number in 0..MAX_CLIENTS {
            world.put(&number.to_string(), ANYBODY, "c1").unwrap();
        }
        assert_eq!(world.put("more", ANYBODY, "c1"), Err(ReportRefused::Full));
        world.put("7", ANYBODY, "c2").unwrap();
        world.seconds = 24 * 60 * 60;
        world.put("more", ANYBODY, "c1").unwrap();
        assert_eq!(world.states().len(), 1);

        let large = MAX_TOTAL_BYTES - 150;
        world.put_sized("large", ANYBODY, "c1", large).unwrap();
        assert_eq!(world.put("third", ANYBODY, "c1"), Err(ReportRefused::Full));
        // A report takes the place of the one before.
        world.put_sized("large", ANYBODY, "c1", 100).unwrap();
        world.put("third", ANYBODY, "c1").unwrap();
    }

    #[test]
    fn a_token_has_half_of_the_places_and_a_revoked_one_none_that_others_need() {
        let mut world = World::new();
        for number in 0..SHARE.clients {
            world.put(&format!("a{number}"), FIRST, "c1").unwrap();
        }
        assert_eq!(world.put("more", FIRST, "c1"), Err(ReportRefused::Share));
        world.put("a7", FIRST, "c2").unwrap();
        // The second token is not accepted anymore: its clients stay until they are lost and others
        // need the place.
        for number in 0..SHARE.clients {
            world.put(&format!("b{number}"), SECOND, "c1").unwrap();
        }
        assert_eq!(world.put("c", ANYBODY, "c1"), Err(ReportRefused::Full));
        world.seconds = 90;
        world.put("c", ANYBODY, "c1").unwrap();
        assert_eq!(world.states().len(), SHARE.clients + 1);
        world
            .put_sized("a7", FIRST, "c1", SHARE.bytes - 100 * SHARE.clients + 100)
            .unwrap();
        assert_eq!(
            world.put_sized("a8", FIRST, "c1", 101),
            Err(ReportRefused::Share)
        );
    }

    #[test]
    fn an_owner_has_one_label_at_every_daemon_and_another_one_than_others() {
        let (first, second) = (FIRST.label().unwrap(), SECOND.label().unwrap());
        assert_eq!((first.len(), FIRST.label().as_ref()), (12, Some(&first)));
        assert_ne!(first, second);
        assert!(!HEXLOWER.encode(&[1; 32]).contains(&first));
        assert_eq!(ANYBODY.label(), None);
    }

    #[test]
    fn no_client_says_of_itself_that_it_is_lost() {
        let read = |text: &str| serde_json::from_str::<ClientReport>(text);
        assert!(read(r#"{"state":"current"}"#).is_ok());
        for text in [
            r#"{"state":"lost"}"#,
            r#"{"state":"current","more":1}"#,
            r"{}",
            r#"{"state":"current","instant":"soon"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
