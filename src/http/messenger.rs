//! Telling others what happens: each receiver has a bounded queue and a thread of its own, so that
//! none of them is in the way of serving, or of another receiver.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::TlsClient;
use super::client::{Deadline, connect_to, host_name, in_words, read_answer};
use crate::daemon::{Event, EventWatch, Hub};

/// Events that wait for one receiver at most.
const MAX_WAITING: usize = 256;
/// How often the daemon looks what has happened.
const LOOK: Duration = Duration::from_millis(500);
/// How long a receiver may take to take one event.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first rest after a failure; each is twice the one before.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// After so many failures an event is given up.
const MAX_TRIES: u32 = 12;
/// Bytes of an answer that are read: only its first line counts.
const MAX_ANSWER: usize = 64 << 10;

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifyForm {
    /// CloudEvents 1.0, structured, as JSON.
    CloudEvents,
    /// `{"text": …}`, as Slack and what is compatible with it take.
    Slack,
}

/// Who is told.
#[derive(Clone)]
pub struct NotifyTarget {
    is_tls: bool,
    /// `HOST` or `HOST:PORT`
    host: String,
    /// With its query; it may be a secret.
    path: String,
    form: NotifyForm,
}

impl NotifyTarget {
    /// Reads an address: `http://HOST[:PORT][/PATH]` or `https://…`.
    ///
    /// # Errors
    /// In words, without the address's path: where it is none.
    pub fn parse(url: &str, form: NotifyForm) -> Result<Self, String> {
        let bad = || {
            "a receiver's address is http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]"
                .to_owned()
        };
        let (is_tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(bad()),
        };
        let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_host = !host.is_empty() && !host.contains(['@', '?', '#', '\\']);
        if !is_host || !is_plain(host) || !is_plain(path) || path.contains('#') {
            return Err(bad());
        }
        Ok(Self {
            is_tls,
            host: host.to_owned(),
            path: path.to_owned(),
            form,
        })
    }

    /// Whether it is asked by https.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}

/// Who is told, and how the daemon proves that it is itself.
pub struct NotifyOptions {
    /// The receivers.
    pub targets: Vec<NotifyTarget>,
    /// The key of the HMAC.
    pub secret: Option<Vec<u8>>,
    /// Whom to trust where a receiver is asked by https.
    pub tls: Option<TlsClient>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// An event on its way to one receiver.
struct Message {
    body: Arc<str>,
    signature: Option<Arc<str>>,
}

/// Watches the daemon and tells the receivers, on threads of its own, for as long as the process
/// lives.
///
/// # Errors
/// Where the system gives no threads.
pub fn notify_targets(hub: Arc<Hub>, options: NotifyOptions) -> std::io::Result<()> {
    let counts: Family<ResultLabel, Counter> = Family::default();
    for result in ["sent", "failed", "dropped"] {
        drop(counts.get_or_create(&ResultLabel { result }));
    }
    let registered = counts.clone();
    hub.metrics().register_all(move |registry| {
        registry.register(
            "notifications",
            "Events by what became of them, a receiver each",
            registered,
        );
    });

    let mut queues = Vec::new();
    for (number, target) in options.targets.iter().enumerate() {
        let (sender, inbox) = sync_channel(MAX_WAITING);
        let post = Post {
            target: target.clone(),
            tls: options.tls.clone(),
            counts: counts.clone(),
        };
        spawn_post(&format!("notify-{number}"), move || {
            post.deliver_events(&inbox)
        })?;
        queues.push(Queue {
            form: target.form,
            sender,
            dropped: 0,
        });
    }
    let key = options
        .secret
        .as_ref()
        .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret));
    // A change is looked at at once; the rest, and a change that comes meanwhile, at the next look.
    let (changed, changes) = sync_channel(1);
    hub.on_change(move || {
        let _ = changed.try_send(());
    });
    spawn_post("notify", move || {
        Desk {
            hub,
            queues,
            key,
            counts,
        }
        .collect_events(&changes)
    })
}

fn spawn_post(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name(format!("refguard-{name}"))
        .spawn(work)
        .map(drop)
}

/// The way to one receiver.
struct Queue {
    form: NotifyForm,
    sender: SyncSender<Message>,
    /// Events that found it full since one did not.
    dropped: u64,
}

