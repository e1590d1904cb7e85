// typage at the command line: `seal RECIPIENT…` and `open IDENTITY` from standard input to standard output.
import { Decrypter, Encrypter } from "age-encryption";

const [action, ...keys] = process.argv.slice(2);
const input = await new Response(process.stdin).bytes?.() ?? Buffer.concat(await Array.fromAsync(process.stdin));

if (action === "seal") {
  const encrypter = new Encrypter();
  for (const key of keys) encrypter.addRecipient(key);
  process.stdout.write(await encrypter.encrypt(input));
} else if (action === "open") {
  const decrypter = new Decrypter();
  for (const key of keys) decrypter.addIdentity(key);
  process.stdout.write(await decrypter.decrypt(input));
} else {
  process.stderr.write("usage: typage.mjs seal RECIPIENT… | open IDENTITY\n");
  process.exit(2);
}
