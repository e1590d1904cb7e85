//! Text that a stranger wrote, made safe to print, and cut to the width of a terminal.
//!
//! A report may hold escape sequences that repaint the screen or retype commands, and bidirectional controls that make
//! `exe.gpj` read as `jpg.exe`. Everything that is not seen is shown as `‹U+202E›`; letters of every script stay as they
//! are. Of the format characters only ZWNJ and ZWJ stay, between letters, where Persian, Uyghur and the Indic
//! scripts need them.

use std::fmt::Write as _;

use textwrap::{WordSeparator, WordSplitter, core::Word};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// What [`visible`] shows at most, in characters of the source.
pub const VISIBLE_CHARS: usize = 4096;

/// What [`visible_lines`] shows at most, in characters of the source.
pub const VISIBLE_LINES_CHARS: usize = 1 << 20;

/// One line of foreign text, shortened to [`VISIBLE_CHARS`]. Line ends and tabs are made visible too.
pub fn visible(text: &str) -> String {
    reveal(text, VISIBLE_CHARS, |_| false)
}

/// Foreign text of several lines, shortened to [`VISIBLE_LINES_CHARS`]; newlines and tabs stay.
pub fn visible_lines(text: &str) -> String {
    reveal(&text.replace("\r\n", "\n"), VISIBLE_LINES_CHARS, |c| {
        c == '\n' || c == '\t'
    })
}

/// Several lines of our own catalogue, which sets dates and file names apart in right-to-left texts: isolates stay where
/// every one is closed within its line. The rest is as [`visible_lines`] has it, since what somebody typed may stand in a
/// sentence of ours. Never for a stranger's text alone.
pub fn own_lines(text: &str) -> String {
    let paired = text.lines().all(isolates_close);
    reveal(text, VISIBLE_LINES_CHARS, |c| {
        c == '\n' || c == '\t' || (paired && matches!(c, '\u{2066}'..='\u{2069}'))
    })
}

fn isolates_close(line: &str) -> bool {
    let open = line.chars().try_fold(0_usize, |open, c| match c {
        '\u{2066}'..='\u{2068}' => Some(open + 1),
        '\u{2069}' => open.checked_sub(1),
        _ => Some(open),
    });
    open == Some(0)
}

/// Whether a character would not be seen, or would change how its neighbours are seen.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'    // C0, DEL, C1: escape sequences
        | '\u{ad}'                                  // soft hyphen
        | '\u{34f}' | '\u{61c}'                     // grapheme joiner, Arabic letter mark
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'    // Hangul fillers: letters that are blank
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'                   // zero width, left-to-right and right-to-left marks
        | '\u{2028}'..='\u{202e}'                   // line and paragraph separators, embeddings, overrides
        | '\u{2060}'..='\u{206f}'                   // word joiner, isolates, deprecated format characters
        | '\u{fdd0}'..='\u{fdef}'                   // never characters
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')                // tags: a whole invisible alphabet
        // Private use: what it shows is up to the font. Variation selectors are judged by their neighbour instead.
        || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

fn reveal(text: &str, max_chars: usize, keep: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len().min(max_chars));
    let mut before = None;
    let mut chars = text.chars().peekable();
    for _ in 0..max_chars {
        let Some(c) = chars.next() else { return shown };
        let joins = matches!(c, '\u{200c}' | '\u{200d}')
            && before.is_some_and(needs_joiners)
            // After a joiner a letter follows; at the end of a word it would be an invisible difference.
            && chars.peek().copied().is_some_and(needs_joiners);
        if keep(c) || joins || !is_hidden(c) {
            shown.push(c);
        } else {
            let _ = write!(shown, "‹U+{:04X}›", u32::from(c));
        }
        before = Some(c);
    }
    let rest = chars.count();
    if rest > 0 {
        let _ = write!(shown, "… ({rest} more characters)");
    }
    shown
}

/// Scripts whose spelling uses ZWNJ and ZWJ: Arabic and Syriac to N'Ko, the Indic scripts, Tibetan to Mongolian, and
/// the emoji that are joined from several.
fn needs_joiners(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1780}'..='\u{18af}'
        | '\u{fb50}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
        | '\u{fe0f}' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
        && !is_hidden(c)
}

/// Columns that a text takes on a terminal: two for most Chinese letters, none for vowel signs and joiners.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text, or as much of it as fits `max` columns with `…` at its end. Never cuts between a letter and its marks.
pub fn truncate(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for letter in text.graphemes(true) {
        used += width(letter);
        if used + 1 > max {
            break;
        }
        cut.push_str(letter);
    }
    if max > 0 {
        cut.push('…');
    }
    cut
}

/// Breaks a text into lines of at most `columns`, each after `indent` spaces; existing line ends stay. Chinese and
/// Tibetan, which have no spaces, break by UAX 14. Keys, paths and options stay whole where a line can hold them.
/// Does not make anything visible.
pub fn wrap(text: &str, columns: usize, indent: usize) -> String {
    wrap_hanging(text, columns, indent, indent)
}

/// As [`wrap`], with another indent for the first line.
pub(crate) fn wrap_hanging(text: &str, columns: usize, first: usize, rest: usize) -> String {
    let (initial, subsequent) = (" ".repeat(first), " ".repeat(rest));
    let options = textwrap::Options::new(columns.max(first.max(rest) + 8))
        .initial_indent(&initial)
        .subsequent_indent(&subsequent)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    let lines = textwrap::wrap(text, options);
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// The parts of a line: what stands between spaces, and within that what UAX 14 parts, but for its chances inside what is
/// written in ASCII. It would break after a `/` of a path or of a key in base64, and whoever copies or compares that
/// needs it whole.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    Box::new(WordSeparator::AsciiSpace.find_words(line).flat_map(|spaced| {
        let (text, mut start, mut end) = (spaced.word, 0, 0);
        let mut parts = Vec::new();
        for part in WordSeparator::UnicodeBreakProperties.find_words(text) {
            let inside_ascii =
                text[..end].ends_with(|c: char| c.is_ascii()) && part.word.starts_with(|c: char| c.is_ascii());
            if !inside_ascii && end > start {
                parts.push(Word::from(&text[start..end]));
                start = end;
            }
            end += part.word.len() + part.whitespace.len();
        }
        parts.push(Word {
            whitespace: spaced.whitespace,
            ..Word::from(&text[start..])
        });
        parts
    }))
}

