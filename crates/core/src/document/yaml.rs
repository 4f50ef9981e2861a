//! Text to spanned trees. The only file that knows the YAML parser.
//!
//! Stricter than YAML: tags, merge keys, directives, keys that are not scalars, and duplicate keys
//! are findings. A document with a fault is reported and the next one is still read, so that one
//! run shows all there is. YAML of another tool is read more freely: see [`Dialect`].
//!
//! # Aliases and memory
//!
//! Without aliases a text of *n* bytes makes at most *n* + 1 nodes and *n* bytes of scalars. So a
//! file is read without expanding them first, each alias of more than a short scalar being an empty
//! node ([`Expand::Nothing`]). Only documents that the caller wants, its own, are read again with
//! their aliases expanded, under two budgets: `Limits::alias_nodes` nodes and `Limits::alias_bytes`
//! bytes of scalars a file. Nothing is copied for another tool's document that merely stands in the
//! repository.

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, StrInput};
use rustc_hash::{FxHashMap, FxHashSet};

use super::rules::{duplicate_key, forbidden_yaml, limit_exceeded, yaml_syntax};
use super::work::note_steps;
use super::{Finding, Limits, Node, NodeValue, SourceFile, Span, scalar};

/// One YAML document of a file: its tree if it has a sound one, and what is wrong with it.
#[derive(Debug)]
pub(super) struct YamlDocument {
    /// The tree; `None` after a fault that leaves no tree.
    pub root: Option<Node>,
    /// Where the document's text begins and ends.
    pub span: Span,
    /// Faults of this document.
    pub findings: Vec<Finding>,
    /// Whether an alias is an empty node in the tree instead of what it stands for.
    has_aliases: bool,
}

/// Which documents of a file have their aliases expanded.
enum Expand {
    Nothing,
    /// The documents at these places in the file, and the anchors that aliases of the file name.
    These {
        documents: FxHashSet<usize>,
        anchors: FxHashSet<usize>,
    },
}

/// An alias to a scalar of at most so many bytes is always that scalar: a copy costs little, and
/// the header of a document can be judged.
const SHORT_SCALAR: usize = 64;

/// Whose YAML it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Ours: what two readers could read differently is refused.
    Ours,
    /// Another tool's: directives and the tags `!!str`, `!!seq`, `!!map` are accepted, merge keys
    /// are expanded as PyYAML does, flow collections may be indented as they like.
    Foreign,
}

/// All documents of a file, in order. Aliases are expanded in those for which `wanted` says so,
/// which is asked of trees in which they are not.
pub(super) fn parse_documents(
    file: &SourceFile,
    limits: &Limits,
    dialect: Dialect,
    wanted: impl Fn(&Node) -> bool,
) -> Vec<YamlDocument> {
    let mut reader = YamlReader::new(file, limits, dialect, Expand::Nothing);
    let documents = reader.read_documents();

    let to_expand: FxHashSet<usize> = documents
        .iter()
        .enumerate()
        .filter(|(_, document)| document.has_aliases)
        .filter(|(_, document)| document.root.as_ref().is_some_and(&wanted))
        .map(|(index, _)| index)
        .collect();

    if to_expand.is_empty() {
        return documents;
    }

    let anchors = std::mem::take(&mut reader.aliased);
    let expand = Expand::These {
        documents: to_expand,
        anchors,
    };

    YamlReader::new(file, limits, dialect, expand).read_documents()
}

/// Where the comments of a text stand, in order, as far as it is well-formed.
pub(super) fn find_comments(file: &SourceFile, limits: &Limits) -> Vec<Span> {
    let mut options = parser_options(limits, Dialect::Foreign);
    options.emit_comments = true;
    let mut parser: Parser<'_, StrInput<'_>> =
        Parser::new_from_str_with_options(file.text(), options);
    let mut comments = Vec::new();
    while let Some(Ok((event, span))) = parser.next_event() {
        note_steps(1);
        if let (Event::Comment(..), Some(place)) = (event, span.byte_range()) {
            comments.push(Span::new(place.start, place.end));
        }
    }

    comments
}

fn parser_options(limits: &Limits, dialect: Dialect) -> Options {
    let mut options = Options::default();
    options.strict_indentation = dialect == Dialect::Ours;
    options.disallow_directives = false;
    options.emit_comments = false;
    options.flow_nesting_limit = limits.yaml_depth;
    options.block_nesting_limit = limits.yaml_depth;

    options
}

