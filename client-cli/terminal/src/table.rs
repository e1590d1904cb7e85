//! Tables that fit the terminal: one line per row, columns aligned by display width, whatever the script.

use crate::text;

/// Between two columns.
const GAP: &str = "  ";

/// No column is cut below this many display columns.
const NARROWEST: usize = 6;

/// A table. Cells are foreign text: they are made visible, and cut with `…` when the table is wider than the terminal.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone)]
struct Column {
    heading: String,
    right: bool,
    keep: bool,
}

impl Table {
    /// An empty table with these headings.
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        let column = |heading: &str| Column {
            heading: heading.to_owned(),
            right: false,
            keep: false,
        };
        Self {
            columns: headings.into_iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// Aligns a column (from 0) to the right, as numbers want.
    #[must_use]
    pub fn right(mut self, column: usize) -> Self {
        if let Some(column) = self.columns.get_mut(column) {
            column.right = true;
        }
        self
    }

    /// Never cuts a column (from 0): for what is typed again, such as a case's number.
    #[must_use]
    pub fn keep(mut self, column: usize) -> Self {
        if let Some(column) = self.columns.get_mut(column) {
            column.keep = true;
        }
        self
    }

    /// Adds a row. Missing cells are empty, cells too many are dropped.
    pub fn row<I: IntoIterator<Item: Into<String>>>(&mut self, cells: I) {
        let mut row: Vec<String> = cells
            .into_iter()
            .take(self.columns.len())
            .map(|c| text::visible(&c.into()))
            .collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines of the table, each at most `width` columns (unless columns that are kept need more). `isolate` puts
    /// right-to-left cells between direction isolates, which terminals want and files do not.
    pub fn render(&self, width: usize, isolate: bool) -> String {
        let headings: Vec<String> = self.columns.iter().map(|column| column.heading.clone()).collect();
        let widths = self.widths(width);
        let mut lines = self.line(&headings, &widths, false);
        for row in &self.rows {
            lines.push_str(&self.line(row, &widths, isolate));
        }
        lines
    }

    fn line(&self, cells: &[String], widths: &[usize], isolate: bool) -> String {
        let mut line = String::new();
        for (index, ((cell, column), &width)) in cells.iter().zip(&self.columns).zip(widths).enumerate() {
            let cut = text::truncate(cell, width);
            let fill = " ".repeat(width.saturating_sub(text::width(&cut)));
            // The isolate closes before the fill, so that the fill stays on its side.
            let cut = if isolate { text::isolate(&cut) } else { cut };
            line.push_str(if index > 0 { GAP } else { "" });
            line.push_str(&if column.right { fill + &cut } else { cut + &fill });
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }

    /// Takes from the widest column first, so that narrow ones stay whole.
    fn widths(&self, total: usize) -> Vec<usize> {
        let widest = |index: usize, column: &Column| {
            let cells = self
                .rows
                .iter()
                .filter_map(|row| row.get(index))
                .map(|cell| text::width(cell));
            cells.chain([text::width(&column.heading)]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| widest(i, column))
            .collect();
        let gaps = GAP.len() * self.columns.len().saturating_sub(1);
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(total);
        while over > 0 {
            let cuttable = widths
                .iter_mut()
                .zip(&self.columns)
                .filter(|(width, column)| !column.keep && **width > NARROWEST);
            let Some((width, _)) = cuttable.max_by_key(|(width, _)| **width) else {
                break;
            };
            *width -= 1;
            over -= 1;
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases() -> Table {
        let mut table = Table::new(["case", "name", "what", "days"]).right(3).keep(0);
        table.row([
            "2026-041",
            "阿卜杜拉·热合曼",
            "公安打电话给父母,要求儿子停止在海外的活动,否则父亲将失去退休金和住房",
            "3",
        ]);
        table.row([
            "2026-042",
            "عبد الرحمن",
            "اتصلت الشرطة بالعائلة وهددت باعتقال الأخ الأصغر إذا استمر في الكلام علنا",
            "12",
        ]);
        table.row(["2026-043", "Dolkar", "visited at home", "120"]);
        table
    }

    /// The column at which each line's last cell ends.
    fn ends(rendered: &str) -> Vec<usize> {
        rendered.lines().map(text::width).collect()
    }

    #[test]
    fn chinese_and_arabic_fit_and_stay_aligned() {
        for isolate in [false, true] {
            let rendered = cases().render(80, isolate);
            assert_eq!(ends(&rendered), [80, 80, 80, 80], "{rendered}");
            assert!(rendered.contains('…'));
            assert!(rendered.contains("阿卜杜拉·热合曼") && rendered.contains("عبد الرحمن"));
        }
    }

    #[test]
    fn only_right_to_left_cells_are_isolated_and_only_on_terminals() {
        let rendered = cases().render(80, true);
        let isolated: Vec<bool> = rendered.lines().map(|line| line.contains('\u{2068}')).collect();
        assert_eq!(isolated, [false, false, true, false]);
        assert_eq!(
            rendered.matches('\u{2068}').count(),
            rendered.matches('\u{2069}').count()
        );
        assert!(!cases().render(80, false).contains('\u{2068}'));
    }

    #[test]
    fn tibetan_and_uyghur_fit_and_no_letter_loses_its_signs() {
        let mut table = Table::new(["case", "name", "what"]).keep(0);
        let words = "ཉེན་རྟོག་པས་ངའི་ཨ་མར་ཁ་པར་བཏང་ནས་ང་མ་སྐད་ཆ་ཤོད་མ་བཅུག";
        table.row(["1", "བསྟན་འཛིན", words]);
        table.row([
            "2",
            "ئابدۇۋەلى",
            "ساقچىلار ئانامغا تېلېفون قىلىپ، گەپ قىلماسلىقىمنى تەلەپ قىلدى",
        ]);
        for width in [80, 60, 40] {
            let rendered = table.render(width, true);
            assert!(ends(&rendered).iter().all(|end| *end <= width), "{rendered}");
            let cut = rendered.lines().nth(1).unwrap().rsplit("  ").next().unwrap();
            let letters = cut.trim_end_matches('…');
            assert!(words.starts_with(letters), "{cut}");
            // What was cut off begins with a letter, not with a sign that belongs to the one before.
            let rest = &words[letters.len()..];
            assert!(text::width(rest) == text::width(words) - text::width(letters), "{cut}");
            assert!(
                !rest.starts_with(|c: char| matches!(c, '\u{f71}'..='\u{f84}' | '\u{f8d}'..='\u{fbc}')),
                "{cut}"
            );
        }
    }

    #[test]
    fn a_narrow_terminal_keeps_what_is_typed_again() {
        let rendered = cases().render(40, false);
        assert!(ends(&rendered).iter().all(|end| *end <= 40), "{rendered}");
        assert!(rendered.contains("2026-041") && rendered.contains("2026-043"));
    }

    #[test]
    fn a_cell_cannot_break_its_row() {
        let mut table = Table::new(["a", "b"]);
        table.row(["x\ny\u{202e}", "\u{1b}[2J", "one too many"]);
        table.row(["alone"]);
        assert_eq!(
            table.render(80, true),
            "a                   b\nx‹U+000A›y‹U+202E›  ‹U+001B›[2J\nalone\n"
        );
    }

    #[test]
    fn a_short_table_is_not_stretched() {
        let mut table = Table::new(["name", "days"]).right(1);
        table.row(["a", "7"]);
        assert_eq!(table.render(80, false), "name  days\na        7\n");
    }
}
