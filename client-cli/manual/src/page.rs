//! The man page of a program, and one for each of its commands.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use crate::{
    Section,
    sections::{self, Part},
};

/// Every program of Marram, for "see also".
const PROGRAMS: [(&str, Section); 5] = [
    ("marram-casework", Section::Commands),
    ("marram-courier", Section::Commands),
    ("marram-keyholder", Section::Commands),
    ("marram-submit", Section::Commands),
    ("marram-server", Section::Administration),
];

/// What the programs return, unless a command has a heading of its own for it.
const EXIT_STATUS: &str = "\
Exit status:
  0
      Done.
  1
      Failed: standard error says what was wrong, and what to do next.
  2
      Wrong usage.
  128 + n
      Stopped by signal n; 130 is Ctrl-C.
";

/// The pages of a program, each with the name of its file.
pub(crate) fn all(program: &Command, section: Section) -> Vec<(String, Vec<u8>)> {
    // The command `help` needs no page.
    let mut program = program.clone().disable_help_subcommand(true);
    program.build();
    let mut pages = vec![page(&program, &program, section)];
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        pages.push(page(&program, command, section));
    }
    pages
}

fn page(program: &Command, command: &Command, section: Section) -> (String, Vec<u8>) {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = write(&mut text, program, command, section);
    (format!("{}.{}", name(command), section.number()), ascii(&text))
}

fn write(page: &mut Vec<u8>, program: &Command, command: &Command, section: Section) -> io::Result<()> {
    // clap_mangen's own title drops an empty date, and each field after it would stand in the place of the one before.
    let title = name(command).to_uppercase();
    let version = program.get_version().unwrap_or_default();
    let number = section.number();
    writeln!(page, ".TH {title} {number} \"\" \"Marram {version}\" \"Marram\"")?;
    // Left-aligned and not hyphenated: names of programs and files stay whole.
    writeln!(page, ".ad l\n.nh")?;
    let man = Man::new(as_page(command)).section(number);
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    description(command).to_writer(page)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(page)?;
    }
    man.render_options_section(page)?;

    let more = command.get_after_long_help().or_else(|| command.get_after_help());
    let more = sections::parts(&more.map(ToString::to_string).unwrap_or_default());
    let mut roff = Roff::default();
    set(&mut roff, &more);
    let exit_status = sections::parts(EXIT_STATUS);
    if !more.contains(&exit_status[0]) {
        set(&mut roff, &exit_status);
    }
    see_also(&mut roff, program, command, section);
    roff.to_writer(page)
}

/// The command with what `clap_mangen` would say less well said otherwise.
fn as_page(command: &Command) -> Command {
    // Its synopsis leaves the values of options out; the one of --help has them.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    command
        .clone()
        .override_usage(usage)
        .subcommand_help_heading("COMMANDS")
        // It would put them among the options.
        .mut_args(|argument| {
            if argument.is_positional() {
                argument.help_heading("Arguments")
            } else {
                argument
            }
        })
}

/// The long description, with what stands between backticks in bold. Its first paragraph is the short one, which
/// stands above already; alone it is repeated, so that the section is not empty.
fn description(command: &Command) -> Roff {
    let text = |about: Option<&clap::builder::StyledStr>| about.map(ToString::to_string).unwrap_or_default();
    let (short, long) = (text(command.get_about()), text(command.get_long_about()));
    let mut paragraphs: Vec<&str> = long.split("\n\n").skip(1).collect();
    let sentence = format!("{}.", short.trim_end_matches('.'));
    if paragraphs.is_empty() {
        paragraphs.push(&sentence);
    }
    let mut roff = Roff::default();
    roff.control("SH", ["DESCRIPTION"]);
    for (index, paragraph) in paragraphs.into_iter().enumerate() {
        if index > 0 {
            roff.control("PP", []);
        }
        let words = paragraph.replace('\n', " ");
        let spans = words.split('`').enumerate();
        let set = |(index, span)| if index % 2 == 1 { bold(span) } else { roman(span) };
        roff.text(spans.map(set).collect::<Vec<_>>());
    }
    roff
}

