//! Clients that never stop asking while a writer does everything that can be done to a ref.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::{Client, Daemon, JSON, Repo};

/// How often the writer goes through all that it does.
const ROUNDS: usize = 6;

#[test]
fn no_answer_is_torn_none_fails_and_none_is_from_a_set_that_was_never_valid() {
    let repo = Repo::serving();
    let daemon = Daemon::start(&repo.path(), &[]);
    daemon.until("ready", |set| set["commit"].is_string());
    let (stop, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = daemon.address.as_str();
    let mut settled = 0;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| resolve_until(&stop, address, &answers)))
            .collect();
        for round in 1..=ROUNDS {
            one_round(&repo, &daemon, round * 10);
            if round == 2 {
                settled = daemon.resident();
            }
        }
        stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
    });
    assert!(answers.load(Ordering::Relaxed) > ROUNDS * 10);
    let grown = daemon.resident().saturating_sub(settled);
    assert!(
        grown < 20_000,
        "resident memory grew by {grown} kB after {settled} kB"
    );
    let metrics = daemon.get("/metrics").body;
    assert!(!metrics.contains("result=\"failed\""), "{metrics}");
}

fn one_round(repo: &Repo, daemon: &Daemon, generation: usize) {
    // Promotes, breaks, rolls back.
    let good = repo.generation(generation);
    repo.promote("HEAD");
    daemon.until_served(&good);
    repo.broken();
    let broken = repo.promote("HEAD");
    daemon.until_rejected(&broken);
    repo.promote(&good);
    daemon.until("rolled back", |set| set["rejected"].is_null());
    // Repacks under the daemon's feet.
    repo.git(&["pack-refs", "--all", "--prune"]);
    repo.git(&["repack", "-q", "-a", "-d"]);
    let next = repo.generation(generation + 1);
    repo.promote("HEAD");
    daemon.until_served(&next);
    // Forces the branch back, and forward to a history that the old one is no part of.
    repo.git(&["reset", "-q", "--hard", &good]);
    let forced = repo.generation(generation + 2);
    repo.promote("HEAD");
    daemon.until_served(&forced);
    // Deletes it, and makes it again.
    repo.git(&["update-ref", "-d", "refs/heads/production"]);
    daemon.until("without a ref", |set| set["ref_commit"].is_null());
    let last = repo.generation(generation + 3);
    repo.promote("HEAD");
    daemon.until_served(&last);
}

/// Asks for single answers and batches; the generation must be one within each.
fn resolve_until(stop: &AtomicBool, address: &str, answers: &AtomicUsize) {
    let mut client = Client::new(address);
    let one = r#"{"context":{"team":"t","model":"m"}}"#;
    let batch = format!(r#"{{"requests":[{one},{one},{one}]}}"#);
    while !stop.load(Ordering::Relaxed) {
        for body in [one, &batch] {
            let reply = client.ask("POST", "/v1/resolve", &[JSON], body);
            assert_eq!(reply.status, 200, "{}", reply.body);
            let answer = reply.json();
            let results = answer["results"]
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![answer]);
            let guardrails = &results[0]["guardrails"];
            assert_eq!(
                guardrails.as_array().unwrap().len(),
                1,
                "torn: {guardrails}"
            );
            let commit = reply.header("x-refguard-commit").unwrap();
            for result in &results {
                let policies = result["policies"].as_array().unwrap();
                assert_eq!(policies.len(), 5);
                assert!(
                    policies
                        .iter()
                        .all(|policy| policy["guardrails"] == *guardrails),
                    "torn: {result}"
                );
                assert_eq!(result["commit"], Value::from(commit));
            }
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }
}
