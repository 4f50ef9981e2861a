//! The followers of several daemons, as these list them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::asker::{Answer, Asker};

/// A follower, as a daemon lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::cli) struct FleetClient {
    /// Its id.
    pub id: String,
    /// Whose it is: the same id of another owner is another client. A daemon that asks for no
    /// tokens, or of a release before, tells none.
    #[serde(default)]
    pub owner: Option<String>,
    /// The set that it follows.
    pub set: Option<String>,
    /// The commit that it enforces.
    pub commit: Option<String>,
    /// The instant that it enforces.
    pub instant: Option<Timestamp>,
    /// How it stands with it; a newer daemon may have words of its own.
    pub state: String,
    /// Why, where it is not `current`.
    pub reason: Option<String>,
    /// The guardrails that it can run.
    pub guardrails: Vec<FleetGuardrail>,
    /// When it reported last.
    pub seen_at: Timestamp,
}

/// A guardrail that a follower can run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::cli) struct FleetGuardrail {
    /// Its name.
    pub name: String,
    /// Its modes.
    pub modes: Vec<String>,
}

/// One daemon and what it lists.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct FleetDaemon {
    /// Its address, as it was typed.
    pub url: String,
    /// Why it was not asked with success; null: it was.
    pub error: Option<String>,
    /// Its followers, by id.
    pub clients: Vec<FleetClient>,
}

/// All of them.
#[derive(Debug)]
pub(in crate::cli) struct Fleet {
    /// The daemons, as they were typed.
    pub daemons: Vec<FleetDaemon>,
}

#[derive(Deserialize)]
struct Listing {
    clients: Vec<FleetClient>,
}

impl FleetClient {
    /// Its id, and whose it is where that is known.
    pub(in crate::cli) fn label(&self) -> String {
        match &self.owner {
            Some(owner) => format!("`{}` (token {owner})", self.id),
            None => format!("`{}`", self.id),
        }
    }

    /// What it enforces, in words.
    pub(in crate::cli) fn describe(&self) -> String {
        let commit = self.commit.as_deref().unwrap_or("nothing");
        let instant = self
            .instant
            .map(|instant| format!(" as of {instant}"))
            .unwrap_or_default();
        let reason = self
            .reason
            .as_ref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        format!(
            "client {} enforces {commit}{instant} ({}, seen {}){reason}",
            self.label(),
            self.state,
            self.seen_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
    }
}

impl Fleet {
    /// Asks every daemon for the followers of a set, or of all sets.
    pub(in crate::cli) fn ask(asker: &Asker<'_>, set: Option<&str>) -> Self {
        let daemons = asker.ask_all("GET", "/v1/clients").map(|(url, answer)| {
            let url = url.to_owned();
            match answer.and_then(|answer| read_listing(&answer)) {
                Ok(mut clients) => {
                    clients.retain(|client| set.is_none() || client.set.as_deref() == set);
                    FleetDaemon {
                        url,
                        error: None,
                        clients,
                    }
                }
                Err(error) => FleetDaemon {
                    url,
                    error: Some(format!("{error:#}")),
                    clients: Vec::new(),
                },
            }
        });
        Self {
            daemons: daemons.collect(),
        }
    }

    /// The daemons that could not be asked, and why.
    pub(in crate::cli) fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        let failed = |daemon: &&FleetDaemon| daemon.error.is_some();
        self.daemons.iter().filter(failed).map(|daemon| {
            (
                daemon.url.as_str(),
                daemon.error.as_deref().unwrap_or_default(),
            )
        })
    }

    /// Every client once, by id and owner: behind a load balancer one reports to several daemons
    /// with one token, and what it said last counts. The same id with another token is another
    /// client.
    pub(in crate::cli) fn clients(&self) -> Vec<&FleetClient> {
        let mut clients: BTreeMap<_, &FleetClient> = BTreeMap::new();
        for client in self.daemons.iter().flat_map(|daemon| &daemon.clients) {
            let last = clients.entry((&client.id, &client.owner)).or_insert(client);
            if client.seen_at > last.seen_at {
                *last = client;
            }
        }
        clients.into_values().collect()
    }
}

fn read_listing(answer: &Answer) -> Result<Vec<FleetClient>> {
    let listing: Listing =
        serde_json::from_value(answer.json()?).context("its answer is no listing of clients")?;
    Ok(listing.clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_said_last_counts_whichever_daemon_it_told() {
        let client = |commit: &str, seen_at: &str| FleetClient {
            id: "a".to_owned(),
            owner: None,
            set: None,
            commit: Some(commit.to_owned()),
            instant: None,
            state: "current".to_owned(),
            reason: None,
            guardrails: Vec::new(),
            seen_at: seen_at.parse().unwrap(),
        };
        let daemon = |clients| FleetDaemon {
            url: String::new(),
            error: None,
            clients,
        };
        let (old, new) = (
            client("c1", "2026-11-28T06:00:00Z"),
            client("c2", "2026-11-28T06:00:30Z"),
        );
        for clients in [[&old, &new], [&new, &old]] {
            let daemons = clients.map(|client| daemon(vec![client.clone()])).into();
            let fleet = Fleet { daemons };
            let [one] = fleet.clients()[..] else {
                panic!("{fleet:?}")
            };
            assert_eq!(one.commit.as_deref(), Some("c2"));
        }
    }
}