/// The node that an anchor names.
enum Anchored {
    Node {
        node: Node,
        size: Size,
    },
    /// A node that exceeds what is left of the budgets.
    TooLarge,
}

/// What a tree costs in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    nodes: usize,
    bytes: usize,
}

impl Size {
    /// The size of a tree, counted no further than the limits reach.
    fn size_of(node: &Node, limits: &Limits) -> Self {
        let mut size = Self::default();
        size.add_tree(node, limits);
        size
    }

    fn add_tree(&mut self, node: &Node, limits: &Limits) {
        if self.passes_limits(limits) {
            return;
        }

        note_steps(1);
        self.nodes += 1;
        match &node.value {
            NodeValue::Scalar { text, .. } => self.bytes += text.len(),
            NodeValue::Seq(items) => items.iter().for_each(|item| self.add_tree(item, limits)),
            NodeValue::Map(entries) => {
                for (key, value) in entries {
                    self.add_tree(key, limits);
                    self.add_tree(value, limits);
                }
            }
        }
    }

    fn add_size(self, other: Self) -> Self {
        Self {
            nodes: self.nodes + other.nodes,
            bytes: self.bytes + other.bytes,
        }
    }

    fn passes_limits(self, limits: &Limits) -> bool {
        self.nodes > limits.alias_nodes || self.bytes > limits.alias_bytes
    }
}

struct YamlReader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: &'a SourceFile,
    limits: &'a Limits,
    dialect: Dialect,
    /// The furthest byte that an event has shown.
    offset: usize,
    /// Where the text between the last document and this one begins.
    before: usize,
    anchors: FxHashMap<usize, Anchored>,
    expand: Expand,
    /// The anchors that aliases name which are not expanded.
    aliased: FxHashSet<usize>,
    /// Whether the document's aliases are expanded.
    expands: bool,
    /// Whether an alias of the document is not expanded.
    has_aliases: bool,
    /// What the file's aliases were expanded to so far.
    expanded: Size,
    /// What is kept for aliases to come. Each kept node is named by an alias at least once, so
    /// where this passes a limit, `expanded` would.
    kept: Size,
    alias_limit_said: bool,
    depth: usize,
    findings: Vec<Finding>,
    /// Findings of the file so far, those that are left out included.
    reported: usize,
}

/// The document cannot be read on; the reason is among the findings.
struct Abandoned;

impl<'a> YamlReader<'a> {
    fn new(file: &'a SourceFile, limits: &'a Limits, dialect: Dialect, expand: Expand) -> Self {
        Self {
            parser: Parser::new_from_str_with_options(file.text(), parser_options(limits, dialect)),
            file,
            limits,
            dialect,
            offset: 0,
            before: 0,
            anchors: FxHashMap::default(),
            expand,
            aliased: FxHashSet::default(),
            expands: false,
            has_aliases: false,
            expanded: Size::default(),
            kept: Size::default(),
            alias_limit_said: false,
            depth: 0,
            findings: Vec::new(),
            reported: 0,
        }
    }

    fn read_documents(&mut self) -> Vec<YamlDocument> {
        let mut documents = Vec::new();
        loop {
            let start = self.offset;
            self.expands = match &self.expand {
                Expand::Nothing => false,
                Expand::These {
                    documents: places, ..
                } => places.contains(&documents.len()),
            };
            let outcome = self.read_document();
            let ended = matches!(outcome, Ok(None));
            let abandoned = outcome.is_err();
            let findings = std::mem::take(&mut self.findings);
            let has_aliases = std::mem::take(&mut self.has_aliases);
            self.anchors.clear();
            self.kept = Size::default();
            self.depth = 0;
            if !ended || !findings.is_empty() {
                let end = self.file.text().len();
                documents.push(YamlDocument {
                    root: outcome.ok().flatten(),
                    span: Span::new(start, end),
                    findings,
                    has_aliases,
                });
            }

            if ended || (abandoned && !self.skip_to_next()) {
                break;
            }

            if documents.len() > self.limits.documents_per_file {
                if let Some(last) = documents.last_mut() {
                    let place = last.root.as_ref().map_or(last.span, |root| root.span);
                    last.findings.push(limit_exceeded::report_documents(
                        self.file,
                        place,
                        self.limits,
                    ));
                }

                break;
            }
        }

        for i in 1..documents.len() {
            if let [.., before, after] = documents.get_mut(..=i).unwrap_or_default() {
                before.span.end = after.span.start.max(before.span.start);
            }
        }

        documents
    }

