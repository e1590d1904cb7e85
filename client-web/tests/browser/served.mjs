// A server on this machine that counts what it is asked for. It passes everything on to a real Marram server, the page too; or it
// shows the page and speaks for an organization of organization.mjs.
import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";

export const PAGE = new URL("../../dist/page.html", import.meta.url);

/** Starts one; `answer` is `{ origin }` of a real server, or an object of handlers by path. Gives origin, what was asked, and close. */
export async function serve(answer) {
  const asked = [];
  const server = createServer((incoming, outgoing) => {
    const { pathname } = new URL(incoming.url, "http://x");
    asked.push(`${incoming.method} ${pathname}`);
    const common = { "Access-Control-Allow-Origin": "*", "Cache-Control": "no-store" };
    if (answer.origin !== undefined) {
      const passed = request(`${answer.origin}${incoming.url}`, { method: incoming.method, headers: incoming.headers }, (from) => {
        outgoing.writeHead(from.statusCode, from.headers);
        from.pipe(outgoing);
      });
      passed.on("error", () => outgoing.destroy());
      incoming.pipe(passed);
    } else if (pathname === "/") {
      outgoing.writeHead(200, { ...common, "Content-Type": "text/html; charset=utf-8" }).end(readFileSync(PAGE));
    } else {
      if (incoming.method === "OPTIONS") {
        outgoing
          .writeHead(204, { ...common, "Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "content-type" })
          .end();
        return;
      }
      const parts = [];
      incoming.on("data", (part) => parts.push(part));
      incoming.on("end", async () => {
        const handler = answer[pathname];
        const { status = 200, body = "", type = "text/plain; charset=utf-8", cut = false } = (await handler?.(Buffer.concat(parts))) ?? { status: 404 };
        if (cut) incoming.socket.destroy();
        else outgoing.writeHead(status, { ...common, "Content-Type": type }).end(body);
      });
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}

/** The handlers of an organization. What was sent stands in `sent`. */
export function handlersOf(organization, more = {}) {
  const sent = [];
  return {
    sent,
    handlers: {
      "/v1/organization": () => ({ body: organization.file, type: "application/json" }),
      "/v1/reports": (body) => {
        sent.push(body);
        return { status: 201, body: organization.receipt(body) };
      },
      ...more,
    },
  };
}