fn set(roff: &mut Roff, parts: &[Part]) {
    let mut first = false;
    for part in parts {
        match part {
            Part::Heading(heading) => {
                roff.control("SH", [heading.to_uppercase().as_str()]);
            }
            Part::Item(item, what) if what.is_empty() => {
                if !first {
                    roff.control("PP", []);
                }
                roff.text([roman(item.as_str())]);
            }
            Part::Item(item, what) => {
                roff.control("TP", []);
                roff.text([bold(item.as_str())]);
                roff.text([roman(what.as_str())]);
            }
        }
        first = matches!(part, Part::Heading(_));
    }
}

/// A command's page points at its program's, and a program's at the other programs'.
fn see_also(roff: &mut Roff, program: &Command, command: &Command, section: Section) {
    let own = name(program);
    let others: Vec<(&str, Section)> = if name(command) == own {
        PROGRAMS.into_iter().filter(|(name, _)| *name != own).collect()
    } else {
        vec![(own, section)]
    };
    roff.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for (index, (name, section)) in others.iter().enumerate() {
        line.push(roman(if index > 0 { ", " } else { "" }));
        line.push(bold(*name));
        line.push(roman(format!("({})", section.number())));
    }
    roff.text(line);
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The page with every other letter as an escape: not every groff guesses that a page is UTF-8.
fn ascii(page: &[u8]) -> Vec<u8> {
    let mut escaped = String::with_capacity(page.len());
    for c in String::from_utf8_lossy(page).chars() {
        if c.is_ascii() {
            escaped.push(c);
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "\\[u{:04X}]", u32::from(c));
        }
    }
    escaped.into_bytes()
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn sample() -> Command {
        Command::new("marram-sample")
            .version("1.2.3")
            .about("Does one thing")
            .long_about("Does one thing\n\nIt does it well; see `marram-sample do`.")
            .subcommand(
                Command::new("do")
                    .about("Do it – now")
                    .arg(Arg::new("what").value_name("WHAT").help("What to do"))
                    .after_long_help(sections::sections("Exit status:\n  7\n      Lucky.\n.so /etc/passwd\n")),
            )
            .subcommand(Command::new("secret").hide(true))
    }

    fn page_of(name: &str) -> String {
        let page = all(&sample(), Section::Administration)
            .into_iter()
            .find(|page| page.0 == name);
        String::from_utf8(page.unwrap().1).unwrap()
    }

    #[test]
    fn every_command_that_is_not_hidden_has_a_page() {
        let names: Vec<String> = all(&sample(), Section::Administration)
            .into_iter()
            .map(|page| page.0)
            .collect();
        assert_eq!(names, ["marram-sample.8", "marram-sample-do.8"]);
    }

    #[test]
    fn a_page_has_the_sections_that_people_look_for() {
        let page = page_of("marram-sample.8");
        for heading in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "COMMANDS",
            "OPTIONS",
            "\"EXIT STATUS\"",
            "\"SEE ALSO\"",
        ] {
            assert_eq!(
                page.matches(&format!(".SH {heading}\n")).count(),
                1,
                "{heading}: {page}"
            );
        }
        assert!(page.starts_with(".TH MARRAM-SAMPLE 8 \"\" \"Marram 1.2.3\" \"Marram\"\n"));
        assert!(page.contains("see \\fBmarram\\-sample do\\fR."), "{page}");
        assert!(!page.contains("secret"));
    }

    #[test]
    fn what_a_command_says_of_its_exit_status_stands_alone() {
        let page = page_of("marram-sample-do.8");
        assert!(page.contains("Lucky.") && !page.contains("Wrong usage."), "{page}");
        assert!(page.contains("Do it \\[u2013] now."), "{page}");
        assert!(page.contains(".SH ARGUMENTS\n"), "{page}");
    }

    #[test]
    fn text_cannot_become_a_request() {
        assert!(
            !page_of("marram-sample-do.8")
                .lines()
                .any(|line| line.starts_with(".so"))
        );
    }
}
