//! Patterns of repository names.

use globset::{GlobBuilder, GlobMatcher};
use wharf_oci::RepositoryName;

/// A pattern: `*` and `?` within a component, `**` for any number of them, `{a,b}`, `[a-z]`. `team/**` is `team` as well.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    matcher: GlobMatcher,
    /// What `/**` at the end also matches.
    stem: Option<GlobMatcher>,
}

impl Glob {
    /// Compiles a pattern. Names are lower case, so that the case of a pattern does not count.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let compile = |text: &str| {
            let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
        };
        let text = text.to_ascii_lowercase();
        let stem = text.strip_suffix("/**").filter(|stem| !stem.is_empty()).map(compile).transpose()?;
        Ok(Self { matcher: compile(&text)?, stem, text })
    }

    /// The pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches a name.
    #[must_use]
    pub fn matches(&self, name: &RepositoryName) -> bool {
        let name = name.as_str();
        self.matcher.is_match(name) || self.stem.as_ref().is_some_and(|stem| stem.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_component() {
        for (glob, name, matches) in [
            ("**", "a", true),
            ("**", "a/b/c", true),
            ("*", "a", true),
            ("*", "a/b", false),
            ("team/*", "team/web", true),
            ("team/*", "team/web/api", false),
            ("team/**", "team/web/api", true),
            ("team/**", "team", true),
            ("team/**", "teams", false),
            ("team/**", "other/team/web", false),
            ("**/web", "a/b/web", true),
            ("**/web", "web", true),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("v?", "v1", true),
            ("v?", "v12", false),
            ("{dev,qa}/*", "qa/x", true),
            ("{dev,qa}/*", "prod/x", false),
            ("r[0-9]", "r7", true),
            ("r[!0-9]", "r7", false),
            ("Team/**", "team/web", true),
            ("team.web", "teamxweb", false),
        ] {
            let compiled = Glob::new(glob).unwrap();
            assert_eq!(compiled.matches(&name.parse().unwrap()), matches, "{glob} {name}");
        }
    }

    #[test]
    fn what_does_not_compile_is_refused() {
        for bad in ["[", "{a,b", "a[z-a]"] {
            assert!(Glob::new(bad).is_err(), "{bad}");
        }
    }
}