/// Whether a text holds letters that run from right to left (Hebrew, Arabic, Uyghur, Syriac, Thaana, N'Ko, …).
pub fn is_right_to_left(text: &str) -> bool {
    text.chars().any(|c| {
        matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    })
}

/// Puts right-to-left text between FSI and PDI, so that it cannot reorder what stands beside it on the line. Other
/// text stays as it is. Both marks have no width.
pub fn isolate(text: &str) -> String {
    if is_right_to_left(text) {
        format!("\u{2068}{text}\u{2069}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bidi_controls_are_seen() {
        for control in [
            "\u{202a}", "\u{202b}", "\u{202c}", "\u{202d}", "\u{202e}", "\u{2066}", "\u{2069}", "\u{200e}", "\u{200f}",
            "\u{61c}",
        ] {
            let shown = visible(&format!("photo{control}gpj.exe"));
            assert!(shown.starts_with("photo‹U+") && shown.ends_with("›gpj.exe"), "{shown}");
            assert!(!shown.contains(control));
        }
    }

    #[test]
    fn our_own_isolates_stay_if_they_are_closed_and_nothing_else_does() {
        let date = "التاريخ: \u{2066}2021-11~\u{2069}.";
        assert_eq!(own_lines(date), date);
        assert_eq!(visible_lines(date), "التاريخ: ‹U+2066›2021-11~‹U+2069›.");
        for left_open in [
            "\u{2066}2021",
            "2021\u{2069}",
            "\u{2069}2021\u{2066}",
            "\u{2067}a\nb\u{2069}",
        ] {
            assert_eq!(own_lines(left_open), visible_lines(left_open));
        }
        assert_eq!(
            own_lines("\u{2066}\u{202e}\u{1b}[2J\u{2069}"),
            "\u{2066}‹U+202E›‹U+001B›[2J\u{2069}"
        );
    }

    #[test]
    fn escape_sequences_are_harmless() {
        assert_eq!(visible("\u{1b}[2J\u{9b}31m\u{7}"), "‹U+001B›[2J‹U+009B›31m‹U+0007›");
        assert_eq!(visible_lines("a\r\nb\u{1b}]0;x\u{7}\tc"), "a\nb‹U+001B›]0;x‹U+0007›\tc");
        assert_eq!(visible("a\nb"), "a‹U+000A›b");
    }

    #[test]
    fn persian_keeps_its_joiners_and_latin_does_not_hide_any() {
        assert_eq!(visible("می‌خواهم"), "می‌خواهم");
        assert_eq!(visible("pay\u{200c}pal"), "pay‹U+200C›pal");
        assert_eq!(visible("می\u{200c}"), "می‹U+200C›");
        assert_eq!(visible("\u{200d}\u{200d}\u{200d}"), "‹U+200D›‹U+200D›‹U+200D›");
        assert_eq!(visible("ئۇيغۇر བོད་ཡིག 维吾尔 👨‍👩‍👧"), "ئۇيغۇر བོད་ཡིག 维吾尔 👨‍👩‍👧");
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let shown = visible(&"x".repeat(VISIBLE_CHARS + 7));
        assert!(shown.ends_with("x… (7 more characters)"));
    }

    #[test]
    fn a_cut_goes_between_letters_and_counts_columns() {
        assert_eq!(truncate("维吾尔族人", 7), "维吾尔…");
        assert_eq!(truncate("维吾尔族人", 6), "维吾…");
        assert_eq!(truncate("བོད", 3), "བོད");
        assert_eq!(truncate("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(truncate("abc", 0), "");
    }

    #[test]
    fn chinese_and_long_words_wrap() {
        let wrapped = wrap("他们打电话给我的父母,说如果我继续发言,他们就会失去工作。", 20, 2);
        assert!(
            wrapped.lines().count() > 2 && wrapped.lines().all(|line| line.starts_with("  ") && width(line) <= 20),
            "{wrapped}"
        );
        assert!(wrap(&"x".repeat(100), 20, 0).lines().all(|line| width(line) <= 20));
        assert_eq!(wrap("a\n\nb", 20, 2), "  a\n\n  b");
    }

    #[test]
    fn what_is_copied_or_compared_stays_whole() {
        let key = "plzTuxvhF7y5SwDMrMwbY7Dne/CGRiZai9n4J9TMWjk=";
        assert_eq!(
            wrap(&format!("the key changes to {key}"), 50, 0),
            format!("the key changes to\n{key}")
        );
        assert_eq!(
            wrap("the folder /usr/lib and --no-color", 16, 0),
            "the folder\n/usr/lib and\n--no-color"
        );
        // What no line can hold is broken all the same.
        assert!(wrap(key, 20, 0).lines().all(|line| width(line) <= 20));
    }

    #[test]
    fn right_to_left_text_is_isolated() {
        assert_eq!(isolate("ئۇيغۇر"), "\u{2068}ئۇيغۇر\u{2069}");
        assert_eq!(isolate("Uyghur"), "Uyghur");
        assert_eq!(width(&isolate("شكرا")), width("شكرا"));
    }
}