    /// Reads one document; `None` at the end of the stream.
    fn read_document(&mut self) -> Result<Option<Node>, Abandoned> {
        self.before = self.offset;
        loop {
            let (event, span) = self.next_event()?;
            match event {
                Event::StreamStart => {}
                Event::StreamEnd => return Ok(None),
                Event::DocumentStart(..) if self.dialect == Dialect::Ours => {
                    self.read_directives(span)
                }
                Event::DocumentStart(..) => {}
                Event::DocumentEnd => return Ok(Some(null_at(span))),
                event => {
                    let root = self.read_node(event, span)?;
                    while !matches!(self.next_event()?.0, Event::DocumentEnd) {}
                    return Ok(Some(root));
                }
            }
        }
    }

    /// Before a document stand only comments and directives, and a directive begins its line.
    fn read_directives(&mut self, start: Span) {
        let text = self
            .file
            .text()
            .get(self.before..start.start as usize)
            .unwrap_or("");
        let mut at = self.before;
        for line in text.split_inclusive('\n') {
            let bare = line.trim_start_matches('\u{feff}');
            if bare.starts_with('%') {
                let begin = at + line.len() - bare.len();
                let place = Span::new(begin, begin + bare.trim_end().len());
                self.report_finding(place, |file| forbidden_yaml::report_directive(file, place));
            }

            at += line.len();
        }
    }

    fn skip_to_next(&mut self) -> bool {
        self.parser.proceed_next_document().unwrap_or(false)
    }