impl Queue {
    /// Whether there was room. A receiver that is too slow is said once, and once that it is not
    /// any more.
    fn take_events(&mut self, message: Message) -> bool {
        let is_taken = !matches!(self.sender.try_send(message), Err(TrySendError::Full(_)));
        match (is_taken, self.dropped) {
            (true, 0) => {}
            (true, dropped) => {
                tracing::info!("the receiver takes notifications again: {dropped} were dropped");
                self.dropped = 0;
            }
            (false, before) => {
                if before == 0 {
                    tracing::warn!(
                        "a receiver of notifications is too slow: events are dropped until it \
                         takes more"
                    );
                }
                self.dropped += 1;
            }
        }
        is_taken
    }
}

/// Where events are found and handed out.
struct Desk {
    hub: Arc<Hub>,
    queues: Vec<Queue>,
    key: Option<hmac::Key>,
    counts: Family<ResultLabel, Counter>,
}

impl Desk {
    fn collect_events(&mut self, changes: &Receiver<()>) {
        let mut watch = EventWatch::default();
        let source = source_name();
        let mut number = 0_u64;
        loop {
            for event in watch.look_for_changes(&self.hub) {
                number += 1;
                self.hand_out(&event, &format!("{source}-{number}"));
            }
            match changes.recv_timeout(LOOK) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn hand_out(&mut self, event: &Event, id: &str) {
        let time = Timestamp::now();
        for queue in &mut self.queues {
            let body: Arc<str> = write_event(event, id, time, queue.form).into();
            let signature = self
                .key
                .as_ref()
                .map(|key| sign_body(key, body.as_bytes()).into());
            if !queue.take_events(Message { body, signature }) {
                self.counts
                    .get_or_create(&ResultLabel { result: "dropped" })
                    .inc();
            }
        }
    }
}

/// A name that no other run of a daemon has.
fn source_name() -> String {
    let mut random = [0; 8];
    if SystemRandom::new().fill(&mut random).is_err() {
        // The time to the nanosecond differs too, between runs on one machine.
        random = Timestamp::now()
            .as_nanosecond()
            .to_be_bytes()
            .last_chunk()
            .copied()
            .unwrap_or(random);
    }
    HEXLOWER.encode(&random)
}

fn write_event(event: &Event, id: &str, time: Timestamp, form: NotifyForm) -> String {
    let kind = event.kind.name();
    match form {
        NotifyForm::CloudEvents => json!({
            "specversion": "1.0", "id": id, "source": "/refguard", "type": format!("refguard.{kind}"),
            "subject": event.set, "time": time, "datacontenttype": "application/json",
            "data": event.data,
        }),
        // These three mean something there; everything else is text.
        NotifyForm::Slack => {
            let text = event.sentence.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            json!({ "text": format!("refguard, {kind}: {text}") })
        }
    }
    .to_string()
}

fn sign_body(key: &hmac::Key, body: &[u8]) -> String {
    format!("sha256={}", HEXLOWER.encode(hmac::sign(key, body).as_ref()))
}

/// What carries events to one receiver.
struct Post {
    target: NotifyTarget,
    tls: Option<TlsClient>,
    counts: Family<ResultLabel, Counter>,
}

impl Post {
    fn deliver_events(&self, inbox: &Receiver<Message>) {
        let mut is_failing = false;
        while let Ok(message) = inbox.recv() {
            let is_sent = self.deliver_event(&message);
            if is_sent && is_failing {
                tracing::info!("over: {} takes notifications again", self.target.host);
            }
            is_failing = !is_sent;
            let result = if is_sent { "sent" } else { "failed" };
            self.counts.get_or_create(&ResultLabel { result }).inc();
        }
    }

    /// Tries until it is taken, refused for good, or was tried often enough.
    fn deliver_event(&self, message: &Message) -> bool {
        let mut rest = FIRST_REST;
        for try_number in 1..=MAX_TRIES {
            let trouble = match self.send_once(message) {
                Ok(status) if (200..300).contains(&status) => {
                    if try_number > 1 {
                        tracing::info!("{} takes notifications again", self.target.host);
                    }
                    return true;
                }
                // It will say the same of the same event; but not of one that comes too fast.
                Ok(status)
                    if (400..500).contains(&status) && ![408, 425, 429].contains(&status) =>
                {
                    tracing::warn!("{} refuses a notification: {status}", self.target.host);
                    return false;
                }
                Ok(status) => format!("it answers {status}"),
                Err(error) => error,
            };
            tracing::warn!(
                "{} did not take a notification, try {try_number}: {trouble}",
                self.target.host
            );
            if try_number < MAX_TRIES {
                std::thread::sleep(add_jitter(rest));
                rest = (rest * 2).min(LONGEST_REST);
            }
        }
        false
    }

    /// One try; the status that the receiver answers with.
    fn send_once(&self, message: &Message) -> Result<u16, String> {
        let target = &self.target;
        let deadline = Deadline::from_now(PATIENCE);
        let default_port = if target.is_tls { 443 } else { 80 };
        let stream = connect_to(&target.host, default_port, &deadline).map_err(in_words)?;
        let request = self.write_request(message);
        let answer = match target.is_tls {
            false => read_answer(stream, request.as_bytes(), MAX_ANSWER, &deadline)?,
            true => {
                let tls = self.tls.as_ref().ok_or("there is no authority to trust")?;
                let stream = tls.open_connection(stream, host_name(&target.host))?;
                read_answer(stream, request.as_bytes(), MAX_ANSWER, &deadline)?
            }
        };
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.get(..3));
        status
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| "it does not speak HTTP".to_owned())
    }

