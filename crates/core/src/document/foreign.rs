//! Another tool's YAML as spanned trees, for those who translate it.

use super::{Finding, Limits, Node, SourceFile, Span, load, yaml};

/// One document of another tool's file.
#[derive(Debug)]
pub struct ForeignDocument {
    /// The tree; `None` after a fault that leaves no tree.
    pub root: Option<Node>,
    /// What is wrong with it: the caller knows which parts matter.
    pub findings: Vec<Finding>,
}

/// Reads YAML that is not ours: merge keys are expanded, and faults that leave a tree are findings
/// beside it.
pub fn read_foreign(file: &SourceFile, limits: &Limits) -> Vec<ForeignDocument> {
    if let Some(finding) = load::forbidden_character(file) {
        return vec![ForeignDocument {
            root: None,
            findings: vec![finding],
        }];
    }

    let documents =
        yaml::parse_documents(file, limits, yaml::Dialect::Foreign, |_| true).into_iter();
    documents
        .map(|document| ForeignDocument {
            root: document.root,
            findings: document.findings,
        })
        .collect()
}

/// Where the comments of such a file stand, in order: a tree has none.
pub fn find_comments(file: &SourceFile, limits: &Limits) -> Vec<Span> {
    yaml::find_comments(file, limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ForeignDocument {
        let file = SourceFile::new("config.yaml", text.to_owned());
        read_foreign(&file, &Limits::DEFAULT)
            .into_iter()
            .next()
            .expect("a document")
    }

    #[test]
    fn merge_keys_are_expanded_and_own_keys_win() {
        let text = "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\nall:\n  <<: [*b, *o]\n  x: 9\n";
        let document = read(text);
        let root = document.root.expect("a tree");
        let all = root.get("all").expect("the mapping");
        let text = |key| all.get(key).and_then(Node::text);
        assert_eq!(
            (text("x"), text("y"), text("z")),
            (Some("9"), Some("2"), Some("4"))
        );

        assert!(document.findings.is_empty());
    }

    #[test]
    fn harmless_tags_pass_and_others_are_found() {
        assert!(
            read("%YAML 1.1\n---\na: !!str 12\nb: !!seq [x]\n")
                .findings
                .is_empty()
        );
        let document = read("a: !include x.yaml\n");
        assert!(document.root.is_some());

        assert_eq!(document.findings.len(), 1);
    }

    #[test]
    fn lists_may_stand_under_their_key_without_indentation() {
        let document = read("a:\n- x\n- y\nb: {\n}\n");
        assert!(document.root.is_some() && document.findings.is_empty());
    }

    #[test]
    fn a_sign_within_a_text_is_no_comment() {
        let text = "# one\na: 'x # y' # two\nb: |\n  # z\nc: x#y\n";
        let file = SourceFile::new("config.yaml", text.to_owned());
        let found = find_comments(&file, &Limits::DEFAULT);
        let texts = found
            .iter()
            .map(|span| text.get(span.start as usize..span.end as usize).unwrap());

        assert_eq!(texts.collect::<Vec<_>>(), ["# one", "# two"]);
    }
}
