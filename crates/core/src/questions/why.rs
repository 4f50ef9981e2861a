//! Why a request gets a guardrail, or what stands between it and each policy that could give it.
//!
//! A policy gives a guardrail where three things hold: an attachment brings it to the request, its
//! chain comes to the guardrail for the request's model, and nothing on the chain takes it away
//! again. What fails of these is an obstacle; of several ways past them the shortest is reported.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::document::{Dimension, did_you_mean_name};
use crate::policy::{
    Attachment, Context, GuardrailId, Pattern, Place, Policy, PolicyId, PolicySet, meets_values,
};
use crate::resolve::{Engine, Request, Requested, describe_miss};

/// What keeps a policy from giving something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ObstacleKind {
    /// Nothing attaches the policy to any request.
    NoAttachment,
    /// The attachment asks for another value of a dimension.
    Pattern,
    /// A member's condition does not hold for the model.
    Condition,
    /// The attachment is a default one, and another matches.
    Default,
    /// A member of the chain takes the guardrail away.
    Remove,
    /// The attachment is expired.
    Expired,
}

/// One thing in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Obstacle {
    /// What it is.
    pub kind: ObstacleKind,
    /// Why it is in the way, in words.
    pub message: String,
    /// What would take it away, in words.
    pub change: String,
    /// The document that is to be changed.
    pub file: String,
    /// Its line.
    pub line: u32,
}

/// A policy that gives a guardrail, or could.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Giver {
    /// Its name.
    pub policy: String,
    /// The file of its document.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// Whether it gives the guardrail to the request.
    pub gives: bool,
    /// How the request comes to it, where it gives: the attachment's reason, or that it was asked
    /// for.
    pub matched_via: Option<String>,
    /// What is in the way; empty where it gives. Taking all of it away makes the policy give.
    pub obstacles: Vec<Obstacle>,
}

/// A guardrail that neither the set nor its catalog has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownGuardrail {
    /// The name that was asked for.
    pub name: String,
    /// One that is near.
    pub near: Option<String>,
}

impl std::fmt::Display for UnknownGuardrail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no policy adds `{}`, and no catalog has it", self.name)?;
        match &self.near {
            Some(near) => write!(f, "; did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownGuardrail {}

/// A guardrail by its name; `Ok(None)`: only the catalog has it.
///
/// # Errors
/// Where neither the set nor its catalog has it.
pub fn find_guardrail(
    set: &PolicySet,
    name: &str,
) -> Result<Option<GuardrailId>, UnknownGuardrail> {
    if let Ok(at) = set.guardrails.binary_search_by(|known| (**known).cmp(name)) {
        return Ok(u32::try_from(at).ok().map(GuardrailId));
    }

    let listed = || set.catalog.guardrail_names();
    if listed().any(|known| **known == *name) {
        return Ok(None);
    }

    let known = set.guardrails.iter().chain(listed()).map(|known| &**known);
    let near = did_you_mean_name(name, known).map(str::to_owned);
    Err(UnknownGuardrail {
        name: name.to_owned(),
        near,
    })
}

/// Every policy that gives a guardrail to a request or could, those that give first, then those
/// with the least in the way.
///
/// # Errors
/// Where neither the set nor its catalog has the guardrail.
pub fn explain_guardrail(
    engine: &Engine,
    request: &Request,
    guardrail: &str,
) -> Result<Vec<Giver>, UnknownGuardrail> {
    let set = engine.set();
    let Some(guardrail) = find_guardrail(set, guardrail)? else {
        return Ok(Vec::new());
    };
    let asking = WhyQuestion::new(engine, request, guardrail);

    let adds: Vec<bool> = set
        .policies
        .iter()
        .map(|policy| policy.add.contains(&guardrail))
        .collect();
    let adds = |id: &PolicyId| adds.get(id.0 as usize).copied().unwrap_or_default();
    let could = (0..).map(PolicyId).zip(&set.policies);
    let could = could.filter(|(_, policy)| policy.chain.iter().any(adds));
    let mut givers: Vec<(Distance, Giver)> = could
        .map(|(id, policy)| asking.judge_policy(id, policy))
        .collect();
    givers.extend(asking.judge_pinned());
    givers.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.policy.cmp(&other.policy)));

    Ok(givers.into_iter().map(|(_, giver)| giver).collect())
}