    fn write_request(&self, message: &Message) -> String {
        let NotifyTarget {
            host, path, form, ..
        } = &self.target;
        let kind = match form {
            NotifyForm::CloudEvents => "application/cloudevents+json; charset=utf-8",
            NotifyForm::Slack => "application/json; charset=utf-8",
        };
        let signature = message.signature.iter();
        let signature: String = signature
            .map(|signature| format!("X-Refguard-Signature: {signature}\r\n"))
            .collect();
        format!(
            "POST {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: refguard/{}\r\n\
             Content-Type: {kind}\r\n\
             Content-Length: {}\r\n{signature}\r\n{}",
            env!("CARGO_PKG_VERSION"),
            message.body.len(),
            message.body
        )
    }
}

/// A rest that is up to a quarter longer or shorter, so that daemons that failed together do not
/// come back together.
fn add_jitter(rest: Duration) -> Duration {
    let nanos = Timestamp::now().subsec_nanosecond().unsigned_abs() % 1_000;
    rest.mul_f64(0.75 + f64::from(nanos) / 2_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::EventKind;

    fn event(sentence: &str) -> Event {
        Event {
            kind: EventKind::Hold,
            set: "production".to_owned(),
            sentence: sentence.to_owned(),
            data: json!({ "held": true }),
        }
    }

    #[test]
    fn an_event_is_a_cloud_event_or_a_line_of_text() {
        let time: Timestamp = "2026-11-28T06:00:00Z".parse().unwrap();
        let written = write_event(&event("x"), "run-1", time, NotifyForm::CloudEvents);
        let written: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(written["specversion"], "1.0");
        assert_eq!(written["type"], "refguard.hold");
        assert_eq!(written["data"], json!({ "held": true }));
        let text = write_event(&event("a <!channel> & b"), "run-1", time, NotifyForm::Slack);
        let text: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            text,
            json!({ "text": "refguard, hold: a &lt;!channel&gt; &amp; b" })
        );
    }

    #[test]
    fn a_body_is_signed_as_others_would_sign_it() {
        // The second case of RFC 4231.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let due = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign_body(&key, b"what do ya want for nothing?"), due);
    }

    #[test]
    fn a_receiver_has_a_host_and_a_path_and_nothing_that_breaks_a_head() {
        let parse = |url: &str| NotifyTarget::parse(url, NotifyForm::Slack);
        let target = parse("https://hooks.example:8443/services/a?b=c").unwrap();
        assert_eq!(
            (&*target.host, &*target.path),
            ("hooks.example:8443", "/services/a?b=c")
        );
        assert_eq!(parse("http://[::1]:9").unwrap().path, "/");
        for bad in [
            "ftp://a/",
            "http:///x",
            "http://u:p@a/",
            "http://a/\r\nX: y",
            "https://a/#x",
            "a",
        ] {
            let said = parse(bad).err().unwrap();
            assert!(
                !said.contains("services") && said.contains("HOST"),
                "{bad}: {said}"
            );
        }
    }

    #[test]
    fn rests_differ_and_stay_within_a_quarter() {
        for _ in 0..100 {
            let rest = add_jitter(Duration::from_secs(4));
            assert!((3.0..5.0).contains(&rest.as_secs_f64()), "{rest:?}");
        }
    }
}
