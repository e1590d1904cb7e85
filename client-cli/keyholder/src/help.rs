//! What `--help` and the man pages say below the options.

pub(crate) const PROGRAM: &str = "\
Examples:
  marram-keyholder key --name amber
      Each keyholder, once.
  marram-keyholder found
      One keyholder, in the folder with everybody's .root files.
  marram-keyholder sign charter.json
      Each of the others.
  marram-keyholder vet heron.enrolment --name heron
      Each keyholder, when a caseworker joins.
  marram-keyholder issue
      One keyholder, each month; then another: marram-keyholder sign batch-2026-11-23

Files:
  ~/.local/share/marram/keyholder/keyholder.age
      All that you keep, wrapped by your passphrase: root key, charter, your own list of caseworkers, and what you have signed. Back it up after each signing, and lock the copy away.
  NAME.root
      The public half of a keyholder's root key.
  charter.json
      Who the organization is. Public.
  organization.toml
      What the organization decides, for the manifests.
  batch-DATE, revoke-DATE
      Folders of manifests on their way from keyholder to keyholder. Until the last signature they also tell who reads, and are for keyholders' eyes only.

Environment:
  XDG_DATA_HOME
      The folder in which marram/keyholder lies, instead of ~/.local/share.
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE
      Whether to use colours, unless --color says so.
";

pub(crate) const KEY: &str = "\
Examples:
  marram-keyholder key --name amber
      Makes the key, and writes amber.root into this folder.
  marram-keyholder key --name amber --out /media/stick
      Writes amber.root again, onto a stick.
";

pub(crate) const FOUND: &str = "\
Examples:
  marram-keyholder found
      Asks for everything, and writes charter.json into this folder.
  marram-keyholder found amber.root birch.root cedar.root --threshold 2
      These keyholders, of whom two must sign.
";

pub(crate) const SIGN: &str = "\
Examples:
  marram-keyholder sign charter.json
      At the founding.
  marram-keyholder sign batch-2026-11-23
      Each month.
";

pub(crate) const VET: &str = "\
Examples:
  marram-keyholder vet heron.enrolment --name heron
      The first time: compares digits.
  marram-keyholder vet heron.enrolment
      Half a year later, with new keys of the same caseworker: nothing to compare.
";

pub(crate) const ISSUE: &str = "\
Examples:
  marram-keyholder issue
      The next four weeks that you have not signed.
  marram-keyholder issue --page client-web/dist/page.html
      The same, and the server may show this page. Put its SHA-256 into page_hashes of the settings, too, so that the next months name it.
  marram-keyholder issue --epochs 1
      Only the next.
  marram-keyholder issue --from 2968
      From that week on, with new versions where you have signed already: when somebody was vetted or the settings have changed since.
";

pub(crate) const REVOKE: &str = "\
Examples:
  marram-keyholder revoke heron
      Writes a folder such as revoke-2026-11-24, which the next keyholder signs like a batch: marram-keyholder sign revoke-2026-11-24
";

pub(crate) const MANUAL: &str = "\
Examples:
  sudo marram-keyholder manual /usr/local/share
      For everybody on this computer.
  marram-keyholder manual ~/.local/share
      For yourself. zsh does not look there by itself.
";
