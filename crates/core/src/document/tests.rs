//! The schema and the types are two readings of one form: whatever a document is made into, both
//! accept it or neither does.

use std::fs;

use super::load::typed_body;
use super::{Kind, Limits, Node, NodeValue, SourceFile, Span, load_file, schema, shape, yaml};

/// What takes the place of a node: each kind of scalar, empty and small collections, values at the
/// edges. Not `1.0` or `1e3`: to JSON Schema those are integers; the types refuse them, which the
/// last test shows.
const INTRUDERS: &[&str] = &[
    "null",
    "''",
    "x",
    "' x'",
    "x@y",
    "true",
    "0",
    "-1",
    "1.5",
    "2147483647",
    "2147483648",
    "99999999999999999999",
    ".inf",
    "'*'",
    "block",
    "off",
    "pre_call",
    "refguard/v1",
    "Policy",
    "[]",
    "[x]",
    "[null]",
    "[1]",
    "[[]]",
    "{}",
    "{x: y}",
    "{name: x}",
    "{guardrail: x}",
];

fn parse(text: &str) -> Node {
    let file = SourceFile::new("f.yaml", text.to_owned());
    yaml::parse_documents(&file, &Limits::DEFAULT, yaml::Dialect::Ours, |_| true)
        .remove(0)
        .root
        .unwrap()
}

fn kind_of(root: &Node) -> Option<Kind> {
    let word = root.get("kind")?.text()?;
    Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
}

/// How many places a tree has where something can be changed.
fn places(node: &Node) -> usize {
    1 + match &node.value {
        NodeValue::Scalar { .. } => 0,
        NodeValue::Seq(items) => items.iter().map(places).sum(),
        NodeValue::Map(entries) => entries.iter().map(|(_, value)| places(value)).sum(),
    }
}

/// Changes the node at a place, counted from the root down.
fn at_place(node: &mut Node, place: &mut usize, change: &mut dyn FnMut(&mut Node)) {
    if *place == 0 {
        change(node);
    }

    *place = place.wrapping_sub(1);
    match &mut node.value {
        NodeValue::Scalar { .. } => {}
        NodeValue::Seq(items) => items
            .iter_mut()
            .for_each(|item| at_place(item, place, change)),
        NodeValue::Map(entries) => entries
            .iter_mut()
            .for_each(|(_, value)| at_place(value, place, change)),
    }
}

fn changed(root: &Node, place: usize, change: &mut dyn FnMut(&mut Node)) -> Node {
    let mut tree = root.clone();
    at_place(&mut tree, &mut { place }, change);
    tree
}

/// A tree with one thing changed, in every way that this test knows.
fn variants(root: &Node) -> Vec<Node> {
    let mut variants = Vec::new();
    for place in 0..places(root) {
        for intruder in INTRUDERS {
            variants.push(changed(root, place, &mut |node| *node = parse(intruder)));
        }

        variants.push(changed(root, place, &mut |node| {
            if let NodeValue::Map(entries) = &mut node.value {
                entries.push((parse("unheard_of"), parse("x")));
            }
        }));
        for entry in 0..8 {
            variants.push(changed(root, place, &mut |node| match &mut node.value {
                NodeValue::Map(entries) if entry < entries.len() => drop(entries.remove(entry)),
                NodeValue::Seq(items) if entry < items.len() => drop(items.remove(entry)),
                _ => {}
            }));
        }
    }

    variants
}

