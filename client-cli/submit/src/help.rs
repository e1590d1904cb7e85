//! What `--help` and the man pages say below the options.

pub(crate) const PROGRAM: &str = "\
Examples:
  marram-submit
      Asks for everything, the link too.
  marram-submit --proxy socks5://127.0.0.1:9050
      The same through Tor, which must be running: the network you are in does not see whom you write to.
  marram-submit check
      Whether your report was read, and what was answered. Asks for the twelve words.
  marram-submit add
      To add something to an earlier report. Asks for the twelve words.
  marram-submit report --help
      What can be given in files instead of being asked.

Files:
  None. There is no configuration and no history. What is written without being asked for is the sealed report, in a file without a name that is gone when the program ends.

Environment:
  TMPDIR
      The folder whose disk holds that file, instead of /tmp.
  LC_ALL, LC_MESSAGES, LANG
      Your language, unless --language says it.
  ALL_PROXY, HTTPS_PROXY, HTTP_PROXY
      Never followed and never passed over: if one is set, --proxy has to say which way to go.
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE
      Whether to use colours, unless --color says so.

Exit status:
  0
      Done: the report has arrived, and the server's receipt is valid; with --only-seal, it is sealed. Or you chose to stop, and nothing was sent.
  1
      Failed: standard error says what was wrong, and what to do next.
  2
      Wrong usage.
  128 + n
      Stopped by signal n; 130 is Ctrl-C. Nothing is left on this computer.
";

pub(crate) const REPORT: &str = "\
Examples:
  marram-submit report
      Asks for everything.
  marram-submit report LINK --incident report.json --attach summons.pdf
      Asks nothing, and prints the codename.
  marram-submit report LINK --incident report.json --codename-fd 3 3>codename
      The codename goes into a file instead of onto the screen.
  marram-submit report LINK --incident report.json --only-seal report.age
      Seals, to be sent from another computer within the week. With --charter and --manifest it needs no network.
";

pub(crate) const CHECK: &str = "\
Examples:
  marram-submit check
      Asks for the link and the twelve words. What you type is not shown.
  marram-submit check --proxy socks5://127.0.0.1:9050
      The same through Tor.
  marram-submit check LINK --codename-fd 3 3<codename
      Takes the words from a file.

Exit status:
  0
      The board was read, or there is none, or it is out of date: what is printed says which.
  1
      Failed, or the board cannot be trusted: standard error says what was wrong, and what to do next.
  2
      Wrong usage.
  128 + n
      Stopped by signal n; 130 is Ctrl-C.
";

pub(crate) const ADD: &str = "\
Examples:
  marram-submit add
      Asks for everything.
  marram-submit add LINK --incident more.json --codename-fd 3 3<codename
      Asks nothing.
";

pub(crate) const SEND: &str = "\
Examples:
  marram-submit send report.age LINK
      Sends what was sealed this week.
  marram-submit send report.age LINK --epoch 2968
      Sends what was sealed last week. The server takes it until two days after that week has ended.
";

pub(crate) const MANUAL: &str = "\
Examples:
  sudo marram-submit manual /usr/local/share
      For everybody on this computer.
  marram-submit manual ~/.local/share
      For yourself. zsh does not look there by itself. Whoever finds the files knows that the program was here.
";