    fn next_event(&mut self) -> Result<(Event<'a>, Span), Abandoned> {
        note_steps(1);
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let start = span.start.byte_offset().unwrap_or(0);
                let end = span.end.byte_offset().unwrap_or(start);
                self.offset = self.offset.max(end);
                let shape_only = self.dialect == Dialect::Foreign && has_shape_tag(&event);
                if event.tag().is_some() && !shape_only {
                    let tag = span.tag_span().and_then(|tag| tag.byte_range());
                    let place = tag.map_or(Span::new(start, end), |t| Span::new(t.start, t.end));
                    self.report_finding(place, |file| forbidden_yaml::report_tag(file, place));
                }

                Ok((event, self.trim_span(start, end)))
            }
            Some(Err(error)) => {
                self.report_syntax(&error);
                Err(Abandoned)
            }
            None => Err(Abandoned),
        }
    }

    /// Block scalars and collections end after their line break; a person's place ends before it.
    fn trim_span(&self, start: usize, end: usize) -> Span {
        let text = self.file.text().get(start..end).unwrap_or("");
        Span::new(start, start + text.trim_end().len())
    }

    fn report_syntax(&mut self, error: &ScanError) {
        let text = self.file.text();
        let at = text.floor_char_boundary(
            error
                .marker()
                .byte_offset()
                .unwrap_or(self.offset)
                .min(text.len()),
        );

        self.offset = self.offset.max(at);
        // The end of the text is no line of it: what is missing there is missing after the last
        // character.
        let at = if at == text.len() {
            text.trim_end().len().saturating_sub(1)
        } else {
            at
        };

        let place = Span::new(
            text.floor_char_boundary(at),
            text.ceil_char_boundary(at + 1),
        );
        self.findings.push(match error.kind() {
            ErrorKind::RecursionLimitExceeded => {
                limit_exceeded::report_depth(self.file, place, self.limits)
            }
            _ => yaml_syntax::report_syntax(self.file, place, &error.info()),
        });
    }

    fn read_node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Abandoned> {
        self.depth += 1;
        if self.depth > self.limits.yaml_depth {
            self.findings
                .push(limit_exceeded::report_depth(self.file, span, self.limits));
            return Err(Abandoned);
        }

        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = matches!(style, ScalarStyle::Plain) && tag.is_none();
                (
                    Node {
                        span,
                        value: NodeValue::Scalar {
                            text: text.into(),
                            plain,
                        },
                    },
                    anchor,
                )
            }
            Event::SequenceStart(_, anchor, _) => (self.read_sequence(span)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.read_mapping(span)?, anchor),
            Event::Alias(id) => (self.read_alias(id, span)?, 0),
            _ => {
                self.findings.push(yaml_syntax::report_syntax(
                    self.file,
                    span,
                    "a value was expected here",
                ));
                return Err(Abandoned);
            }
        };

        self.depth -= 1;
        if anchor > 0 {
            self.keep_anchor(anchor, &node);
        }

        Ok(node)
    }

    /// Keeps what an anchor stands for, if an alias will be that.
    fn keep_anchor(&mut self, anchor: usize, node: &Node) {
        if is_short_scalar(node) {
            let size = Size {
                nodes: 1,
                bytes: SHORT_SCALAR,
            };

            self.anchors.insert(
                anchor,
                Anchored::Node {
                    node: node.clone(),
                    size,
                },
            );
            return;
        }

        let is_named = match &self.expand {
            Expand::These { anchors, .. } => self.expands && anchors.contains(&anchor),
            Expand::Nothing => false,
        };

        if !is_named {
            return;
        }

        // Once the budget is spent no tree is measured again, however deep anchors are nested.
        if !self.kept.passes_limits(self.limits) {
            let size = Size::size_of(node, self.limits);
            self.kept = self.kept.add_size(size);
            if !self.kept.passes_limits(self.limits) {
                self.anchors.insert(
                    anchor,
                    Anchored::Node {
                        node: node.clone(),
                        size,
                    },
                );
                return;
            }
        }

        self.anchors.insert(anchor, Anchored::TooLarge);
    }

    fn read_sequence(&mut self, open: Span) -> Result<Node, Abandoned> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next_event()?;
            if matches!(event, Event::SequenceEnd) {
                let end = self.collection_end(open, span, items.last().map(|n| n.span));
                return Ok(Node {
                    span: end,
                    value: NodeValue::Seq(items),
                });
            }

            items.push(self.read_node(event, span)?);
        }
    }

    fn read_mapping(&mut self, open: Span) -> Result<Node, Abandoned> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut seen = Keys::default();
        let mut merged: Vec<Node> = Vec::new();

        loop {
            let (event, span) = self.next_event()?;
            if matches!(event, Event::MappingEnd) {
                self.merge_entries(merged, &mut entries, &mut seen);
                let end = self.collection_end(open, span, entries.last().map(|(_, v)| v.span));
                return Ok(Node {
                    span: end,
                    value: NodeValue::Map(entries),
                });
            }

            let key = self.read_node(event, span)?;
            let (event, span) = self.next_event()?;
            let value = self.read_node(event, span)?;
            if self.dialect == Dialect::Foreign && is_merge_key(&key) {
                merged.push(value);
            } else if self.accept_key(&key, &entries, &mut seen) {
                entries.push((key, value));
            }
        }
    }

    /// Adds the entries of `<<`: a mapping or a list of them. A key that is there already stays as
    /// it is.
    fn merge_entries(
        &mut self,
        merged: Vec<Node>,
        entries: &mut Vec<(Node, Node)>,
        seen: &mut Keys,
    ) {
        for node in merged {
            let span = node.span;
            let maps = match node.value {
                NodeValue::Seq(items) => items,
                _ => vec![node],
            };

            for map in maps {
                let NodeValue::Map(more) = map.value else {
                    self.report_finding(span, |file| forbidden_yaml::merge_key(file, span));
                    return;
                };

                for (key, value) in more {
                    if key
                        .text()
                        .is_some_and(|text| seen.first_use(text, key.span, entries).is_none())
                    {
                        entries.push((key, value));
                    }
                }
            }
        }
    }

    fn accept_key(&mut self, key: &Node, entries: &[(Node, Node)], seen: &mut Keys) -> bool {
        let place = key.span;
        let NodeValue::Scalar { text, .. } = &key.value else {
            self.report_finding(place, |file| forbidden_yaml::complex_key(file, place));
            return false;
        };

        if is_merge_key(key) {
            self.report_finding(place, |file| forbidden_yaml::merge_key(file, place));
            return false;
        }

        if self.dialect == Dialect::Ours && is_null(key) {
            self.report_finding(place, |file| forbidden_yaml::null_key(file, place));
            return false;
        }

        let Some(first) = seen.first_use(text, place, entries) else {
            return true;
        };

        self.report_finding(place, |file| {
            duplicate_key::report_key(file, place, text, first)
        });
        false
    }

    /// Adds a finding, as long as the file has not too many.
    fn report_finding(&mut self, place: Span, finding: impl FnOnce(&SourceFile) -> Finding) {
        self.reported += 1;
        if self.reported <= self.limits.findings_per_file {
            self.findings.push(finding(self.file));
        } else if self.reported == self.limits.findings_per_file + 1 {
            self.findings.push(limit_exceeded::report_findings(
                self.file,
                place,
                self.limits,
            ));
        }
    }

    /// A block collection's end event is an empty place on a later line: end at its last item
    /// instead.
    fn collection_end(&self, open: Span, close: Span, last: Option<Span>) -> Span {
        let flow_end = (close.end > close.start).then_some(close.end);
        let end = flow_end
            .or(last.map(|l| l.end))
            .unwrap_or(open.end)
            .max(open.start);
        Span {
            start: open.start,
            end,
        }
    }

    fn read_alias(&mut self, id: usize, span: Span) -> Result<Node, Abandoned> {
        let kept = self.anchors.get(&id);
        if let Some(Anchored::Node { node, .. }) = kept
            && is_short_scalar(node)
        {
            return Ok(node.clone());
        }

        if !self.expands {
            self.has_aliases = true;
            self.aliased.insert(id);
            return Ok(Node {
                span,
                value: NodeValue::Scalar {
                    text: "".into(),
                    plain: false,
                },
            });
        }

        match kept {
            Some(Anchored::Node { node, size }) => {
                self.expanded = self.expanded.add_size(*size);
                if !self.expanded.passes_limits(self.limits) {
                    return Ok(node.clone());
                }
            }
            Some(Anchored::TooLarge) => {}
            None => {
                self.findings.push(yaml_syntax::report_syntax(
                    self.file,
                    span,
                    "this alias refers to the node it stands in",
                ));
                return Err(Abandoned);
            }
        }

        if !self.alias_limit_said {
            self.alias_limit_said = true;
            self.findings
                .push(limit_exceeded::report_aliases(self.file, span, self.limits));
        }

        Err(Abandoned)
    }
}

