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
  marram-casework alarms
      What is missing, contradicted or late.
  marram-casework reply 3 --text answer.txt
      An answer for the next board.
  marram-casework board --out OUTBOX
      The next board, for the courier.
  marram-casework destroy-epoch 2968
      When the week is over, its last bundle imported, and every alarm of it acknowledged.

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

pub(crate) const ALARMS: &str = "\
Examples:
  marram-casework alarms
      Those that nobody has acknowledged.
  marram-casework alarms --all --json
      All there ever were, for another program.
";

pub(crate) const ACKNOWLEDGE: &str = "\
Examples:
  marram-casework acknowledge 4 --comment 'Heron deleted it as abuse; I saw it on her screen'
      One alarm.
  marram-casework acknowledge 5-12 14 --comment 'The operator restored a backup of Monday; all were sent again'
      Several that have one reason.
";

pub(crate) const REPLY: &str = "\
Examples:
  marram-casework reply 3
      Asks for the text.
  marram-casework reply 3 --text answer.txt
      From a file of plain text, 32,192 bytes at most.
";

pub(crate) const BOARD: &str = "\
Examples:
  marram-casework board --out /media/stick/outbox
      A file for each shard. An older board that lies there and was not handed in is replaced.
";

pub(crate) const ORDER: &str = "\
Examples:
  marram-casework order delete 3 --out /media/stick/outbox
      Destroys report 3 on the server, seven days after it came.
  marram-casework order co-sign /media/stick/outbox/0f….order
      A colleague's order takes effect at once.
";

pub(crate) const RECEIPT: &str = "\
Examples:
  marram-casework receipt receipt.txt
      Somebody has kept the receipt of a report, and asks what became of it.

Exit status:
  0
      It was opened, or is noise, or is not covered by an imported checkpoint yet.
  1
      The receipt proves nothing; or the server has broken its promise.
";

pub(crate) const STANDING: &str = "\
Examples:
  marram-casework standing --out heron.standing
      Carry it to a colleague. It holds no report and no key.
";

pub(crate) const COMPARE: &str = "\
Examples:
  marram-casework compare heron.standing
      Names a fork, and what the colleague has opened and I have not.
  marram-casework compare --begin heron.standing
      For a newcomer: import a bundle first, whose leaves then wait; with this they are joined to the colleague's.
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
