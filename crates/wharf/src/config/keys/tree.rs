//! The tables as a tree, to walk beside a configuration.

use super::{Class, Kind};

/// One key of the tree, and those below it.
#[derive(Debug)]
pub(in crate::config) struct Node {
    /// The key's own name, as it is documented; of a map's key: `<…>`.
    pub(in crate::config) name: &'static str,
    /// What its value must look like.
    pub(in crate::config) kind: Kind,
    /// What becomes of it.
    pub(in crate::config) class: Class,
    /// The keys below it.
    pub(in crate::config) children: Vec<Node>,
}

/// What a key of a file is, below a node.
#[derive(Debug)]
pub(in crate::config) enum Child<'a> {
    /// A key with a name.
    Named(&'a Node),
    /// A key of a map, whose name is the file's own.
    OfMap(&'a Node),
}

impl Node {
    fn new(name: &'static str) -> Self {
        Self { name, kind: Kind::Block, class: Class::Inner, children: Vec::new() }
    }

    /// The child that a key of a file means; its case does not matter.
    pub(in crate::config) fn child(&self, key: &str) -> Option<Child<'_>> {
        let named = self.children.iter().find(|child| child.name.eq_ignore_ascii_case(key)).map(Child::Named);
        named.or_else(|| self.children.iter().find(|child| child.name.starts_with('<')).map(Child::OfMap))
    }

    /// The names of the children that have one.
    pub(in crate::config) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.children.iter().map(|child| child.name).filter(|name| !name.starts_with('<'))
    }

    fn insert(&mut self, path: &'static str, kind: Kind, class: Class) {
        let mut node = self;
        for part in path.split('.') {
            let name = part.trim_end_matches("[]");
            let place = node.children.iter().position(|child| child.name == name).unwrap_or_else(|| {
                node.children.push(Self::new(name));
                node.children.len() - 1
            });
            node = &mut node.children[place];
        }
        node.kind = kind;
        node.class = class;
    }
}

/// The whole tree.
pub(in crate::config) fn schema() -> Node {
    let mut root = Node::new("");
    for key in super::all() {
        root.insert(key.path, key.kind, key.class);
    }
    root
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_key_stands_twice_in_the_tables() {
        let mut seen = BTreeSet::new();
        for key in super::super::all() {
            assert!(seen.insert(key.path.to_ascii_lowercase()), "{}", key.path);
        }
    }

    #[test]
    fn every_key_has_a_class() {
        fn look(node: &Node, path: &str, class: Class) {
            let class = if node.class == Class::Inner { class } else { node.class };
            let path = format!("{path}.{}", node.name);
            assert!(!node.children.is_empty() || class != Class::Inner, "{path} has no class");
            node.children.iter().for_each(|child| look(child, &path, class));
        }
        look(&schema(), "", Class::Inner);
    }

    #[test]
    fn only_blocks_have_keys_below() {
        fn look(node: &Node) {
            let block = matches!(node.kind, Kind::Block | Kind::Blocks | Kind::Driver);
            assert!(block || node.children.is_empty(), "{}", node.name);
            node.children.iter().for_each(look);
        }
        look(&schema());
    }

    #[test]
    fn every_key_is_documented() {
        let document = include_str!("../../../../../docs/CONFIGURATION.md");
        let missing: Vec<_> =
            super::super::all().map(|key| key.path).filter(|path| !document.contains(&format!("`{path}`"))).collect();
        assert!(missing.is_empty(), "not in docs/CONFIGURATION.md: {missing:#?}");
    }
}