/// How far a policy is from giving: what is in the way, then how unlike the values are that it asks
/// for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Distance {
    obstacles: usize,
    unlike: usize,
}

/// One question: a request, a guardrail, and what the set has for them.
struct WhyQuestion<'a> {
    set: &'a PolicySet,
    /// The attachments that are expired, which are not among the set's.
    expired: &'a [Arc<Attachment>],
    request: &'a Request,
    guardrail: GuardrailId,
    /// The attachments of each policy, in the order of evaluation.
    attached: Vec<Vec<&'a Attachment>>,
    /// The first attachment that counts and is no default one.
    counting: Option<&'a Attachment>,
    /// The policies that the request gets, with what brings it to them, and whether they give the
    /// guardrail.
    listed: Vec<(Option<PolicyId>, String, String, bool)>,
}

impl<'a> WhyQuestion<'a> {
    fn new(engine: &'a Engine, request: &'a Request, guardrail: GuardrailId) -> Self {
        let set: &PolicySet = engine.set();
        let mut attached = vec![Vec::new(); set.policies.len()];
        for attachment in set.attachments.iter().chain(engine.expired_attachments()) {
            if let Some(of) = attached.get_mut(attachment.policy.0 as usize) {
                of.push(&**attachment);
            }
        }

        let counting = engine.counting_attachments(&request.context);
        let counting = counting.into_iter().find(|attachment| !attachment.default);
        let name = set.guardrail(guardrail);
        let resolution = engine.resolve(request);
        let listed = resolution.policies.iter().map(|policy| {
            let via = policy.matched_via();
            let via = via.map_or_else(|| "asked for by name".to_owned(), |via| via.to_string());
            let gives = policy.guardrail_names().any(|given| given == name);
            (policy.served_id(), policy.name().to_owned(), via, gives)
        });
        let listed = listed.collect();
        let expired = engine.expired_attachments();

        Self {
            set,
            expired,
            request,
            guardrail,
            attached,
            counting,
            listed,
        }
    }

