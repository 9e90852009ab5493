// Answers on their way: kept in the browser until the server has them. In order, each exactly once (the server knows every
// answer by its UUID, so a repeat changes nothing), across reloads, crashes, lost connections and ended sessions, and with one
// sender among all tabs.

import { ApiError, post } from "./api.js";

const NAME = "dabench-outbox";
const WAIT_MS = [500, 1000, 2000, 4000, 8000, 15000, 30000];
const LEASE_MS = 25000;   // of the stand-in for Web Locks; longer than one request may take

function request(asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

async function indexed() {
  const asked = indexedDB.open(NAME, 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("items", { keyPath: "seq", autoIncrement: true });
  const database = await Promise.race([
    request(asked), new Promise((_, reject) => setTimeout(() => reject(new Error("no answer")), 3000)),
  ]);
  const run = (mode, work) => new Promise((resolve, reject) => {
    const step = database.transaction("items", mode, { durability: "strict" });
    const asked_ = work(step.objectStore("items"));
    step.oncomplete = () => resolve(asked_.result);
    step.onabort = () => reject(step.error);
    step.onerror = () => reject(step.error);
  });
  return {
    kind: "indexeddb",
    all: () => run("readonly", (store) => store.getAll()),
    add: async (item) => ({ ...item, seq: await run("readwrite", (store) => store.add(item)) }),
    put: (item) => run("readwrite", (store) => store.put(item)),
    remove: (seq) => run("readwrite", (store) => store.delete(seq)),
  };
}

function simple(kind, read, write) {
  return {
    kind,
    all: async () => read(),
    add: async (item) => {
      const items = read();
      const added = { ...item, seq: Math.max(Date.now(), (items.at(-1)?.seq ?? 0) + 1) };
      write([...items, added]);
      return added;
    },
    put: async (item) => write(read().map((old) => (old.seq === item.seq ? item : old))),
    remove: async (seq) => write(read().filter((old) => old.seq !== seq)),
  };
}

function local() {
  const read = () => JSON.parse(localStorage.getItem(NAME) ?? "[]");
  localStorage.setItem(`${NAME}-try`, "1");
  localStorage.removeItem(`${NAME}-try`);
  read();
  return simple("localstorage", read, (items) => localStorage.setItem(NAME, JSON.stringify(items)));
}

function memory() {
  let items = [];
  return simple("memory", () => items, (next) => { items = next; });
}

export async function openStore() {
  try { return await indexed(); } catch { /* private window, blocked, or absent */ }
  try { return local(); } catch { /* full or disabled */ }
  return memory();
}

// One sender among the tabs of this browser. Web Locks where the page is secure (https, loopback), else a lease.
async function alone(work) {
  if (navigator.locks) {
    return navigator.locks.request(NAME, { ifAvailable: true }, (lock) => (lock ? work(() => {}) : false));
  }
  const key = `${NAME}-lease`;
  const me = Math.random().toString(36).slice(2);
  const mine = () => { try { localStorage.setItem(key, JSON.stringify([me, Date.now() + LEASE_MS])); } catch { /* no other tab sees us */ } };
  try {
    const [who, until] = JSON.parse(localStorage.getItem(key) ?? "[null,0]");
    if (who && who !== me && until > Date.now()) return false;
    mine();
    await new Promise((resolve) => setTimeout(resolve, 30));
    if (JSON.parse(localStorage.getItem(key) ?? "[null,0]")[0] !== me) return false;
  } catch { /* storage is off: the server's UUID check is the guard */ }
  try {
    return await work(mine);
  } finally {
    try { localStorage.removeItem(key); } catch { /* nothing to free */ }
  }
}

export class Outbox {
  // told(event): {type: 'state'} | {type: 'sent', item, receipt} | {type: 'refused', item, error}.
  constructor(store, alias, told) {
    this.store = store;
    this.alias = alias;
    this.told = told;
    this.items = [];        // of this person, oldest first; item: {seq, alias, uuid, path, body, task, kind, refused}
    this.gone = new Set();  // UUIDs that are sent or dropped; a read of the store may still show them
    this.others = 0;        // kept for other people who used this browser
    this.trouble = "";      // '', 'offline', 'busy', 'signed-out'
    this.unkept = store.kind === "memory";
    this.tries = 0;
    this.adding = Promise.resolve();
    this.channel = typeof BroadcastChannel === "function" ? new BroadcastChannel(NAME) : null;
    if (this.channel) this.channel.onmessage = ({ data }) => this.#heard(data);
    window.addEventListener("online", () => this.wake());
    window.addEventListener("offline", () => { if (this.pending.length) this.#trouble("offline"); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.wake(); });
  }

  get pending() { return this.items.filter((item) => !item.refused); }

  get refused() { return this.items.filter((item) => item.refused); }

  async load() {
    const all = await this.store.all();
    this.items = all.filter((item) => item.alias === this.alias);
    this.others = all.length - this.items.length;
    this.told({ type: "state" });
  }

  // Keeps the item, then sends when its turn comes. Resolves once it is kept.
  add(item) {
    const full = { ...item, alias: this.alias, refused: "" };
    this.items.push(full);
    this.told({ type: "state" });
    this.adding = this.adding.then(async () => {
      try {
        full.seq = (await this.store.add({ ...full })).seq;
      } catch {
        // The store is full or gone: go on in memory, and say so.
        this.unkept = true;
        full.seq ??= -(Date.now() + Math.random());
        this.told({ type: "state" });
      }
      this.channel?.postMessage({ type: "changed", alias: this.alias });
      this.wake();
    });
    return this.adding;
  }

  async forget(item) {
    await this.#leave(item);
    this.channel?.postMessage({ type: "changed", alias: this.alias });
    this.told({ type: "state" });
  }

  // Gives refused items another try, in their old order.
  async again() {
    for (const item of this.refused) {
      item.refused = "";
      try { await this.store.put({ ...item }); } catch { /* memory only */ }
    }
    this.told({ type: "state" });
    this.wake();
  }

  wake() {
    clearTimeout(this.timer);
    this.tries = Math.min(this.tries, 2);
    return this.#drain();
  }

  // Resolves when everything is sent or something is in the way.
  async settled() {
    const end = performance.now() + 10000;
    this.wake();
    while (this.pending.length && !this.trouble && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 25));
  }

  async #drain() {
    if (this.busy) { this.more = true; return; }
    this.busy = true;
    try {
      do {
        this.more = false;
        const held = await alone((stay) => this.#send(stay));
        if (held === false) this.timer = setTimeout(() => this.wake(), 400);   // another tab sends
      } while (this.more);
    } finally {
      this.busy = false;
    }
  }

  async #send(stay) {
    await this.#refresh();
    for (let item = this.pending[0]; item; item = this.pending[0]) {
      if (item.seq === undefined) { await this.adding; item = this.pending.find((other) => other.uuid === item.uuid) ?? item; }
      stay();
      let receipt;
      try {
        receipt = await post(item.path, item.body);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.kind === "refused" || error.kind === "forbidden") {
          item.refused = `${error.message} ${error.hint}`.trim();
          try { await this.store.put({ ...item }); } catch { /* memory only */ }
          this.told({ type: "refused", item, error });
          this.told({ type: "state" });
          continue;
        }
        this.#trouble(error.kind);
        if (error.retry) {
          const wait = Math.max(error.retryAfter * 1000, WAIT_MS[Math.min(this.tries++, WAIT_MS.length - 1)]);
          clearTimeout(this.timer);
          this.timer = setTimeout(() => this.#drain(), wait * (0.8 + 0.4 * Math.random()));
        }
        return true;
      }
      this.tries = 0;
      this.trouble = "";
      const left = this.#leave(item);
      this.told({ type: "sent", item, receipt });
      await left;
      this.told({ type: "state" });
      this.channel?.postMessage({ type: "sent", alias: this.alias, item, receipt });
    }
    return true;
  }

  // What other tabs added or sent meanwhile. Own items that are being stored, or left, while the store is read stay right.
  async #refresh() {
    let all;
    let adding;
    do {
      adding = this.adding;
      await adding;
      try { all = await this.store.all(); } catch { return; }
    } while (adding !== this.adding);
    all = all.filter((item) => !this.gone.has(item.uuid));
    const kept = all.filter((item) => item.alias === this.alias);
    this.others = all.length - kept.length;
    this.items = [...kept, ...this.items.filter((item) => item.seq < 0)];   // below 0: the store would not take it
  }

  // Takes an item off the list, here and in the store.
  async #leave(item) {
    this.gone.add(item.uuid);
    if (this.gone.size > 1000) this.gone.delete(this.gone.values().next().value);
    this.items = this.items.filter((other) => other.uuid !== item.uuid);
    try { await this.store.remove(item.seq); } catch { /* was never kept */ }
  }

  #trouble(kind) {
    this.trouble = kind;
    this.told({ type: "state" });
  }

  async #heard(data) {
    if (data.alias !== this.alias) return;
    await this.#refresh();
    if (data.type === "sent") this.told({ type: "sent", item: data.item, receipt: data.receipt, elsewhere: true });
    this.told({ type: "state" });
  }
}
