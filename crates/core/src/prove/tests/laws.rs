//! Laws that any analysis must keep, on random pairs too large to be tried.

use std::collections::BTreeSet;

use super::engine_of;
use super::generate::{self, Random};
use crate::document::Dimension;
use crate::prove::{Budget, Impact, impact_of_change};
use crate::resolve::Engine;

fn of(base: &Engine, head: &Engine) -> Impact {
    impact_of_change(base, head, &Budget::default())
}

fn sets(part: u64) -> impl Iterator<Item = (generate::Set, Engine, Random)> {
    (part << 20..).filter_map(|seed| {
        let mut r = Random::new(seed);
        let set = generate::set(&mut r);
        let engine = engine_of(&set.yaml())?;
        Some((set, engine, r))
    })
}

#[test]
fn nothing_differs_from_itself() {
    for (set, engine, _) in sets(1).take(100) {
        let same = of(&engine, &engine);
        assert!(
            same.regions.is_empty() && same.exact && !same.weakens,
            "{}",
            set.yaml()
        );
    }
}

#[test]
fn the_way_back_mirrors_the_way_there() {
    type Sides = (BTreeSet<String>, BTreeSet<String>);
    let all = |impact: &Impact| -> Sides {
        let lost = impact
            .regions
            .iter()
            .flat_map(|region| region.lost.clone())
            .collect();

        (
            lost,
            impact
                .regions
                .iter()
                .flat_map(|region| region.gained.clone())
                .collect(),
        )
    };

    for (set, base, mut r) in sets(2).take(150) {
        let changed = generate::changed(&mut r, &set);
        let Some(head) = engine_of(&changed.yaml()) else {
            continue;
        };
        let ((lost, gained), (back_lost, back_gained)) =
            (all(&of(&base, &head)), all(&of(&head, &base)));
        assert_eq!(
            (lost, gained),
            (back_gained, back_lost),
            "{}\n---\n{}",
            set.yaml(),
            changed.yaml()
        );
    }
}

#[test]
fn comments_descriptions_and_the_order_of_documents_change_nothing() {
    for (mut set, engine, _) in sets(3).take(100) {
        // The order of pipelines may hang on the order of documents: that would be a change.
        set.policies
            .iter_mut()
            .for_each(|policy| policy.pipeline = None);
        let Some(base) = engine_of(&set.yaml()) else {
            continue;
        };
        let yaml = set.yaml().replace(
            "\nkind: Policy\n",
            "\nkind: Policy\n# a comment\ndescription: other\n",
        );
        let mut documents: Vec<&str> = yaml.split("---\n").collect();
        documents.reverse();
        let head = engine_of(&documents.join("---\n")).expect("the same documents");
        let moved = of(&base, &head);
        assert!(
            moved.regions.is_empty() && !moved.weakens,
            "{yaml}\n{moved:#?}"
        );
        drop(engine);
    }
}

#[test]
fn an_attachment_that_is_covered_changes_nothing() {
    for (mut set, _, mut r) in sets(4).take(100) {
        set.policies
            .iter_mut()
            .for_each(|policy| policy.pipeline = None);
        let Some(base) = engine_of(&set.yaml()) else {
            continue;
        };
        let mut narrow = r.pick(&set.attachments).clone();
        narrow.lists[Dimension::Team].get_or_insert_with(|| vec!["b"]);
        narrow.lists[Dimension::Tag].get_or_insert_with(|| vec!["t*"]);
        set.attachments.push(narrow);
        let head = engine_of(&set.yaml()).expect("only a warning");
        let added = of(&base, &head);
        assert!(
            added.regions.is_empty() && !added.weakens,
            "{}\n{added:#?}",
            set.yaml()
        );
    }
}