    fn context(&self) -> &'a Context {
        &self.request.context
    }

    /// Versions beside the set that the request asks for, and that give.
    fn judge_pinned(&self) -> Vec<(Distance, Giver)> {
        let pinned = self
            .listed
            .iter()
            .filter(|(id, _, _, gives)| id.is_none() && *gives);
        let none = || Distance {
            obstacles: 0,
            unlike: 0,
        };

        pinned
            .map(|(_, name, via, _)| (none(), self.pinned_giver(name, via)))
            .collect()
    }

    /// A version beside the set, as one that gives. Its place is that of the set's own version.
    fn pinned_giver(&self, label: &str, via: &str) -> Giver {
        let own = label.split_once('@').map_or(label, |(own, _)| own);
        let place = self.set.find_policy(own).map(|(_, policy)| &policy.place);
        let (file, line) = place.map_or_else(Default::default, |it| (it.file.to_string(), it.line));

        Giver {
            policy: label.to_owned(),
            file,
            line,
            gives: true,
            matched_via: Some(via.to_owned()),
            obstacles: Vec::new(),
        }
    }

    fn judge_policy(&self, id: PolicyId, policy: &'a Policy) -> (Distance, Giver) {
        let listed = self.listed.iter().find(|(listed, ..)| *listed == Some(id));
        let matched_via = listed
            .filter(|(_, _, _, gives)| *gives)
            .map(|(_, _, via, _)| via.clone());
        let mut unlike = 0;
        let mut obstacles = Vec::new();
        if matched_via.is_none() {
            // A policy that the request has already, or asks for, needs no other way to it.
            let is_named = |asked: &Requested| matches!(asked, Requested::Named(name) if **name == *policy.name);
            if listed.is_none() && !self.request.policies.iter().any(is_named) {
                (unlike, obstacles) = self.obstacles_of_attachment(id, policy);
            }

            obstacles.extend(self.obstacles_of_chain(policy));
        }

        let Place { file, line } = &policy.place;
        let giver = Giver {
            policy: policy.name.to_string(),
            file: file.to_string(),
            line: *line,
            gives: matched_via.is_some(),
            matched_via,
            obstacles,
        };

        // A document that must be written is further away than one that must be changed.
        let weight = |obstacle: &Obstacle| match obstacle.kind {
            ObstacleKind::NoAttachment => 2,
            _ => 1,
        };

        (
            Distance {
                obstacles: giver.obstacles.iter().map(weight).sum(),
                unlike,
            },
            giver,
        )
    }

    /// What keeps the nearest of a policy's attachments from bringing it to the request.
    fn obstacles_of_attachment(&self, id: PolicyId, policy: &Policy) -> (usize, Vec<Obstacle>) {
        let attached = self
            .attached
            .get(id.0 as usize)
            .map_or(&[][..], Vec::as_slice);
        let ways = attached.iter().map(|attachment| {
            let missed: Vec<(Dimension, &[Pattern])> = self.missed_dimensions(attachment).collect();
            let is_idle = attachment.default && self.counting.is_some();
            let unlike: usize = missed
                .iter()
                .map(|(dimension, patterns)| self.count_unlike(*dimension, patterns))
                .sum();
            let others = usize::from(is_idle) + usize::from(self.is_expired(attachment));
            (missed.len() + others, unlike, *attachment, missed)
        });
        let Some((_, unlike, attachment, missed)) =
            ways.min_by_key(|(count, unlike, ..)| (*count, *unlike))
        else {
            return (0, vec![self.no_attachment(policy)]);
        };

        let missed = missed.into_iter();
        let mut obstacles: Vec<Obstacle> = missed
            .map(|(dimension, patterns)| self.pattern_obstacle(attachment, dimension, patterns))
            .collect();
        if attachment.default
            && let Some(other) = self.counting
        {
            obstacles.push(self.default_obstacle(attachment, other));
        }

        if let Some(expires) = attachment.expires.filter(|_| self.is_expired(attachment)) {
            obstacles.push(make_obstacle(
                ObstacleKind::Expired,
                format!("the attachment expired at {expires}"),
                "give it a later `expires`, or none".to_owned(),
                &attachment.place,
            ));
        }

        (unlike, obstacles)
    }

    fn is_expired(&self, attachment: &Attachment) -> bool {
        self.expired
            .iter()
            .any(|expired| std::ptr::eq(&**expired, attachment))
    }

    /// The dimensions of an attachment that the request does not match.
    fn missed_dimensions(
        &self,
        attachment: &'a Attachment,
    ) -> impl Iterator<Item = (Dimension, &'a [Pattern])> {
        let context = self.context();
        let named = attachment
            .targets
            .written()
            .filter(|_| !attachment.everywhere);
        let named = named.filter_map(|(of, patterns)| Some((of, patterns.as_deref()?)));

        named.filter(|(of, patterns)| !meets_values(*of, patterns, context.values(*of)))
    }

    /// How unlike a request's values are to what is asked for: the length of a value less what it
    /// has in common with the beginning of the nearest pattern.
    fn count_unlike(&self, dimension: Dimension, patterns: &[Pattern]) -> usize {
        let values = self.context().values(dimension);
        let pairs = values.iter().flat_map(|value| {
            patterns.iter().map(move |pattern| {
                let (Pattern::Exact(text) | Pattern::Prefix(text)) = pattern;
                let common = value
                    .bytes()
                    .zip(text.bytes())
                    .take_while(|(a, b)| a == b)
                    .count();

                value.len().max(text.len()) - common
            })
        });

        pairs.min().unwrap_or(usize::from(u16::MAX))
    }

    fn no_attachment(&self, policy: &Policy) -> Obstacle {
        let values = Dimension::WRITTEN.into_iter().find_map(|dimension| {
            Some(format!(
                "`{}: [{}]`",
                dimension.plural(),
                self.context().value(dimension)?
            ))
        });
        let target = values.unwrap_or_else(|| "`scope: \"*\"`".to_owned());
        make_obstacle(
            ObstacleKind::NoAttachment,
            format!("nothing attaches `{}`", policy.name),
            format!("attach it, for example by {target}"),
            &policy.place,
        )
    }

    fn pattern_obstacle(
        &self,
        attachment: &Attachment,
        dimension: Dimension,
        patterns: &[Pattern],
    ) -> Obstacle {
        let values = self.context().values(dimension);
        let plural = dimension.plural();
        let place = &attachment.place;
        let at = format!("{}:{}", place.file, place.line);
        let others = attachment
            .targets
            .iter()
            .filter(|(of, named)| *of != dimension && named.is_some());
        let change = match values.first() {
            Some(value) => format!("add `{value}` to `{plural}` at {at}"),
            None if others.count() == 0 => {
                format!("write `scope: \"*\"` instead of `{plural}` at {at}")
            }
            None => format!("leave `{plural}` out at {at}"),
        };

        let message = describe_miss(dimension, patterns, values);
        make_obstacle(ObstacleKind::Pattern, message, change, place)
    }

    fn default_obstacle(&self, attachment: &Attachment, other: &Attachment) -> Obstacle {
        let named = self
            .set
            .policy(other.policy)
            .map_or("", |policy| &policy.name);
        let Place { file, line } = &attachment.place;
        make_obstacle(
            ObstacleKind::Default,
            format!(
                "a default attachment counts only where no other matches, and that of `{named}` at \
                    {}:{} does",
                other.place.file, other.place.line
            ),
            format!("leave `default: true` out at {file}:{line}"),
            &attachment.place,
        )
    }

    /// What keeps a policy's chain from coming to the guardrail: of the members that add it, the
    /// one with the least in the way.
    fn obstacles_of_chain(&self, policy: &'a Policy) -> Vec<Obstacle> {
        let set = self.set;
        let chain: Vec<&Policy> = policy
            .chain
            .iter()
            .filter_map(|id| set.policy(*id))
            .collect();
        let removes = |member: &&&Policy| {
            self.condition_holds(member) && member.remove.contains(&self.guardrail)
        };
        let adding = (0..)
            .zip(&chain)
            .filter(|(_, member)| member.add.contains(&self.guardrail));
        let ways = adding.map(|(at, member): (usize, _)| {
            let below: Vec<&&Policy> = chain.iter().skip(at).filter(removes).collect();
            // Of the member itself, if its condition comes to hold.
            let own = !self.condition_holds(member) && member.remove.contains(&self.guardrail);
            let count = usize::from(!self.condition_holds(member)) + usize::from(own) + below.len();
            (count, usize::MAX - at, *member, own, below)
        });
        let Some((_, _, member, own, below)) =
            ways.min_by_key(|(count, from_leaf, ..)| (*count, *from_leaf))
        else {
            return Vec::new();
        };

        let failing = (!self.condition_holds(member)).then(|| self.condition_obstacle(member));
        let own = own.then(|| self.remove_obstacle(member));
        let below = below.into_iter().map(|member| self.remove_obstacle(member));

        failing.into_iter().chain(own).chain(below).collect()
    }

    fn condition_holds(&self, member: &Policy) -> bool {
        let condition = member.condition.as_ref();
        condition
            .is_none_or(|condition| self.set.condition_holds(condition, self.context().model()))
    }

    fn condition_obstacle(&self, member: &Policy) -> Obstacle {
        let (name, Place { file, line }) = (&member.name, &member.place);
        let texts = member.condition.iter().flatten();
        let texts = texts.filter_map(|id| self.set.conditions.get(id.0 as usize));
        let texts: Vec<String> = texts
            .map(|pattern| format!("`{}`", pattern.text()))
            .collect();
        let texts = texts.join(" or ");
        let (model, change) = match self.context().model() {
            Some(model) => (
                format!("the model `{model}` is not {texts}"),
                format!("add `{model}` to `condition.model` of `{name}` at {file}:{line}"),
            ),
            None => (
                format!("the request has no model, and a condition needs one: {texts}"),
                format!("take `condition` away from `{name}` at {file}:{line}"),
            ),
        };

        let message = format!("the condition of `{name}` does not hold: {model}");
        make_obstacle(ObstacleKind::Condition, message, change, &member.place)
    }

    fn remove_obstacle(&self, member: &Policy) -> Obstacle {
        let (name, Place { file, line }) = (&member.name, &member.place);
        let guardrail = self.set.guardrail(self.guardrail);
        make_obstacle(
            ObstacleKind::Remove,
            format!("`{name}` removes it"),
            format!("take `{guardrail}` out of `guardrails.remove` of `{name}` at {file}:{line}"),
            &member.place,
        )
    }
}

fn make_obstacle(kind: ObstacleKind, message: String, change: String, place: &Place) -> Obstacle {
    let Place { file, line } = place;
    Obstacle {
        kind,
        message,
        change,
        file: file.to_string(),
        line: *line,
    }
}