fn is_short_scalar(node: &Node) -> bool {
    node.text().is_some_and(|text| text.len() <= SHORT_SCALAR)
}

/// The keys of a mapping so far: a look at each while there are few, as there are in every honest
/// document; a set when there are many.
#[derive(Default)]
struct Keys(FxHashMap<Box<str>, Span>);

impl Keys {
    /// Where a key of that text stands already; if nowhere, it is taken note of.
    fn first_use(&mut self, text: &str, place: Span, entries: &[(Node, Node)]) -> Option<Span> {
        const FEW: usize = 16;
        note_steps(1);
        if entries.len() < FEW {
            return entries
                .iter()
                .find(|(key, _)| key.text() == Some(text))
                .map(|(key, _)| key.span);
        }

        if self.0.is_empty() {
            self.0.extend(
                entries
                    .iter()
                    .filter_map(|(key, _)| Some((key.text()?.into(), key.span))),
            );
        }

        let first = self.0.get(text).copied();
        if first.is_none() {
            self.0.insert(text.into(), place);
        }

        first
    }
}

fn null_at(span: Span) -> Node {
    Node {
        span,
        value: NodeValue::Scalar {
            text: "".into(),
            plain: true,
        },
    }
}

fn is_null(key: &Node) -> bool {
    matches!(&key.value, NodeValue::Scalar { text, plain: true } if scalar::is_null(text))
}

fn is_merge_key(key: &Node) -> bool {
    matches!(&key.value, NodeValue::Scalar { text, plain: true } if **text == *"<<")
}

/// A tag that adds nothing to the node's shape, or that makes a scalar text.
fn has_shape_tag(event: &Event<'_>) -> bool {
    event.tag().is_some_and(|tag| match event {
        Event::Scalar(..) => tag.is_yaml_core_schema_tag("str"),
        Event::SequenceStart(..) => tag.is_yaml_core_schema_tag("seq"),
        Event::MappingStart(..) => tag.is_yaml_core_schema_tag("map"),
        _ => false,
    })
}
