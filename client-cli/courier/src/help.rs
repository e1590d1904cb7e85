//! What `--help` and the man pages say below the options.

pub(crate) const PROGRAM: &str = "\
Examples:
  marram-courier key
      Once: makes the key, and prints the line that a keyholder puts into the organization's settings.
  marram-courier pull --link 'https://h.example/#f277…0112' --out bundle-1.tar
      The first time.
  marram-courier pull --out bundle-2.tar
      Every few days; then carry the bundle to the caseworkers.
  marram-courier publish batch-2026-11-23/*.manifest
      Each month: what the keyholders have signed, onto the server.
  marram-courier publish /media/stick/outbox
      What the caseworkers have ordered, onto the server.
  marram-courier canary --proxy socks5://127.0.0.1:9050
      Now and then: a report of your own, to see whether it arrives.
  marram-courier audit --proxy socks5://127.0.0.1:9050
      Now and then: is the page that visitors get the one that was signed?

Files:
  ~/.local/share/marram/courier/courier.key
      The key, in a plain file. It fetches ciphertext and opens none of it. If it is stolen, tell the keyholders.
  ~/.local/share/marram/courier/state.json
      The organization's link, and how far bundles have come.
  ~/.local/share/marram/courier/charter.json, manifests, leaves, checkpoint, orders
      What the server has shown so far. Keep them: they are the proof if it shows something else one day.
  ~/.local/share/marram/courier/evidence
      Checkpoints that contradict each other. Copies go to the keyholders.
  ~/.local/share/marram/courier/canaries, carried
      Receipts of canaries: those for the next bundle, and those that a bundle has carried.
  ~/.local/share/marram/courier/watch.json
      How the last round of marram-courier watch went.
  ~/.local/share/marram/courier/spool
      Ciphertext of a bundle that is not finished. The next pull goes on from there, and empties it.

Environment:
  XDG_DATA_HOME
      The folder in which marram/courier lies, instead of ~/.local/share.
  ALL_PROXY, HTTPS_PROXY, HTTP_PROXY
      Never followed and never passed over: if one is set, --proxy has to say which way to go.
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE
      Whether to use colours, unless --color says so.
";

pub(crate) const PULL: &str = "\
Examples:
  marram-courier pull --link 'https://h.example/#f277…0112' --out bundle-1.tar
      The first time: the link is remembered.
  marram-courier pull --out /media/stick/bundle-2.tar
      What is new since then, straight onto a stick.
  marram-courier pull --all --out everything.tar
      For a new caseworker, or after a bundle was lost. Compares the log entry by entry with what was seen before.

Exit status:
  0
      The bundle is written, and the server contradicts nothing that was seen before.
  1
      Failed; or the bundle is written, and the server contradicts itself: standard error says which, and what to do next.
  2
      Wrong usage.
  128 + n
      Stopped by signal n; 130 is Ctrl-C. No bundle is written; what came so far is kept for the next pull.
";

pub(crate) const PUBLISH: &str = "\
Examples:
  marram-courier publish --link 'https://h.example/#f277…0112' charter.json batch-2026-11-23/*.manifest
      When the server is new.
  marram-courier publish batch-2026-12-21/*.manifest
      The next month, when the keyholders have finished signing.
  marram-courier publish /media/stick/outbox
      Orders, and whatever else lies there, from the caseworkers' stick.
";

pub(crate) const CANARY: &str = "\
Examples:
  marram-courier canary --proxy socks5://127.0.0.1:9050
      One, through Tor: the server must not see that it comes from the courier.
  marram-courier canary --count 3 --proxy socks5://127.0.0.1:9050
      Three, over different connections.

Exit status:
  0
      Every one has a valid receipt.
  1
      At least one has none: the server has dropped it before the log, or was not reached. Standard error names it.
";

pub(crate) const AUDIT: &str = "\
Examples:
  marram-courier audit --proxy socks5://127.0.0.1:9050
      Now and then, through Tor: the server must not see that it is the courier who looks.
  marram-courier audit --json
      For a monitor.

Exit status:
  0
      Charter, manifest and page are as they were signed.
  1
      At least one differs, or the server was not reached. Standard error says which, and what to do next.
";

pub(crate) const WATCH: &str = "\
Examples:
  marram-courier watch --into bundles --notify 'mail -s round a@h.example' --notify 'mail -s round b@h.example'
      Every six hours. Each recipient gets the same message after each round, and looks into the folder.
  marram-courier watch --into bundles --every 1d --jitter 2h
      Once a day, within two hours, and nobody is told.
  marram-courier watch --once --into bundles --notify ./tell
      One round, from cron or a systemd timer, which brings the schedule.

Environment:
  Commands have the environment and the folder of marram-courier itself; nothing in it changes from round to round.

Exit status:
  0
      With --once: the pull was good, and every notification was delivered.
  1
      With --once: the pull failed, or the server contradicts itself, or a notification was not delivered.
  2
      Wrong usage.
  128 + n
      Stopped by signal n; 130 is Ctrl-C, 143 is what systemd sends. What came so far is kept for the next pull.
";

pub(crate) const MANUAL: &str = "\
Examples:
  sudo marram-courier manual /usr/local/share
      For everybody on this computer.
  marram-courier manual ~/.local/share
      For yourself. zsh does not look there by itself.
";