#[test]
fn whatever_is_changed_in_a_document_the_schema_and_the_types_agree() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/documents/valid");
    let (mut accepted, mut refused) = (0, 0);
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let root = parse(&fs::read_to_string(&path).unwrap());
        let kind = kind_of(&root).unwrap();
        for tree in std::iter::once(root.clone()).chain(variants(&root)) {
            let instance = shape::to_json(&tree);
            let by_schema = schema::validator_of(kind).unwrap().is_valid(&instance);
            let by_types = typed_body(kind, &tree)
                .map(|_| ())
                .map_err(|error| error.message);
            assert_eq!(
                by_schema,
                by_types.is_ok(),
                "{}: {by_types:?}: {instance}",
                path.display()
            );
            if by_schema {
                accepted += 1
            } else {
                refused += 1
            }
        }
    }

    assert!(
        accepted > 1_000 && refused > 1_000,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn a_change_reaches_its_place() {
    let root = parse("a: [b, {c: d}]");
    assert_eq!(places(&root), 5);
    let tree = changed(&root, 4, &mut |node| node.span = Span::new(7, 8));

    assert_eq!(
        tree.get("a")
            .map(|a| format!("{a:?}").contains("start: 7, end: 8")),
        Some(true)
    );
}

#[test]
fn a_whole_number_with_a_point_is_refused_where_it_stands() {
    let text =
        "apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: p\nscope: \"*\"\npriority: 1.0\n";
    let loaded = load_file("f.yaml", text.as_bytes().to_vec(), &Limits::DEFAULT);
    assert!(loaded.documents.is_empty());
    let finding = &loaded.findings[0];

    assert_eq!(
        (finding.location.line, finding.location.column),
        (5, 11),
        "{finding}"
    );
}

/// Nodes of a tree, and bytes of its scalars.
fn size_of(node: &Node) -> (usize, usize) {
    let inner = match &node.value {
        NodeValue::Scalar { text, .. } => return (1, text.len()),
        NodeValue::Seq(items) => items.iter().map(size_of).collect::<Vec<_>>(),
        NodeValue::Map(entries) => entries
            .iter()
            .flat_map(|(key, value)| [size_of(key), size_of(value)])
            .collect(),
    };

    inner
        .into_iter()
        .fold((1, 0), |(nodes, bytes), (n, b)| (nodes + n, bytes + b))
}

/// What may be in memory of one file at once, by the limits.
fn read_within_bounds(text: &str, is_ours: bool) -> (Vec<yaml::YamlDocument>, (usize, usize)) {
    let file = SourceFile::new("f.yaml", text.to_owned());
    let limits = Limits::DEFAULT;
    let documents = yaml::parse_documents(&file, &limits, yaml::Dialect::Ours, |_| is_ours);
    let sizes = documents
        .iter()
        .filter_map(|document| document.root.as_ref())
        .map(size_of);
    let size = sizes.fold((0, 0), |(nodes, bytes), (n, b)| (nodes + n, bytes + b));
    let (alias_nodes, alias_bytes) = match is_ours {
        true => (limits.alias_nodes, limits.alias_bytes),
        false => (0, 0),
    };

    assert!(
        size.0 <= text.len() + 1 + alias_nodes,
        "{size:?} of {} bytes",
        text.len()
    );
    // An alias has two bytes at least, with a comma, and a short scalar may stand for each.
    assert!(
        size.1 <= text.len() * 64 / 3 + alias_bytes,
        "{size:?} of {} bytes",
        text.len()
    );

    (documents, size)
}

#[test]
fn aliases_are_expanded_in_our_documents_only_and_under_budgets_of_nodes_and_bytes() {
    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(200_000),
        "*a, ".repeat(5_000)
    );
    let many = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x, ".repeat(5_000),
        "*a, ".repeat(500)
    );
    let nested: String = (0..60).map(|n| format!("&a{n} [")).collect();
    let nested = format!(
        "{nested}{}{}\n---\nb: [*a1, *a2]\n",
        "x, ".repeat(50_000),
        "]".repeat(60)
    );
    let laughs = "a: &a [xxxxx, xxxxx]\nb: &b [*a, *a]\nc: &c [*b, *b]\n".to_owned()
        + &(0..12)
            .map(|n| format!("d{n}: [{}]\n", "*c, ".repeat(200)))
            .collect::<String>();
    for text in [&long, &many, &laughs] {
        let (foreign, _) = read_within_bounds(text, false);
        assert!(foreign[0].findings.is_empty() && foreign[0].root.is_some());
        let (ours, _) = read_within_bounds(text, true);
        assert_eq!(ours[0].findings.len(), 1, "{:?}", ours[0].findings);
        assert_eq!(ours[0].findings[0].rule.code, "RG004");
        assert!(ours[0].root.is_none());
    }

    read_within_bounds(&nested, false);
    read_within_bounds(&nested, true);
}

#[test]
fn aliases_within_the_budgets_are_what_they_stand_for() {
    let text = "apiVersion: &v refguard/v1\nkind: Policy\nname: p\n\
        description: &d a text of more than sixty-four bytes, so that it is no short scalar at all\nowner: *d\nguardrails: {add: &g [a, b], remove: *g}\n---\napiVersion: *v\nkind: Policy\nname: q\n";
    let loaded = load_file("f.yaml", text.as_bytes().to_vec(), &Limits::DEFAULT);
    let super::Body::Policy(policy) = &loaded.documents[0].body else {
        panic!("a policy")
    };

    assert_eq!(policy.owner, policy.description);
    let own = policy.guardrails.as_ref().unwrap();
    assert_eq!(own.add, own.remove);
    // An anchor ends with its document.
    assert_eq!(loaded.findings.len(), 1, "{:?}", loaded.findings);
}

#[test]
fn a_file_with_very_many_faults_says_so_instead_of_all_of_them() {
    let names = "[], ".repeat(3_000);
    let header = "apiVersion: refguard/v1\nkind: Policy\nname: p\n";
    for text in [
        format!("{header}guardrails: {{add: [{names}]}}\n"),
        format!("{header}{{{}}}\n", "a, ".repeat(3_000)),
        format!("{header}description: [{}]\n", "0755, ".repeat(3_000)),
        format!("{{{}}}\n", "a, ".repeat(3_000)),
    ] {
        let loaded = load_file("policies/f.yaml", text.into_bytes(), &Limits::DEFAULT);
        let most = Limits::DEFAULT.findings_per_file + 1;
        assert!(
            loaded.findings.len() <= most,
            "{} findings",
            loaded.findings.len()
        );
        assert!(loaded.documents.is_empty() && !loaded.lost.is_empty());
    }
}
