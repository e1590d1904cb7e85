// A real organization: founded with the offline programs, with a real server that runs until it is stopped. The programs
// are those that MARRAM_PROGRAMS names, or of a debug build.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { PAGE } from "./served.mjs";

const project = fileURLToPath(new URL("../../..", import.meta.url));
const programs = process.env.MARRAM_PROGRAMS ?? join(project, "target/debug");
const PASSPHRASE = "dune-grass-holds-7-sands";

export async function foundReal(settings = (toml) => toml) {
  const folder = mkdtempSync(join(tmpdir(), "marram-page-"));
  for (const name of ["stick", "keyholders", "caseworkers"]) mkdirSync(join(folder, name));
  const run = (program, ...args) => execFileSync(join(programs, program), args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  // The passphrase is handed over by a file descriptor: never by an argument.
  const locked = (program, home, ...args) =>
    execFileSync(
      "bash",
      ["-c", 'exec "$@" 3<<<"$PASSPHRASE"', "run", join(programs, program), "--home", home, "--passphrase-fd", "3", ...args],
      { cwd: folder, encoding: "utf8", env: { ...process.env, PASSPHRASE }, stdio: ["ignore", "pipe", "pipe"] },
    );
  const keyholder = (who, ...args) => locked("marram-keyholder", `keyholders/${who}`, ...args);
  const casework = (...args) => locked("marram-casework", "caseworkers/lan", ...args);
  const courier = (...args) => run("marram-courier", "--home", "courier", ...args);

  const digits = {};
  for (const who of ["ana", "bek"]) {
    digits[who] = JSON.parse(keyholder(who, "--json", "key", "--name", who, "--out", "stick")).digits;
  }
  keyholder("ana", "found", "stick/ana.root", "stick/bek.root", "--name", "Dune Grass Aid", "--contact", "demo@example.org", "--threshold", "2", "--digits", digits.bek, "--out", "stick/charter.json", "--yes");
  keyholder("bek", "sign", "stick/charter.json", "--digits", digits.ana, "--yes");
  const fingerprint = /"fingerprint":\s*"([0-9a-f]{64})"/.exec(keyholder("ana", "--json", "status"))[1];
  const enrolled = JSON.parse(casework("--json", "enrol", "--charter", "stick/charter.json", "--fingerprint", fingerprint, "--out", "stick/lan.enrolment"));
  for (const who of ["ana", "bek"]) keyholder(who, "vet", "stick/lan.enrolment", "--name", "lan", "--digits", enrolled.digits);
  const logKey = /^log key: (.*)$/m.exec(run("marram-server", "init", "--data", "server", "--charter", "stick/charter.json", "--fingerprint", fingerprint))[1];
  const courierKey = JSON.parse(courier("--json", "key")).courier;
  const toml = readFileSync(join(project, "deploy/organization.toml"), "utf8").replace("LOG-KEY", logKey).replace("COURIER-KEY", courierKey);
  writeFileSync(join(folder, "stick/organization.toml"), settings(toml));
  keyholder("ana", "issue", "--settings", "stick/organization.toml", "--charter", "stick/charter.json", "--epochs", "2", "--page", fileURLToPath(PAGE), "--out", "stick/batch", "--yes");
  keyholder("bek", "sign", "stick/batch", "--yes");

  const config = join(folder, "server/marram-server.toml");
  writeFileSync(config, readFileSync(config, "utf8").replace(/^listen = .*/m, 'listen = "127.0.0.1:0"').replace(/^health_listen = .*/m, 'health_listen = "127.0.0.1:0"'));
  const server = spawn(join(programs, "marram-server"), ["run", "--config", "server/marram-server.toml"], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  const address = await new Promise((resolve, reject) => {
    let log = "";
    server.stderr.on("data", (data) => {
      log += data;
      const found = /listen="([^"]+)"/.exec(log);
      if (found) resolve(found[1]);
    });
    server.on("exit", () => reject(new Error(`the server did not start:\n${log}`)));
  });
  const origin = `http://${address}`;
  const link = `${origin}/#${fingerprint}`;
  const manifests = readdirSync(join(folder, "stick/batch")).filter((name) => name.endsWith(".manifest"));
  courier("publish", "--link", link, "stick/charter.json", ...manifests.map((name) => `stick/batch/${name}`));

  let bundles = 0;
  return {
    folder,
    run,
    origin,
    fingerprint,
    casework,
    manifests: manifests.sort().map((name) => join(folder, "stick/batch", name)),
    /** Carries what arrived to the caseworker, and gives the list of reports. */
    carry() {
      const bundle = `stick/bundle-${++bundles}.tar`;
      courier("pull", "--link", link, "--quiet", "--out", bundle);
      casework("--quiet", "import", bundle);
      return JSON.parse(casework("--json", "list"));
    },
    /** Answers a report; the caseworker's board with the answer is carried to the server. */
    answer(id, text) {
      writeFileSync(join(folder, "stick/answer.txt"), text);
      casework("--quiet", "reply", String(id), "--text", "stick/answer.txt");
      casework("--quiet", "board", "--out", "stick/outbox");
      courier("publish", "--link", link, "stick/outbox");
    },
    stop() {
      server.kill();
      rmSync(folder, { recursive: true });
    },
  };
}
