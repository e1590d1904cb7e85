//! What `--help` and the man pages say below the options.

pub(crate) const PROGRAM: &str = "\
Examples:
  marram-server init --data /var/lib/marram --charter charter.json
      Makes a server. You compare the charter's digits with a keyholder.
  marram-server run --config /var/lib/marram/marram-server.toml
      Runs it. Put a reverse proxy with TLS, or an onion service, before it.

Files:
  marram-server.toml
      The configuration, with a comment on every setting. `init` writes it into the data folder.
  log.key
      In the data folder: signs receipts. Whoever has it can promise in this server's name; nothing can be opened with it.
  store
      In the data folder: every sealed report, and the record of them. Back up the whole data folder, while the server is stopped.

Environment:
  None is read: what the server does stands in its configuration.

Exit status:
  0
      Done; of run: stopped by a signal, with everything safe on the disk.
  1
      Failed: standard error says what was wrong, and what to do next.
  2
      Wrong usage.
  128 + n
      Ended at once, by a second signal n; 130 is Ctrl-C.
";

pub(crate) const INIT: &str = "\
Examples:
  marram-server init --data /var/lib/marram --charter charter.json
      Shows the digits of the charter, and asks whether they are the right ones.
  marram-server init --data /var/lib/marram --charter charter.json --fingerprint 'https://h.example/#f277…0112'
      Asks nothing: the link that a keyholder gave you says it.
";

pub(crate) const RUN: &str = "\
Examples:
  marram-server run --config /var/lib/marram/marram-server.toml
      As the user to whom the data folder belongs.

Signals:
  SIGTERM, SIGINT (Ctrl-C)
      No new connections; uploads under way get `stop_timeout_s` to finish.
      A second one ends at once: what was acknowledged is safe all the same.
  SIGHUP
      Nothing. The configuration is read at the start only: restart to change it.
";

pub(crate) const CHECK_CONFIG: &str = "\
Examples:
  marram-server check-config --config /var/lib/marram/marram-server.toml
      After each change, before the restart.
";

pub(crate) const PAGE: &str = "\
Examples:
  marram-server page
      Its SHA-256, as `sha256sum` prints it of the file that ./client-web/build makes.
  marram-server page --out page.html
      The page itself, for keyholders: marram-keyholder issue --page page.html
";

pub(crate) const MANUAL: &str = "\
Examples:
  sudo marram-server manual /usr/local/share
      For everybody on this machine.
";
