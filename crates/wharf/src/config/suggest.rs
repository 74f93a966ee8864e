//! The word that was probably meant.

/// The candidate nearest to a word, where one is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let begins = |word: &str, other: &str| {
        word.len() >= 3 && other.len() >= 3 && (other.starts_with(word) || word.starts_with(other))
    };
    best(word, candidates, begins)
}

/// The candidate that a word is a slip of the pen of.
pub(crate) fn slip<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    best(word, candidates, |_, _| false)
}

/// The candidate with the fewest changes, among those with few enough and those that are `also` near.
fn best<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
    also: impl Fn(&str, &str) -> bool,
) -> Option<&'a str> {
    let word = plain(word);
    let near = |candidate: &'a str| {
        let other = plain(candidate);
        let allowed = (word.len().max(other.len()) / 4).clamp(1, 3);
        let distance = distance(&word, &other);
        (distance <= allowed || also(&word, &other)).then_some((distance, candidate))
    };
    candidates.filter_map(near).min().map(|(_, candidate)| candidate)
}

/// Whether two words differ in case and separators at most.
pub(crate) fn same(left: &str, right: &str) -> bool {
    plain(left) == plain(right)
}

/// A word without its case and its separators.
fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Least number of characters to add, remove, change, or swap with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let change = row[j] + usize::from(a != b);
            let mut best = change.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_recognised() {
        let keys = ["rootDirectory", "gc", "gcDelay", "gcInterval", "redirectBlobURL", "dedupe"];
        let nearest = |word| nearest(word, keys.into_iter());
        assert_eq!(nearest("rootdir"), Some("rootDirectory"));
        assert_eq!(nearest("root_directory"), Some("rootDirectory"));
        assert_eq!(nearest("gcDealy"), Some("gcDelay"));
        assert_eq!(nearest("dedup"), Some("dedupe"));
        assert_eq!(nearest("redirectBlobUrls"), Some("redirectBlobURL"));
        assert_eq!(nearest("color"), None);
        assert_eq!(nearest("x"), None);
    }

    #[test]
    fn the_beginning_of_a_word_is_no_slip() {
        assert_eq!(slip("credentialsFile", ["credentials"].into_iter()), None);
        assert_eq!(slip("acceskey", ["accesskey", "secretkey"].into_iter()), Some("accesskey"));
    }

    #[test]
    fn a_swap_is_one_step() {
        assert_eq!(distance("prot", "port"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
