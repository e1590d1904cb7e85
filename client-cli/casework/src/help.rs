//! What `--help` and the man pages say below the options.

pub(crate) const PROGRAM: &str = "\
Examples:
  marram-casework enrol --charter charter.json --out heron.enrolment
      Once; then carry the file to the keyholders, and read its digits to each.
  marram-casework import bundle-1.tar
      Whenever a courier brings one.
  marram-casework list
      What is in the casebook.
  marram-casework show 3
      One report.
  marram-casework extract 3 --to report-3
      Its attachments, to look at on a computer made for that.
  marram-casework destroy-epoch 2968
      When the week is over and its last bundle imported.

Files:
  ~/.local/share/marram/casework/identity.age
      Your keys and the key of the casebook, wrapped by your passphrase. Back it up together with the casebook.
  ~/.local/share/marram/casework/casebook
      Reports, attachments, charter, manifests, log: encrypted.
  ~/.local/share/marram/casework/epochs
      A small file for each epoch, with the keys that open its reports. Never back it up: what is destroyed here must be gone everywhere.

Environment:
  XDG_DATA_HOME
      The folder in which marram/casework lies, instead of ~/.local/share.
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE
      Whether to use colours, unless --color says so.
";

pub(crate) const ENROL: &str = "\
Examples:
  marram-casework enrol --charter charter.json --out heron.enrolment
      Asks whether the charter's digits are the right ones, and for a passphrase.
";

pub(crate) const RENEW: &str = "\
Examples:
  marram-casework renew --out heron.enrolment
      Half a year more, from where the last keys end.
  marram-casework renew --again --out heron.enrolment
      Only the file, if it was lost.
";

pub(crate) const IMPORT: &str = "\
Examples:
  marram-casework import /media/stick/bundle-1.tar /media/stick/bundle-2.tar
      Two bundles, in the order in which the courier made them.

Exit status:
  0
      Everything is imported, and nothing in it is suspicious.
  1
      Failed; or everything is imported, and something shows that somebody attacks: standard error names it.
  2
      Wrong usage.
  128 + n
      Stopped by signal n; 130 is Ctrl-C. The reports that were finished are kept: import the bundle again.
";

pub(crate) const SHOW: &str = "\
Examples:
  marram-casework show 3
      The report with number 3 in the list.
  marram-casework show 3 --json
      All of it, for another program.
";

pub(crate) const EXTRACT: &str = "\
Examples:
  marram-casework extract 3 --to report-3
      Writes report-3/01-… and so on: a number, then what is harmless of the name that was sent.
";

pub(crate) const DESTROY_EPOCH: &str = "\
Examples:
  marram-casework destroy-epoch 2968
      Says what becomes unreadable, and asks for the number once more.
";

pub(crate) const MANUAL: &str = "\
Examples:
  sudo marram-casework manual /usr/local/share
      For everybody on this computer.
  marram-casework manual ~/.local/share
      For yourself. zsh does not look there by itself.
";
